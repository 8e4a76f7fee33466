"""Which functions GCC's unit may enter with a stack aligned to 8 bytes only."""

from __future__ import annotations

import subprocess
from pathlib import Path

from compiler_ai.asm import listing as listing_model
from compiler_ai.asm.stack_alignment import may_be_misaligned

SOURCE = """
extern int away(int);
__attribute__((noinline)) static int leaf(int x) { return x * 3 + (x >> 2); }
__attribute__((noinline)) static int calls_away(int x) { return away(x + 1) * 2; }
__attribute__((noinline)) int exported(int x) { return x ^ 21; }
int plain(int x) { return leaf(x) + 1; }
int framed(int x) { return calls_away(x) + 1; }
int deep(int x) { int y = away(x); return calls_away(y) + y; }
int tail(int x) { return exported(x + 1); }
"""


def listing(directory: Path, *flags: str, source: str = SOURCE) -> listing_model.Listing:
    (directory / "unit.c").write_text(source)
    subprocess.run(["gcc", "-O2", *flags, "-S", "unit.c"], cwd=directory, check=True)
    return listing_model.parse((directory / "unit.s").read_text())


def test_a_leaf_that_needs_no_alignment_is_called_without(tmp_path: Path) -> None:
    """GCC calls `leaf` with %rsp as it came: 8 off."""
    unit = listing(tmp_path)
    assert "\tcall\tleaf" in unit.text
    assert may_be_misaligned(unit, "leaf")


def test_a_function_that_calls_others_is_called_with_an_aligned_stack(tmp_path: Path) -> None:
    assert not may_be_misaligned(listing(tmp_path), "calls_away")


def test_a_tail_call_keeps_the_callers_alignment(tmp_path: Path) -> None:
    unit = listing(tmp_path)
    assert "\tjmp\texported" in unit.text
    assert not may_be_misaligned(unit, "exported")


def test_without_the_optimisation_every_call_is_aligned(tmp_path: Path) -> None:
    assert not may_be_misaligned(listing(tmp_path, "-fno-ipa-stack-alignment"), "leaf")


def test_without_unwind_information_nothing_is_known(tmp_path: Path) -> None:
    unit = listing(tmp_path, "-fno-asynchronous-unwind-tables", "-fno-ipa-stack-alignment")
    assert may_be_misaligned(unit, "leaf")


def test_a_misaligned_caller_misaligns_its_tail_callee(tmp_path: Path) -> None:
    source = """
    __attribute__((noinline)) int last(int x) { return x * 5; }
    __attribute__((noinline)) static int middle(int x) { return last(x + 2); }
    int first(int x) { return middle(x) + 1; }
    """
    unit = listing(tmp_path, source=source)
    assert "\tjmp\tlast" in unit.text
    assert may_be_misaligned(unit, "middle") == may_be_misaligned(unit, "last")
