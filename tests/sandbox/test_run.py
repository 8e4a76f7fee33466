"""A body in the sandbox does what the same function does natively."""

from __future__ import annotations

import ctypes
import struct
import subprocess
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sandbox_bodies import DATA, GOLDEN, RETURN_ADDRESS, STACK, STACK_POINTER, assembly_body, body, compile_object, data

from compiler_ai.sandbox.errors import OutOfTimeError
from compiler_ai.sandbox.process import OutcomeKind, Sandbox
from compiler_ai.sandbox.state import Registers, mxcsr, x87

MASK = (1 << 64) - 1
PER_TEST = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)
SOURCE = (GOLDEN / "functions.c").read_text()
STATICS = {"counter": DATA, "history": DATA + 64}


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    directory = tmp_path_factory.mktemp("objects")
    return {level: compile_object(SOURCE, directory, level) for level in ("-O0", "-O3")}


@pytest.fixture(scope="module")
def native(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    library = tmp_path_factory.mktemp("native") / "lib.so"
    source = GOLDEN / "functions.c"
    subprocess.run(["gcc", "-O2", "-shared", "-fPIC", str(source), "-o", str(library)], check=True)
    return ctypes.CDLL(str(library))


INT64 = st.integers(-(1 << 63), (1 << 63) - 1)


@PER_TEST
@given(a=INT64, b=st.integers(1, (1 << 63) - 1))
def test_integers(sandbox: Sandbox, objects: dict[str, bytes], native: ctypes.CDLL, a: int, b: int) -> None:
    native.integers.restype = ctypes.c_int64
    native.integers.argtypes = [ctypes.c_int64, ctypes.c_int64]
    for level in objects.values():
        code = body(level, "integers")
        outcome = code.run(sandbox, code.registers(rdi=a, rsi=b))
        assert outcome.kind is OutcomeKind.RETURNED
        assert outcome.registers["rax"] == native.integers(a, b) & MASK
        assert outcome.registers["rsp"] == STACK_POINTER + 8


@PER_TEST
@given(a=st.floats(), b=st.floats(allow_nan=False))
def test_doubles_bit_for_bit(
    sandbox: Sandbox, objects: dict[str, bytes], native: ctypes.CDLL, a: float, b: float
) -> None:
    native.doubles.restype = ctypes.c_double
    native.doubles.argtypes = [ctypes.c_double, ctypes.c_double]
    expected = native.doubles(a, b)
    xstate = sandbox.layout.build({0: struct.pack("<d", a), 1: struct.pack("<d", b)})
    for level in objects.values():
        code = body(level, "doubles")
        outcome = code.run(sandbox, code.registers(xstate))
        result = struct.unpack_from("<d", sandbox.layout.vector(outcome.xstate, 0))[0]
        assert result == expected or (result != result and expected != expected)


@PER_TEST
@given(values=st.lists(st.tuples(st.integers(-1000, 1000), st.integers(-1000, 1000)), min_size=1, max_size=20))
def test_a_list_is_walked_and_changed(
    sandbox: Sandbox, objects: dict[str, bytes], values: list[tuple[int, int]]
) -> None:
    nodes = b"".join(
        struct.pack("<iidQ", value, 0, float(weight), DATA + 24 * (i + 1) if i + 1 < len(values) else 0)
        for i, (value, weight) in enumerate(values)
    )
    for level in objects.values():
        code = body(level, "list_sum", data(nodes))
        outcome = code.run(sandbox, code.registers(rdi=DATA))
        total = struct.unpack_from("<d", sandbox.layout.vector(outcome.xstate, 0))[0]
        assert total == sum(value * weight for value, weight in values)
        after = outcome.changed[DATA]
        assert [struct.unpack_from("<i", after, 24 * i)[0] for i in range(len(values))] == [v + 1 for v, _ in values]


@pytest.mark.parametrize("index", [*range(9), 9 * 5, 4_000_000_000, 12345])
def test_jump_tables_and_constants(
    sandbox: Sandbox, objects: dict[str, bytes], native: ctypes.CDLL, index: int
) -> None:
    native.table.restype = ctypes.c_uint32
    native.table.argtypes = [ctypes.c_uint32]
    for level in objects.values():
        code = body(level, "table")
        outcome = code.run(sandbox, code.registers(rdi=index))
        assert outcome.registers["rax"] & 0xFFFFFFFF == native.table(index)


@pytest.mark.parametrize(("function", "result"), [("statics", 24), ("tail_call", 13)])
def test_statics_live_where_the_module_has_them(
    sandbox: Sandbox, objects: dict[str, bytes], function: str, result: int
) -> None:
    argument = 7
    for level in objects.values():
        code = body(level, function, data(struct.pack("<i", 5).ljust(128, b"\0")), symbols=STATICS)
        outcome = code.run(sandbox, code.registers(rdi=argument))
        assert outcome.registers["rax"] == result
        counter = struct.unpack_from("<i", outcome.changed[DATA])[0]
        assert counter == (12 if function == "statics" else 13)
        assert struct.unpack_from("<q", outcome.changed[DATA], 64 + 8 * (counter & 3))[0] == counter


def test_recursion(sandbox: Sandbox, objects: dict[str, bytes], native: ctypes.CDLL) -> None:
    for level in objects.values():
        code = body(level, "recursion")
        assert code.run(sandbox, code.registers(rdi=17)).registers["rax"] == native.recursion(17)


def test_thread_local_data(sandbox: Sandbox, tmp_path: Path) -> None:
    source = "static __thread int before; static __thread int own = 3; int f(void) { before++; return own += 2; }"
    code = body(
        compile_object(source, tmp_path), "f", data(struct.pack("<ii", 40, 3)), symbols={"own": -4, "before": -8}
    )
    registers = Registers({"rsp": STACK_POINTER}, rip=code.loaded.entry, fs_base=DATA + 8)
    outcome = code.run(sandbox, registers)
    assert outcome.registers["rax"] == 5
    assert outcome.changed[DATA][:8] == struct.pack("<ii", 41, 5)


@pytest.mark.parametrize(("flag", "cpu"), [("-msse2", "sse2"), ("-mavx2", "avx2"), ("-mavx512f", "avx512f")])
@pytest.mark.parametrize("count", [1, 7, 64, 101])
def test_vectors(sandbox: Sandbox, tmp_path: Path, flag: str, cpu: str, count: int) -> None:
    if cpu not in Path("/proc/cpuinfo").read_text():
        return  # nothing on this machine to compare with
    width = ("-mprefer-vector-width=512",) if cpu == "avx512f" else ()
    floats = struct.pack(f"<{2 * count}f", *range(2 * count))
    code = body(compile_object(SOURCE, tmp_path, "-O3", flag, *width), "saxpy", data(floats))
    xstate = sandbox.layout.build({0: struct.pack("<f", 3.0)})
    outcome = code.run(sandbox, code.registers(xstate, rdi=DATA, rsi=DATA + 4 * count, rdx=count))
    assert outcome.kind is OutcomeKind.RETURNED
    assert outcome.changed[DATA][: 4 * count] == struct.pack(
        f"<{count}f", *(i + 3.0 * (count + i) for i in range(count))
    )


def test_every_register_arrives_and_comes_back(sandbox: Sandbox, tmp_path: Path) -> None:
    code = assembly_body("ret", tmp_path)
    general = {name: 0x1111_0000_0000_0000 + i for i, name in enumerate(("rax", "rbx", "rbp", "r8", "r15", "rdi"))}
    layout = sandbox.layout
    vectors = {i: bytes((i + j) & 255 for j in range(layout.vector_bytes)) for i in range(layout.vector_registers)}
    masks = {3: 0xA5A5} if 5 in layout.components else {}
    outcome = code.run(sandbox, code.registers(layout.build(vectors, masks, mxcsr=0x9FC0), **general))
    assert {name: outcome.registers[name] for name in general} == general
    assert {i: layout.vector(outcome.xstate, i) for i in vectors} == vectors
    assert {i: layout.mask(outcome.xstate, i) for i in masks} == masks
    assert mxcsr(outcome.xstate) == 0x9FC0
    assert x87(outcome.xstate).tags == 0


def test_only_stores_count_as_written_and_only_differences_as_changed(sandbox: Sandbox, tmp_path: Path) -> None:
    code = assembly_body(f"movl $0, {DATA}\nmovl $1, {DATA + 4096}\nmovl {DATA + 8192}, %eax\nret", tmp_path)
    image = (*code.image, data(bytes(3 * 4096)))
    outcome = sandbox.run(image, code.registers(), RETURN_ADDRESS)
    assert outcome.written == {DATA, DATA + 4096}
    assert set(outcome.changed) == {DATA + 4096}


def test_patches_are_part_of_the_initial_state(sandbox: Sandbox, tmp_path: Path) -> None:
    code = assembly_body(f"movl {DATA + 4}, %eax\nret", tmp_path)
    image = (*code.image, data(bytes(8)))
    outcome = sandbox.run(image, code.registers(), RETURN_ADDRESS, patches=[(DATA + 4, b"\x2a\0\0\0")])
    assert outcome.registers["rax"] == 42
    assert not outcome.changed
    assert sandbox.run(image, code.registers(), RETURN_ADDRESS).registers["rax"] == 0


def test_coverage_tells_the_branches_apart(sandbox: Sandbox, tmp_path: Path) -> None:
    code = assembly_body("test %edi, %edi\njne 1f\nmov $1, %eax\nret\n1: mov $2, %eax\nret", tmp_path)
    entry = code.loaded.entry
    starts = [entry, entry + 4, entry + 10]
    outcome = code.run(sandbox, code.registers(rdi=1), starts)
    assert (outcome.registers["rax"], outcome.covered) == (2, {entry, entry + 10})
    outcome = code.run(sandbox, code.registers(rdi=0), starts)
    assert (outcome.registers["rax"], outcome.covered) == (1, {entry, entry + 4})


def test_a_trace_holds_every_instruction(sandbox: Sandbox, tmp_path: Path) -> None:
    code = assembly_body("mov $3, %ecx\n1: inc %rax\ndec %ecx\njnz 1b\nret", tmp_path)
    trace = sandbox.trace(code.image, code.registers(), RETURN_ADDRESS)
    entry = code.loaded.entry
    loop = [entry + 5, entry + 8, entry + 10]
    assert [step.rip for step in trace] == [entry, *loop, *loop, *loop, entry + 12]
    assert [step.general[0] for step in trace if step.rip == loop[1]] == [1, 2, 3]
    assert trace.outcome.kind is OutcomeKind.RETURNED
    short = sandbox.trace(code.image, code.registers(), RETURN_ADDRESS, max_steps=4)
    assert (short.outcome.kind, len(short)) == (OutcomeKind.MAX_STEPS, 4)


def test_runs_do_not_see_each_other(sandbox: Sandbox, tmp_path: Path) -> None:
    code = assembly_body(f"incl {DATA}\nmovl {DATA}, %eax\nincq {STACK}\nret", tmp_path)
    image = (*code.image, data(bytes(8)))
    assert {sandbox.run(image, code.registers(), RETURN_ADDRESS).registers["rax"] for _ in range(5)} == {1}


def test_behind_its_deadline_nothing_is_run_and_afterwards_it_goes_on(
    sandbox: Sandbox, objects: dict[str, bytes]
) -> None:
    code = body(objects["-O3"], "integers")
    with sandbox.until(time.monotonic() + 600.0):
        assert code.run(sandbox, code.registers(rdi=1, rsi=1)).kind is OutcomeKind.RETURNED
        with sandbox.until(time.monotonic() - 1.0), pytest.raises(OutOfTimeError):
            code.run(sandbox, code.registers(rdi=1, rsi=1))
        assert code.run(sandbox, code.registers(rdi=1, rsi=1)).kind is OutcomeKind.RETURNED
