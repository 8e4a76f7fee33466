"""Every candidate of the search proposer, spliced into GCC's listing, makes a program that does the same."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from compiler_ai.toolchains.x86_64 import X86_64

from compiler_ai.artifacts import Baseline, Candidate, CompileCommand, Rejection
from compiler_ai.asm import listing as listing_model
from compiler_ai.asm.normalise import body_key
from compiler_ai.asm.splice import replace
from compiler_ai.driver.host import features
from compiler_ai.proposers.base import ProposalContext
from compiler_ai.proposers.search import SearchProposer
from compiler_ai.tune.plan import function_sizes

SOURCE = Path(__file__).with_name("callees.c")
# Which registers callers in the unit rely on is the verifier's business (asm.ipa_ra): here they rely on the ABI alone.
FLAGS = ("-O3", "-fno-ipa-ra")


def proposals(
    function: str, directory: Path, source: Path = SOURCE, budget_s: float = 600.0
) -> tuple[str, list[Candidate], list[Rejection]]:
    """GCC's listing of the source, and all that the search proposer says to one of its functions."""
    listing = directory / "unit.s"
    subprocess.run(["gcc", *FLAGS, "-S", str(source), "-o", str(listing)], check=True)
    text = listing.read_text()
    command = CompileCommand(("gcc",), FLAGS, str(source), str(directory / "unit.o"), str(directory), X86_64.name)
    baseline = Baseline(function, command, text, body_key(listing_model.parse(text), function, FLAGS, None))
    context = ProposalContext(X86_64, "same", host_features=features(X86_64), budget_s=budget_s)
    found = list(SearchProposer().propose(baseline, context))
    candidates = [one for one in found if isinstance(one, Candidate)]
    return text, candidates, [one for one in found if isinstance(one, Rejection)]


def output_of(listing: str, directory: Path) -> str:
    """What the program made of this listing prints."""
    (directory / "try.s").write_text(listing)
    subprocess.run(["gcc", "try.s", "-o", "try"], cwd=directory, check=True)
    return subprocess.run(["./try"], cwd=directory, check=True, capture_output=True, text=True, timeout=60).stdout


@pytest.mark.parametrize("function", ["sort_nodes", "chosen", "classify", "counted"])
def test_programs_with_a_candidate_do_the_same(function: str, tmp_path: Path) -> None:
    text, candidates, _ = proposals(function, tmp_path)
    expected, size_bytes = output_of(text, tmp_path), function_sizes(text)[function]
    assert {one.origin.split()[0] for one in candidates} == {"gcc", "clang", "llvm"}
    for candidate in candidates:
        spliced = replace(listing_model.parse(text), function, candidate, size_bytes)
        assert output_of(spliced, tmp_path) == expected, candidate.origin


def test_local_callees_come_along_as_subroutines(tmp_path: Path) -> None:
    _, candidates, _ = proposals("sort_nodes", tmp_path)
    brought = [one for one in candidates if one.origin.startswith("clang") and "_fn_lesser:" in one.body]
    assert brought
    for candidate in brought:
        assert candidate.body.count(".cfi_startproc") == candidate.body.count(".cfi_endproc") >= 2
        assert "call" in candidate.body


def test_a_function_that_is_pointed_to_stays_gccs(tmp_path: Path) -> None:
    _, candidates, _ = proposals("chosen", tmp_path)
    assert candidates
    for candidate in candidates:
        assert "by_key" in candidate.body + candidate.extra
        assert "fn_by_key" not in candidate.body + candidate.extra


def test_what_there_was_no_time_to_compile_is_no_failure_of_a_configuration(tmp_path: Path) -> None:
    _, candidates, rejections = proposals("chosen", tmp_path, budget_s=0.0)
    assert candidates == []
    assert {one.stage for one in rejections} == {"budget"}
