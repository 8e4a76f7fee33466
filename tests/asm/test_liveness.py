"""What callers keep in call-clobbered registers across a call is found in GCC's own code."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from compiler_ai.toolchains.x86_64 import X86_64

from compiler_ai.asm import cfg
from compiler_ai.asm.decode import DecodeError, Unit
from compiler_ai.asm.ipa_ra import clobbered_registers, ipa_ra_registers
from compiler_ai.asm.listing import Listing, parse
from compiler_ai.asm.liveness import live_after

GOLDEN = Path(__file__).parent / "golden"


def compiled(*flags: str) -> Listing:
    command = ["gcc", "-O2", "-S", "-o", "-", *flags, str(GOLDEN / "ipa_ra.c")]
    return parse(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@pytest.mark.parametrize(
    ("function", "kept"),
    [("leaf", {"rcx", "rdx", "r8"}), ("scale", {"zmm1"}), ("middle", {"r8"}), ("above", set())],
)
def test_registers_that_gcc_keeps_across_calls_are_found(function: str, kept: set[str]) -> None:
    found = ipa_ra_registers(compiled(), function, X86_64)
    assert found is not None
    assert kept <= found


def test_without_ipa_ra_the_same_source_relies_on_nothing_when_types_are_known() -> None:
    types = {"across": frozenset({"rax"}), "middle": frozenset({"rax"}), "above": frozenset({"rax"})}
    assert ipa_ra_registers(compiled("-fno-ipa-ra"), "leaf", X86_64, returned=types) == frozenset()


def test_what_the_baseline_writes_itself_is_never_relied_on() -> None:
    listing = compiled()
    for function in listing.functions:
        found = ipa_ra_registers(listing, function.name, X86_64)
        assert found is not None
        assert not found & clobbered_registers(Unit(listing, X86_64), function.name, X86_64)


def test_a_function_that_calls_outside_clobbers_everything() -> None:
    listing = parse("\t.text\n\t.type f, @function\nf:\n\tcall g@PLT\n\tret\n\t.size f, .-f\n")
    assert clobbered_registers(Unit(listing, X86_64), "f", X86_64) == X86_64.call_clobbered


def test_a_listing_that_does_not_assemble_is_a_typed_error_and_no_verdict() -> None:
    listing = parse("\t.text\n\t.type f, @function\nf:\n\tbogus\n\tcall f\n\tret\n\t.size f, .-f\n")
    with pytest.raises(DecodeError):
        Unit(listing, X86_64)
    assert ipa_ra_registers(listing, "f", X86_64) is None


def test_a_write_of_a_part_keeps_the_rest_alive_and_a_zeroing_reads_nothing() -> None:
    body = "\tmovb\t$1, %cl\n\tmovq\t%rcx, %rax\n\txorl\t%edx, %edx\n\tadd\t%rdx, %rax\n\tret\n"
    listing = parse(f"\t.text\n\t.type f, @function\nf:\n{body}\t.size f, .-f\n")
    function = listing.functions[0]
    graph = cfg.build(listing, function)
    found = live_after(graph, function, Unit(listing, X86_64).decode(function), X86_64)
    assert "rcx" in found.live_in[cfg.entry(graph)]
    assert "rdx" not in found.after[1]
    assert "rdx" in found.after[2]
