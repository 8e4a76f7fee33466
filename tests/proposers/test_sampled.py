"""Samples of a function become a profile of its lines, and a profile another code."""

from __future__ import annotations

import io
import re
import subprocess
from pathlib import Path

import pytest
from compiler_ai.toolchains.x86_64 import X86_64
from elftools.elf.elffile import ELFFile

from compiler_ai.artifacts import CompileCommand, Sample
from compiler_ai.asm import listing as listing_model
from compiler_ai.asm.normalise import normalised_text
from compiler_ai.proposers.base import ProposalContext
from compiler_ai.proposers.configurations import portfolio
from compiler_ai.proposers.recompile import Recompiler
from compiler_ai.proposers.runs import RecompileError
from compiler_ai.proposers.sampled import text_profile
from compiler_ai.unit_objects import debug_object

SOURCE = """\
int other(int x) { return x; }
extern int rare(int), often(int);
int wanted(const unsigned char *bytes, int count)
{
    int total = 0;
    for (int i = 0; i < count; i++) {
        if (bytes[i] > 5)
            total = rare(total);
        else
            total = often(total);
    }
    return total;
}
int behind(int x) { return x + 1; }
"""


@pytest.fixture
def command(tmp_path: Path) -> CompileCommand:
    (tmp_path / "unit.c").write_text(SOURCE)
    unit = str(tmp_path / "unit.c")
    return CompileCommand(("gcc",), ("-O3",), unit, str(tmp_path / "unit.o"), str(tmp_path), X86_64.name)


def symbol(debug: bytes, name: str) -> tuple[int, int]:
    (found,) = ELFFile(io.BytesIO(debug)).get_section_by_name(".symtab").get_symbol_by_name(name)
    return found["st_value"], found["st_size"]


def calls(debug: bytes, directory: Path, callee: str) -> list[int]:
    """The offsets in `wanted` of the instructions that call `callee`, from objdump's relocations."""
    (directory / "debug.o").write_bytes(debug)
    listed = subprocess.run(["objdump", "-dr", "debug.o"], cwd=directory, check=True, capture_output=True, text=True)
    start, _ = symbol(debug, "wanted")
    return [int(at, 16) - 1 - start for at in re.findall(rf"([0-9a-f]+): R_X86_64_PLT32\s+{callee}-", listed.stdout)]


def around(offsets: list[int], count: float) -> list[Sample]:
    return [Sample(offset + byte, count) for offset in offsets for byte in range(5)]


def counts(profile: str) -> dict[int, int]:
    return {int(line): int(count) for line, count in re.findall(r"^ (\d+): (\d+)$", profile, re.MULTILINE)}


def test_lines_count_from_the_functions_own_and_only_its_own(command: CompileCommand, tmp_path: Path) -> None:
    debug = debug_object(command, None)
    _, size_bytes = symbol(debug, "wanted")
    samples = [*around(calls(debug, tmp_path, "often"), 100.0), *around(calls(debug, tmp_path, "rare"), 1.0)]
    profile = text_profile(debug, "wanted", size_bytes, samples)
    assert profile.startswith("wanted:1000000:1\n")
    found = counts(profile)
    assert max(found, key=lambda line: found[line]) == 7  # the line of often()
    assert 0 < found[5] < found[7]  # the line of rare()
    assert set(found) <= set(range(11))


def test_samples_of_other_code_are_not_used(command: CompileCommand, tmp_path: Path) -> None:
    debug = debug_object(command, None)
    _, size_bytes = symbol(debug, "wanted")
    samples = around(calls(debug, tmp_path, "often"), 100.0) + around([0, 10], 1.0)
    assert text_profile(debug, "wanted", size_bytes, samples)
    assert text_profile(debug, "wanted", size_bytes + 1, samples) == ""
    assert text_profile(debug, "wanted", size_bytes, samples[:3]) == ""
    assert text_profile(b"no object", "wanted", size_bytes, samples) == ""
    assert text_profile(debug, "absent", size_bytes, samples) == ""


def test_clang_lays_the_code_out_for_the_samples(command: CompileCommand, tmp_path: Path) -> None:
    debug = debug_object(command, None)
    _, size_bytes = symbol(debug, "wanted")
    configuration = next(one for one in portfolio("same") if "samples" in one.needs)
    bodies = {}
    for hot in ("rare", "often"):
        samples = tuple(around(calls(debug, tmp_path, hot), 1000.0) + around([size_bytes - 12], 1.0))
        context = ProposalContext(X86_64, "same", samples=samples)
        with Recompiler(command, context, True, size_bytes) as recompiler:
            text = recompiler.listing(configuration, "wanted").text
        function = listing_model.parse(text).function("wanted")
        assert function is not None
        bodies[hot] = normalised_text(function.body)
    assert bodies["rare"] != bodies["often"]


def test_without_samples_there_is_no_such_candidate(command: CompileCommand) -> None:
    configuration = next(one for one in portfolio("same") if "samples" in one.needs)
    with (
        Recompiler(command, ProposalContext(X86_64, "same"), True, 1) as recompiler,
        pytest.raises(RecompileError, match="too few samples"),
    ):
        recompiler.listing(configuration, "wanted")
