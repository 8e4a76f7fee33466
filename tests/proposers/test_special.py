"""What one instruction does is done by it where the policy allows it, and passes the screen; never where the unit's flags do not."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
from compiler_ai.toolchains.x86_64 import X86_64

from compiler_ai.artifacts import Baseline, Candidate, CompileCommand
from compiler_ai.asm import listing as listing_model
from compiler_ai.asm.splice import replace
from compiler_ai.proposers.base import IsaPolicy, ProposalContext
from compiler_ai.proposers.search import SearchProposer
from compiler_ai.screen.gate import Screener
from compiler_ai.tune.plan import function_sizes

ASSEMBLER = ("as", "--64")
HOST = frozenset(
    {"popcnt", "abm", "lzcnt", "bmi", "bmi2", "movbe", "sse3", "ssse3", "sse4.1", "sse4.2", "avx", "avx2", "fma"}
)
SOURCE = """
int set_bits(unsigned long x) { int n = 0; for (; x; x &= x - 1) n++; return n; }
int lowest(unsigned long x) { return x ? __builtin_ctzl(x) : 64; }
int highest(unsigned long x) { return x ? __builtin_clzl(x) : 64; }
unsigned long shifted(unsigned long x, int by, int more) { return (x << by) ^ (x >> more); }
unsigned int swapped(const unsigned char *p)
{ return (unsigned)p[0] << 24 | p[1] << 16 | p[2] << 8 | p[3]; }
unsigned long without(unsigned long x, unsigned long y) { return x & ~y; }
"""
CASES = {
    "set_bits": ("popcnt", "popcnt"),
    "lowest": ("tzcnt", "bmi"),
    "highest": ("lzcnt", "lzcnt"),
    "shifted": ("shlx", "bmi2"),
    "swapped": ("movbe", "movbe"),
    "without": ("andn", "bmi"),
}


@pytest.fixture(scope="module")
def unit(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, CompileCommand]:
    directory = tmp_path_factory.mktemp("special")
    source = directory / "unit.c"
    source.write_text(SOURCE)
    subprocess.run(["gcc", "-O3", "-S", "unit.c", "-o", "unit.s"], cwd=directory, check=True)
    command = CompileCommand(("gcc",), ("-O3",), str(source), str(directory / "unit.o"), str(directory), X86_64.name)
    return (directory / "unit.s").read_text(), command


def candidates(unit: tuple[str, CompileCommand], function: str, isa: IsaPolicy, shared: Path) -> Iterator[Candidate]:
    text, command = unit
    context = ProposalContext(X86_64, isa, host_features=HOST, budget_s=600.0, shared=shared)
    baseline = Baseline(function, command, text, "0" * 64, function_sizes(text)[function])
    return (one for one in SearchProposer().propose(baseline, context) if isinstance(one, Candidate))


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shared")


@pytest.mark.parametrize("function", CASES)
def test_it_is_proposed_with_its_extension_and_passes_the_screen(
    unit: tuple[str, CompileCommand], function: str, shared: Path
) -> None:
    instruction, feature = CASES[function]
    uses = re.compile(rf"^\s+{instruction}[a-z]?\s", re.MULTILINE)
    candidate = next(one for one in candidates(unit, function, "native", shared) if uses.search(one.body))
    assert feature in candidate.features
    text, _ = unit
    screener = Screener(text, function, X86_64, ASSEMBLER)
    spliced = replace(listing_model.parse(text), function, candidate, function_sizes(text)[function])
    result = screener.screen(candidate, spliced)
    assert result.rejection is None
    assert result.object_bytes


@pytest.mark.parametrize("function", CASES)
def test_without_leave_it_is_not(unit: tuple[str, CompileCommand], function: str, shared: Path) -> None:
    instruction, _ = CASES[function]
    for candidate in islice(candidates(unit, function, "same", shared), 2):
        assert not candidate.features
        if instruction != "tzcnt":  # which is rep bsf, and right on every processor where the input is not zero
            assert not re.search(rf"^\s+{instruction}[a-z]?\s", candidate.body, re.MULTILINE)
