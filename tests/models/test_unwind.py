"""Unwind directives made for GCC's own code say what GCC's own say."""

from __future__ import annotations

import io
import subprocess
from pathlib import Path

import pytest
from elftools.dwarf.callframe import FDE
from elftools.elf.elffile import ELFFile

from compiler_ai.asm import listing as listing_model
from compiler_ai.asm.statements import directive_of
from compiler_ai.models.unwind import UnwindError, with_directives
from compiler_ai.sandbox.assemble import assemble

ROOT = Path(__file__).parents[2]
SOURCES = [*sorted((ROOT / "examples" / "kernels").glob("*.c")), ROOT / "tests" / "sandbox" / "functions.c"]
Rules = dict[int, tuple[object, dict[int, object]]]


def rules_of(text: str) -> Rules:
    """Address -> how the frame address is computed, and where registers are saved, at every change."""
    object_bytes = assemble(text, ("as", "--64"))
    found: Rules = {}
    for number, entry in enumerate(ELFFile(io.BytesIO(object_bytes)).get_dwarf_info().EH_CFI_entries()):
        if not isinstance(entry, FDE):
            continue
        for row in entry.get_decoded().table:
            saved = {key: value.arg for key, value in row.items() if isinstance(key, int) and value.type == "OFFSET"}
            found[(number << 32) + row["pc"] - entry["initial_location"]] = ((row["cfa"].reg, row["cfa"].offset), saved)
    return found


def at(rules: Rules, address: int) -> tuple[object, dict[int, object]]:
    return rules[max(known for known in rules if known <= address)]


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
@pytest.mark.parametrize("flags", [("-O3",), ("-O1",), ("-Os", "-fno-omit-frame-pointer")], ids=" ".join)
def test_gccs_code_gets_gccs_frames(source: Path, flags: tuple[str, ...]) -> None:
    words = ["gcc", *flags, "-w", "-S", "-o", "-", str(source)]
    text = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    listing = listing_model.parse(text)
    mine, theirs = "\t.text\n", "\t.text\n"
    for function in listing.functions:
        if len(function.parts) > 1:
            continue
        lines = [line.rstrip("\n") for line in function.body_lines]
        bare = [line for line in lines if not directive_of(line).startswith(".cfi") and directive_of(line) != ".loc"]
        theirs += f"{function.name}:\n" + "\n".join(lines) + "\n"
        mine += f"{function.name}:\n" + "\n".join(with_directives(bare)) + "\n"
    data = "".join(f"\t.set {name}, 0\n" for name in listing.data if f"\n{name}:" not in mine)
    ours, gccs = rules_of(mine + data), rules_of(theirs + data)
    for address in sorted({*ours, *gccs}):
        (cfa, saved), (gcc_cfa, gcc_saved) = at(ours, address), at(gccs, address)
        if cfa[0] == gcc_cfa[0]:  # GCC goes over to %rbp where there is a frame pointer
            assert cfa == gcc_cfa, hex(address)
        for register in saved.keys() & gcc_saved.keys():
            assert saved[register] == gcc_saved[register], hex(address)
    for function in {address >> 32 for address in gccs}:  # GCC notes a save later, and a restore not at all
        noted = [{r for a, (_, saved) in one.items() if a >> 32 == function for r in saved} for one in (ours, gccs)]
        assert noted[0] == noted[1]


def test_a_frame_pointer_keeps_the_frame_where_the_stack_pointer_is_computed() -> None:
    made = with_directives(["\tpushq\t%rbp", "\tmovq\t%rsp, %rbp", "\tsubq\t%rdi, %rsp", "\tnop", "\tleave", "\tret"])
    assert "\t.cfi_def_cfa %rbp, 16" in made
    assert made[made.index("\tret") - 2 : made.index("\tret")] == ["\t.cfi_def_cfa %rsp, 8", "\t.cfi_restore %rbp"]


@pytest.mark.parametrize(
    "lines",
    [
        ["\tsubq\t%rdi, %rsp", "\tret"],
        ["\ttest\t%edi, %edi", "\tje\t.L1", "\tpushq\t%rbx", ".L1:", "\tret"],
        ["\txchgq\t%rax, %rsp", "\tret"],
    ],
)
def test_a_frame_that_cannot_be_told_is_an_error(lines: list[str]) -> None:
    with pytest.raises(UnwindError):
        with_directives(lines)
