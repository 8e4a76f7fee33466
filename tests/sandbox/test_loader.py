"""Where a load puts things, what its references resolve to, and what it refuses."""

from __future__ import annotations

import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
from sandbox_bodies import BASE, DATA, RETURN_ADDRESS, STACK_POINTER, assembly_body, body, compile_object, data, stack

from compiler_ai.capture.format import Mapping
from compiler_ai.sandbox.errors import LoadError
from compiler_ai.sandbox.image import load_bases
from compiler_ai.sandbox.loader import SPAN_BYTES, load
from compiler_ai.sandbox.process import OutcomeKind, Sandbox
from compiler_ai.sandbox.state import Registers
from compiler_ai.sandbox.symbols import ModuleResolver, NoResolver, Reference, SymbolKind, Unit

FAR = 0x7F00_0000_0000


def test_constants_keep_their_addresses_between_loads(tmp_path: Path) -> None:
    one = compile_object('const char *f(void) { return "text"; }', tmp_path)
    two = compile_object(
        'double g(double x) { return x * 3.5; } const char *f(void) { return "text"; }', tmp_path, "-O0"
    )
    first = load(one, "f", BASE, NoResolver())
    second = load(two, "f", BASE, NoResolver(), like=first)
    key = next(key for key in first.sections if key[0].startswith(".rodata"))
    assert second.sections[next(k for k in second.sections if k == key or k[0] == ".rodata")] >= BASE
    assert load(one, "f", BASE, NoResolver(), like=second).sections[(".text", 0)] == first.sections[(".text", 0)]
    assert load(one, "f", BASE, NoResolver(), like=first).sections == first.sections


def test_text_can_be_placed_elsewhere_without_moving_data(sandbox: Sandbox, tmp_path: Path) -> None:
    unit = compile_object("static const int t[] = {5, 6, 7, 8}; int f(unsigned i) { return t[i & 3]; }", tmp_path)
    for offset in (0, 64, 4096 + 192):
        loaded = load(unit, "f", BASE, NoResolver(), text_offset=offset)
        assert loaded.entry % 64 == 0
        registers = Registers({"rsp": STACK_POINTER, "rdi": 2}, rip=loaded.entry)
        assert sandbox.run((stack(), loaded.pages), registers, RETURN_ADDRESS).registers["rax"] == 7


def test_far_calls_go_through_stubs(sandbox: Sandbox, tmp_path: Path) -> None:
    callee = assembly_body("lea 1(%rdi), %eax\nret", tmp_path)
    far = load(
        compile_object(
            ".globl f\n.type f,@function\nf: lea 1(%rdi), %eax\nret\n.size f,.-f\n", tmp_path, language="asm"
        ),
        "f",
        FAR,
        NoResolver(),
    )
    unit = compile_object("int away(int); int f(int x) { return away(x) * 2; }", tmp_path)
    code = body(unit, "f", far.pages, symbols={"away": far.entry})
    assert code.run(sandbox, code.registers(rdi=20)).registers["rax"] == 42
    assert callee.loaded.entry != far.entry


@pytest.mark.parametrize("flags", [("-fPIC",), ("-fno-pie",), ("-fno-plt", "-fPIC"), ("-mcmodel=large", "-fno-pie")])
def test_code_models(sandbox: Sandbox, tmp_path: Path, flags: tuple[str, ...]) -> None:
    source = "extern int value; static const int t[4] = {1, 2, 3, 4}; int f(unsigned i) { value++; return value + t[i & 3]; }"
    code = body(compile_object(source, tmp_path, "-O2", *flags), "f", data(bytes(16)), symbols={"value": DATA + 4})
    outcome = code.run(sandbox, code.registers(rdi=3))
    assert (outcome.kind, outcome.registers["rax"]) == (OutcomeKind.RETURNED, 5)


def test_an_unknown_external_names_symbol_and_type(tmp_path: Path) -> None:
    unit = compile_object("extern int absent; int f(void) { return absent; }", tmp_path)
    with pytest.raises(LoadError, match=r"R_X86_64_\w+ against absent"):
        load(unit, "f", BASE, NoResolver())


def test_an_unknown_callee_can_be_a_trap(sandbox: Sandbox, tmp_path: Path) -> None:
    unit = compile_object("void gone(void); int f(int x) { if (x) gone(); return 3; }", tmp_path)
    with pytest.raises(LoadError, match="R_X86_64_PLT32 against gone"):
        load(unit, "f", BASE, NoResolver())
    loaded = load(unit, "f", BASE, NoResolver(), trap_unresolved=True)
    from sandbox_bodies import STACK_POINTER

    from compiler_ai.sandbox.state import Registers

    for argument, kind in ((0, OutcomeKind.RETURNED), (1, OutcomeKind.FAULT)):
        registers = Registers({"rsp": STACK_POINTER, "rdi": argument}, rip=loaded.entry)
        outcome = sandbox.run((stack(), loaded.pages), registers, RETURN_ADDRESS)
        assert outcome.kind is kind
        if argument:
            assert outcome.rip == loaded.unresolved["gone"]


def test_another_functions_unknown_symbols_only_poison_that_function(sandbox: Sandbox, tmp_path: Path) -> None:
    unit = compile_object("extern int absent; int g(void) { return absent; } int f(void) { return 4; }", tmp_path)
    code = body(unit, "f")
    assert code.loaded.poisoned == {"g"}
    assert code.run(sandbox, code.registers()).registers["rax"] == 4


@pytest.mark.parametrize("damage", [b"", b"\x7fELF", b"not an object at all" * 20])
def test_malformed_objects_are_typed_errors(damage: bytes) -> None:
    with pytest.raises(LoadError):
        load(damage, "f", BASE, NoResolver())


def test_every_truncation_of_an_object_loads_or_is_a_typed_error(tmp_path: Path) -> None:
    unit = compile_object("static int t[3]; int f(int i) { return t[i]++; }", tmp_path)
    for size in range(0, len(unit), 37):
        with pytest.raises(LoadError):
            load(unit[:size], "f", BASE, NoResolver({"t": DATA}))


def test_no_function_of_that_name(tmp_path: Path) -> None:
    with pytest.raises(LoadError, match="no function g"):
        load(compile_object("int f(void) { return 1; }", tmp_path), "g", BASE, NoResolver())


ONE = "static int state = 11; int one(void) { return state++; }"
TWO = "static int state = 22; static int other; int two(void) { return state++ + other++; }"


@pytest.fixture
def module(tmp_path: Path) -> Path:
    (tmp_path / "one.c").write_text(ONE)
    (tmp_path / "two.c").write_text(TWO)
    (tmp_path / "main.c").write_text("int one(void), two(void); int main(void) { return one() + two(); }")
    subprocess.run(["gcc", "-O1", "one.c", "two.c", "main.c", "-o", "module"], cwd=tmp_path, check=True)
    return tmp_path / "module"


def test_static_names_come_from_the_right_unit(module: Path) -> None:
    from elftools.elf.elffile import ELFFile

    with module.open("rb") as file:
        elf = ELFFile(file)
        table = elf.get_section_by_name(".symtab")
        data_section = elf.get_section_by_name(".data")
        initial = {}
        for symbol in table.get_symbol_by_name("state"):
            offset = symbol["st_value"] - data_section["sh_addr"]
            initial[symbol["st_value"]] = int.from_bytes(data_section.data()[offset : offset + 4], "little")
    bias = 0x5555_5555_4000
    resolver = ModuleResolver(module, bias)
    for source, names, value in (("one.c", {"state"}, 11), ("two.c", {"state", "other"}, 22)):
        reference = Reference("state", SymbolKind.DATA, True, 4, Unit(source, frozenset(names)))
        address = resolver.resolve(reference)
        assert address is not None
        assert initial[address - bias] == value


def test_a_static_of_another_size_is_another_variable(module: Path) -> None:
    reference = Reference("state", SymbolKind.DATA, True, 8, Unit("one.c", frozenset({"state"})))
    assert ModuleResolver(module, 0).resolve(reference) is None


def test_a_missing_module_is_a_typed_error(tmp_path: Path) -> None:
    with pytest.raises(LoadError):
        ModuleResolver(tmp_path / "none", 0)


ENDS = """    .file "ends.c"
    .text
    .globl f
    .type f, @function
f:  lea table-4(%rip), %rax
    lea table+56(%rip), %rcx
    lea table(%rip), %rdx
    sub %rdx, %rcx
    sub %rax, %rdx
    shl $8, %rcx
    lea (%rcx,%rdx), %rax
    ret
    .size f, .-f
    .section .rodata
    .quad 1, 2
    .type table, @object
    .size table, 56
table:
    .long 1, 4, 13, 40, 121, 364, 1093, 3280, 9841, 29524, 88573, 265720, 797161, 2391484
    .quad 3
"""


def test_where_a_constant_ends_lies_with_the_constant(sandbox: Sandbox, tmp_path: Path) -> None:
    """A loop over a constant compares with its end, or with the element before its first."""
    unit = compile_object(ENDS, tmp_path, language="asm")
    (tmp_path / "ends.o").write_bytes(unit)
    library = tmp_path / "libends.so"
    subprocess.run(["gcc", "-shared", "-o", str(library), str(tmp_path / "ends.o")], check=True)
    loaded = load(unit, "f", BASE, ModuleResolver(library, BASE + 0x1000_0000))
    registers = Registers({"rsp": STACK_POINTER}, rip=loaded.entry)
    assert sandbox.run((stack(), loaded.pages), registers, RETURN_ADDRESS).registers["rax"] == 56 << 8 | 4


def test_code_is_loaded_inside_of_the_user_address_space() -> None:
    """A shared library lies close to the end of what a process may map."""
    own = Mapping(0x7FFF_F7C0_0000, 0x7FFF_F7F0_0000, 5, "/lib/libown.so", 0)
    capture = SimpleNamespace(mappings=[own], pages={}, module=SimpleNamespace(path="/lib/libown.so"))
    assert all(base + SPAN_BYTES < 1 << 47 for base in load_bases(capture))


def test_a_hidden_function_is_found_where_the_linker_made_it_local(tmp_path: Path) -> None:
    (tmp_path / "own.c").write_text('__attribute__((visibility("hidden"))) int inner(int x) { return x + 1; }\n')
    (tmp_path / "main.c").write_text("int inner(int); int main(void) { return inner(0); }\n")
    subprocess.run(["gcc", "-O1", "own.c", "main.c", "-o", "program"], cwd=tmp_path, check=True)
    resolver = ModuleResolver(tmp_path / "program", 0)
    reference = Reference("inner", SymbolKind.UNKNOWN, False, 0, Unit("main.c", frozenset()))
    assert resolver.resolve(reference) is not None
    missing = Reference("absent", SymbolKind.UNKNOWN, False, 0, Unit("main.c", frozenset()))
    assert resolver.resolve(missing) is None
