"""Counts of arcs against libgcov's own, and what GCC makes of them."""

from __future__ import annotations

import re
import struct
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from compiler_ai.toolchains.x86_64 import X86_64

from compiler_ai.artifacts import CompileCommand
from compiler_ai.asm import listing as listing_model
from compiler_ai.asm.normalise import normalised_text
from compiler_ai.errors import AiccError
from compiler_ai.proposers.arcs import COUNTING, ArcsError, CountedUnit, counted_unit, gcda, profile_in
from compiler_ai.proposers.base import ProposalContext
from compiler_ai.proposers.configurations import portfolio
from compiler_ai.proposers.recompile import Recompiler
from compiler_ai.proposers.runs import RecompileError

HERE = Path(__file__).parent
SOURCE, MAIN = HERE / "arcs.c", HERE / "arcs_main.c"
LETTERS, OTHERS = '"onlylettersallalong"', '"0123 4567 89!! 0123"'


def instrumented(directory: Path) -> Path:
    out = directory / "unit.s"
    subprocess.run(
        ["gcc", "-O3", *COUNTING, *profile_in(directory)[1], "-S", "-o", out, SOURCE], cwd=directory, check=True
    )
    return out


def told(path: Path) -> set[str]:
    """What GCC's own reader says of each function's arcs in a profile."""
    said = subprocess.run(["gcov-dump", "-l", path], capture_output=True, text=True, check=True).stdout
    lines = [line.partition(": ")[2].strip() for line in said.splitlines()]
    kept = "\n".join(line for line in lines if re.match(r"01000000|01a10000|\d+: \d", line))
    return set(re.split(r"\n(?=01000000)", kept))


def program_says(directory: Path, text: str) -> tuple[Path, dict[str, bytes]]:
    """The profile that the program itself writes about its calls, and the counters in it."""
    listing, program = instrumented(directory), directory / "counting"
    words = ["gcc", "-O2", f"-DTEXT={text}", "-o", program, listing, MAIN, "-lgcov"]
    subprocess.run(words, cwd=directory, check=True)
    subprocess.run([program], cwd=directory, check=True)
    found = directory / "unit.gcda"
    return found, values_in(found.read_bytes(), counted_unit(listing.read_text()))


def values_in(profile: bytes, unit: CountedUnit) -> dict[str, bytes]:
    found = {}
    for one in unit.functions:
        at = profile.index(struct.pack("<5I", 0x01000000, 12, *one.marks)) + 20
        tag, size = struct.unpack_from("<Ii", profile, at)
        assert tag == 0x01A10000
        found[one.counters] = profile[at + 8 : at + 8 + size] if size > 0 else bytes(-size)
    return found


def test_the_file_is_what_libgcov_writes_of_the_same_counts(tmp_path: Path) -> None:
    theirs, values = program_says(tmp_path, LETTERS)
    ours = tmp_path / "ours.gcda"
    ours.write_bytes(gcda(counted_unit((tmp_path / "unit.s").read_text()), values))
    assert told(ours) == told(theirs)
    assert sum("COUNTERS arcs" in function for function in told(ours)) == 2


@pytest.mark.parametrize("change", [("LPBX0:", "LPBX9:"), ("1110585898", "1093677906")])  # "B22*", "A02R"
def test_a_listing_that_counts_otherwise_is_refused(tmp_path: Path, change: tuple[str, str]) -> None:
    text = instrumented(tmp_path).read_text()
    with pytest.raises(ArcsError):
        counted_unit(text.replace(*change))


def test_gcc_compiles_by_the_counts(tmp_path: Path) -> None:
    command = CompileCommand(("gcc",), ("-O3",), str(SOURCE), str(tmp_path / "arcs.o"), str(tmp_path), X86_64.name)
    configuration = next(one for one in portfolio("same") if one.label == "gcc -O3 -fprofile-use")
    bodies = {}
    for text in (LETTERS, OTHERS):
        directory = tmp_path / text.strip('"')
        directory.mkdir()
        _, values = program_says(directory, text)

        def count(_listing: str, sizes: Mapping[str, int], found: dict[str, bytes] = values) -> dict[str, bytes]:
            assert {name: len(held) for name, held in found.items()} == sizes
            return found

        with Recompiler(command, ProposalContext(X86_64, count=count, shared=tmp_path), True) as recompiler:
            recompiler.count_arcs(fuses=False)
            listing = listing_model.parse(recompiler.listing(configuration, "weighed").text)
        function = listing.function("weighed")
        assert function is not None
        bodies[text] = normalised_text(function.body)
    assert bodies[LETTERS] != bodies[OTHERS]


def test_without_counts_there_is_no_such_candidate_and_it_is_said_why(tmp_path: Path) -> None:
    command = CompileCommand(("gcc",), ("-O3",), str(SOURCE), str(tmp_path / "arcs.o"), str(tmp_path), X86_64.name)
    configuration = next(one for one in portfolio("same") if one.label == "gcc -O3 -fprofile-use")

    def count(_listing: str, _sizes: Mapping[str, int]) -> dict[str, bytes]:
        raise AiccError("nothing was captured")

    with Recompiler(command, ProposalContext(X86_64, count=count), True) as recompiler:
        recompiler.count_arcs(fuses=False)
        with pytest.raises(RecompileError, match="the captured calls cannot be counted: nothing was captured"):
            recompiler.listing(configuration, "weighed")
