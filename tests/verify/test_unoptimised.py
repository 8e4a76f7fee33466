"""A state in which the source itself, as -O0 shows, touches memory that is not there is no test; any other stays one."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from bench import record_calls

from compiler_ai.artifacts import CompileCommand
from compiler_ai.sandbox.process import OutcomeKind, Sandbox
from compiler_ai.unit_objects import unoptimised_object
from compiler_ai.verify.engine import Settings, Verifier
from compiler_ai.verify.machine import Body
from compiler_ai.verify.prepare import Preparation
from compiler_ai.verify.prototype import Prototype, from_object
from compiler_ai.verify.state import EntryState
from compiler_ai.verify.unoptimised import Unoptimised

HERE = Path(__file__).parent
SMALL = Settings(captures=2, mutated=4, generated=8, boundary=4, relations=4, directed=4)
COUNTS_UP = "total:\n\txorl %eax, %eax\n\txorl %edx, %edx\n\tjmp 2f\n1:\taddq (%rdi,%rdx,8), %rax\n\tincq %rdx\n2:\tcmpq %rsi, %rdx\n\tjb 1b\n\tret\n"


def compiled(*flags: str) -> bytes:
    command = CompileCommand(("gcc",), (*flags, "-fno-inline"), str(HERE / "wide.c"), "wide.o", str(HERE), "x86_64")
    found = unoptimised_object(command, None)
    assert found
    return found


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("wide")
    record_calls(made, [HERE / "wide.c", HERE / "wide_main.c"], ("total", "first"))
    return made


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as made:
        yield made


@dataclass(frozen=True)
class Objects:
    """GCC's own body, and the function's type and captures."""

    baseline: bytes
    prototype: Prototype | None
    captures: list[Path]


def objects(directory: Path, function: str) -> Objects:
    made = []
    for flags in (["-O2"], ["-O2", "-g"]):
        out = directory / "unit.o"
        subprocess.run(["gcc", *flags, "-fno-inline", "-c", "-o", out, HERE / "wide.c"], check=True)
        made.append(out.read_bytes())
    return Objects(made[0], from_object(made[1], function), sorted(directory.glob(f"captures/{function}.*.cap")))


def prepared(directory: Path, sandbox: Sandbox, function: str, unoptimised: bytes = b"") -> Preparation:
    of = objects(directory, function)
    return Preparation(sandbox, of.baseline, function, of.captures, of.prototype, SMALL, unoptimised)


def with_registers(preparation: Preparation, **general: int) -> EntryState:
    base = preparation.tests[0].state
    return replace(base, name="made", origin="generated", registers=base.registers.with_general(**general))


def test_a_count_that_wraps_is_undefined(directory: Path, sandbox: Sandbox) -> None:
    preparation = prepared(directory, sandbox, "total", compiled("-O2"))
    wrapping, _ = preparation.test(with_registers(preparation, rsi=1 << 61 | 3), set())
    plain, _ = preparation.test(with_registers(preparation, rsi=3), set())
    assert wrapping is not None, "GCC's own body adds up three elements"
    assert plain is not None
    assert [preparation.is_undefined(test) for test in (wrapping, plain)] == [True, False]


def test_a_body_that_counts_as_the_source_does_is_accepted(directory: Path, sandbox: Sandbox) -> None:
    of = objects(directory, "total")
    candidate = directory / "candidate.o"
    text = f"\t.text\n\t.globl total\n\t.type total, @function\n{COUNTS_UP}\t.size total, .-total\n"
    text = text.replace("total:\n", "total:\n\t.cfi_startproc\n").replace("\tret\n", "\tret\n\t.cfi_endproc\n")
    subprocess.run(["as", "--64", "-o", candidate, "-"], input=text, text=True, check=True)
    judged = Verifier(sandbox, of.baseline, "total", of.captures, of.prototype, Settings(captures=4), compiled("-O2"))
    evidence = judged.check(candidate.read_bytes())
    assert (evidence.grade.name, evidence.counterexample) == ("TESTED", None)


def test_a_misaligned_stack_says_nothing_of_the_source(directory: Path, sandbox: Sandbox) -> None:
    preparation = prepared(directory, sandbox, "first")
    stack = preparation.tests[0].state.registers["rsp"]
    state = with_registers(preparation, rsp=stack - 8)
    plain = Body(compiled("-O2"), "first").at(preparation.machine.context(state))
    outcome = preparation.machine.run(state, plain, 1_000_000_000)
    assert (outcome.kind, outcome.signal) == (OutcomeKind.FAULT, 11), "movaps of GCC -O0 faults"
    assert not Unoptimised(preparation.machine, compiled("-O2"), "first").faults(state, 1_000_000)


def test_what_cannot_be_compiled_or_loaded_says_nothing(directory: Path, sandbox: Sandbox) -> None:
    preparation = prepared(directory, sandbox, "total")
    state = with_registers(preparation, rsi=1 << 61 | 3)
    for data, function in ((b"", "total"), (b"no object", "total"), (compiled(), "another")):
        assert not Unoptimised(preparation.machine, data, function).faults(state, 1_000_000)


def test_code_that_does_otherwise_than_the_program_did_says_nothing(directory: Path, sandbox: Sandbox) -> None:
    (directory / "other.c").write_text(
        "long total(const long *elements, unsigned long n) { return elements[n] + 1; }\n"
    )
    command = CompileCommand(("gcc",), (), str(directory / "other.c"), "other.o", str(directory), "x86_64")
    preparation = prepared(directory, sandbox, "total", unoptimised_object(command, None))
    wrapping, _ = preparation.test(with_registers(preparation, rsi=1 << 61 | 3), set())
    assert wrapping is not None
    assert not preparation.is_undefined(wrapping)
