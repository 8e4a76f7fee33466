"""Splicing changes one function and nothing else: judged on the objects that the assembler makes."""

from __future__ import annotations

from dataclasses import replace as replace_fields
from pathlib import Path
from typing import Any

import asm_objects
import asm_units
import pytest
from asm_units import GOLDEN
from compiler_ai.toolchains.x86_64 import X86_64

from compiler_ai.artifacts import Candidate
from compiler_ai.asm.function import Function
from compiler_ai.asm.listing import Listing, parse
from compiler_ai.asm.splice import FETCH_BLOCK_BYTES, SpliceError, replace, replacement, with_replacements
from compiler_ai.proposers.transplant import Source, transplant

FAST_FLAGS = ("-O0", "-O2", "-Os -g", "-O3 -g -fPIC -ffunction-sections")
FLAGS = (
    *FAST_FLAGS,
    *(
        pytest.param(flags, marks=pytest.mark.full)
        for flags in (
            "-O3", "-O2 -g", "-O2 -fPIC", "-O2 -g3 -gdwarf-4", "-O3 -mcmodel=large", "-O2 -fcf-protection -fpatchable-function-entry=4,2",
            "-O2 -flto -ffat-lto-objects", "-O3 -march=x86-64-v3 -fno-asynchronous-unwind-tables", "-O1 -fcommon -fno-pie -g",
            "-O2 -mindirect-branch=thunk -mfunction-return=thunk -g",
        )
    ),
)  # fmt: skip
FEATURES = (GOLDEN / "features.c", GOLDEN / "features.cc")


def unit_of(source: Path, flags: str) -> tuple[Listing, dict[str, int]]:
    """The listing, and the sizes of its functions."""
    text = asm_units.compiled(source, *flags.split(), compiler="g++" if source.suffix == ".cc" else "gcc")
    return parse(text), {s.name: s.size_bytes for s in asm_units.symbols(asm_units.assembled(text))}


def replaceable(listing: Listing) -> list[Function]:
    return [
        function
        for function in listing.functions
        if not function.has_inline_assembly and ".cfi_lsda" not in function.body
    ]


@pytest.mark.parametrize("source", FEATURES, ids=lambda path: path.suffix)
@pytest.mark.parametrize("flags", FLAGS)
def test_gccs_own_body_gives_gccs_own_object(source: Path, flags: str) -> None:
    listing, sizes = unit_of(source, flags)
    expected = asm_units.assembled(listing.text)
    functions = replaceable(listing)
    assert len(functions) > 5
    for function in functions:
        text = replace(listing, function.name, Candidate(function.name, function.body), sizes[function.name])
        assert asm_units.assembled(text) == expected, function.name


def longer(function: Function, nops: int) -> Candidate:
    """GCC's own body with instructions in front that do nothing."""
    lines = list(function.body_lines)
    at = next((n for n, line in enumerate(lines) if "endbr64" in line), None)
    at = next((n for n, line in enumerate(lines) if ".cfi_startproc" in line), 0) if at is None else at
    lines.insert(at + 1, "\tnop\n" * nops)
    return Candidate(function.name, "".join(lines))


def other_bodies(function: Function) -> list[Candidate]:
    """Bodies that are shorter, longer by less and by more than the padding, and that drop everything GCC's own defines."""
    unwind = ".cfi_startproc" in function.body
    shortest = "\t.cfi_startproc\n\tud2\n\t.cfi_endproc\n" if unwind else "\tud2\n"
    with_data = "\t.section\t.rodata\n.Laicc_t_0:\n\t.quad\t5\n" + function.section.directive + "\n"
    body = shortest.replace("\tud2\n", "\tmovq\t.Laicc_t_0(%rip), %rax\n\tret\n" + with_data)
    return [
        Candidate(function.name, shortest),
        longer(function, 1),
        longer(function, 64 + 7),
        longer(function, 300),
        Candidate(function.name, body),
        Candidate(function.name, shortest, "\t.section\t.rodata.cst16\n\t.align 16\n.Laicc_t_1:\n\t.quad\t1, 2\n"),
    ]


def check_rest(listing: Listing, function: Function, candidate: Candidate, size_bytes: int) -> None:
    """Everything but the one function is as it was."""
    text = replace(listing, function.name, candidate, size_bytes)
    before, after = asm_objects.Object(listing.text), asm_objects.Object(text)
    own = {function.name, *function.aliases, function.name + ".cold"}
    dropped = function.local_labels - {function.name + ".cold"}
    for name, piece in before.pieces.items():
        if name not in own and name not in dropped:
            now_piece = after.pieces.get(name)
            assert now_piece is not None
            assert without_labels_of(own, now_piece) == without_labels_of(own, piece), f"{function.name} changes {name}"
    for name, symbol in before.symbols.items():
        if name not in after.symbols and (symbol.section == "SHN_UNDEF" or name == function.name + ".cold"):
            continue  # only the old body needed it
        assert name in after.symbols, f"{function.name} loses {name}"
        now = after.symbols[name]
        assert (now.kind, now.binding, now.visibility, now.section) == (
            symbol.kind, symbol.binding, symbol.visibility, symbol.section,
        ), name  # fmt: skip
        if name not in own and not branches_to(own, before.pieces.get(name)):
            assert now.size_bytes == symbol.size_bytes, f"{function.name} changes the size of {name}"
            if symbol.section == function.section.name:
                assert (now.value - symbol.value) % FETCH_BLOCK_BYTES == 0, f"{function.name} moves {name}"
    assert before.symbols.keys() >= after.symbols.keys()
    assert before.sections <= after.sections
    check_debug_information(listing.text, text, own)


def branches_to(own: set[str], piece: asm_objects.Piece | None) -> bool:
    """Whether a branch that the assembler settles goes to the function: how far that is decides the branch's size."""
    parts = piece.content if piece is not None else ()
    return any(
        isinstance(part, tuple) and len(part) == 2 and isinstance(part[1], tuple) and part[1][0] in own
        for part in parts
    )


def without_labels_of(own: set[str], piece: asm_objects.Piece) -> asm_objects.Piece:
    """A computed goto's table outside of the body refers to places in it; only the body uses those."""

    def masked(part: Any) -> Any:
        is_inside = isinstance(part, tuple) and len(part) == 3 and part[1] in own and part[2] > 0
        return (part[0], part[1], "inside") if is_inside else part

    return replace_fields(piece, content=tuple(masked(part) for part in piece.content))


def check_debug_information(before_text: str, after_text: str, own: set[str]) -> None:
    before, after = asm_objects.debug_information(before_text), asm_objects.debug_information(after_text)
    for name in before.lines.keys() - own:
        assert after.lines.get(name) == before.lines[name], f"the line table of {name}"
    for name in before.unwind.keys() - own:
        assert after.unwind.get(name) == before.unwind[name], f"the unwind rules of {name}"


@pytest.mark.parametrize("flags", ["-O2", "-O2 -g -fPIC"])
def test_another_body_leaves_everything_else_alone(flags: str) -> None:
    listing, sizes = unit_of(FEATURES[0], flags)
    for name in ("table", "threaded", "with_cold_part", "original"):
        function = listing.function(name)
        assert function is not None
        for candidate in other_bodies(function)[:3]:
            check_rest(listing, function, candidate, sizes[name])


@pytest.mark.full
@pytest.mark.parametrize("source", FEATURES, ids=lambda path: path.suffix)
@pytest.mark.parametrize("flags", FLAGS)
def test_every_other_body_of_every_function_leaves_everything_else_alone(source: Path, flags: str) -> None:
    listing, sizes = unit_of(source, flags)
    for function in replaceable(listing):
        if not sizes[function.name]:
            continue  # no code, nothing to replace
        for candidate in other_bodies(function):
            check_rest(listing, function, candidate, sizes[function.name])


@pytest.mark.parametrize(
    ("flags", "theirs"),
    [
        ("-O2 -g", "-O3"),
        pytest.param("-O3 -fPIC", "-O2 -fPIC", marks=pytest.mark.full),
        pytest.param("-O1", "-O3 -mavx2", marks=pytest.mark.full),
    ],
)
def test_clangs_bodies_leave_everything_else_alone(flags: str, theirs: str) -> None:
    listing, sizes = unit_of(FEATURES[0], flags)
    other = parse(asm_units.compiled(FEATURES[0], *theirs.split(), "-fno-addrsig", compiler="clang-19"))
    source = Source(other, True, "search", f"clang-19 {theirs}", ())
    spliced = 0
    for function in replaceable(listing):
        candidate = transplant(source, listing, function.name, "t", X86_64)
        if isinstance(candidate, Candidate):
            check_rest(listing, function, candidate, sizes[function.name])
            spliced += 1
    assert spliced > 15


def test_what_cannot_be_told_from_the_body_is_refused() -> None:
    listing, _ = unit_of(FEATURES[0], "-O2")
    with pytest.raises(SpliceError, match="no function"):
        replace(listing, "no_such_function", Candidate("no_such_function", "\tret\n"), 1)
    with pytest.raises(SpliceError, match="inline assembly"):
        replace(listing, "switches", Candidate("switches", "\tret\n"), 1)
    listing, _ = unit_of(FEATURES[1], "-O2")
    with pytest.raises(SpliceError, match="exception table"):
        replace(listing, "_Z7catchesi", Candidate("_Z7catchesi", "\tret\n"), 1)


@pytest.mark.parametrize("flags", FAST_FLAGS)
def test_several_bodies_at_once_are_what_they_are_one_after_the_other(flags: str) -> None:
    listing, sizes = unit_of(FEATURES[0], flags)
    other = parse(asm_units.compiled(FEATURES[0], "-O3", "-fno-addrsig", compiler="clang-19"))
    source = Source(other, True, "search", "clang-19 -O3", ())
    found = [transplant(source, listing, one.name, f"t{n}", X86_64) for n, one in enumerate(replaceable(listing))]
    candidates = [one for one in found if isinstance(one, Candidate)]
    assert len(candidates) > 10
    text = listing.text
    for one in candidates:
        text = replace(parse(text), one.function, one, sizes[one.function])
    changes = [replacement(listing, one.function, one, sizes[one.function]) for one in candidates]
    assert asm_units.assembled(with_replacements(listing, changes)) == asm_units.assembled(text)
    assert with_replacements(listing, changes[::-1]).count("\n") == text.count("\n")


def test_bodies_that_are_not_apart_are_refused() -> None:
    listing, sizes = unit_of(FEATURES[0], "-O2")
    function = listing.function("table")
    assert function is not None
    one = replacement(listing, "table", Candidate("table", function.body), sizes["table"])
    with pytest.raises(SpliceError, match="inside another"):
        with_replacements(listing, [one, one])
