"""What earlier tunings accepted takes part in the next one, so that one with less time gives nothing up."""

from __future__ import annotations

from pathlib import Path

import pytest
from compiler_ai.toolchains.x86_64 import X86_64

from compiler_ai.artifacts import (
    Baseline,
    Candidate,
    CompileCommand,
    Evidence,
    Grade,
    Interval,
    Rejection,
    Rewrite,
    Timing,
    Trial,
)
from compiler_ai.proposers.base import ProposalContext
from compiler_ai.proposers.earlier import EarlierProposer
from compiler_ai.store.store import Store
from compiler_ai.store.trials import TrialCache, digest

KEY = "a" * 64
BASELINE = Baseline("f", CompileCommand(("gcc",), (), "/p/x.c", "/p/x.o", "/p", X86_64.name), "", KEY, 1)
CONTEXT = ProposalContext(X86_64)


def candidate(number: int, *features: str) -> Candidate:
    return Candidate("f", f"\tmov\t${number}, %eax\n\tret\n", proposer="search", features=features)


def timing(ratio: float) -> Timing:
    return Timing(Interval(ratio, ratio - 0.1, ratio + 0.1), None)


@pytest.fixture
def trials(tmp_path: Path) -> TrialCache:
    return TrialCache(tmp_path / "trials", X86_64.name, "a machine", "judges")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    directory = tmp_path / "p" / ".aicc"
    directory.mkdir(parents=True)
    return directory


def tried(
    trials: TrialCache, body: Candidate, ratio: float, grade: Grade = Grade.TESTED, rejected: Rejection | None = None
) -> None:
    trials.append(KEY, Trial(body, digest(body), rejected, Evidence(grade), timing(ratio)))


def test_the_fastest_accepted_body_is_offered_again(trials: TrialCache, project: Path) -> None:
    for number, ratio in enumerate((1.3, 4.6, 4.0)):
        tried(trials, candidate(number), ratio)
    assert list(EarlierProposer(trials, project).propose(BASELINE, CONTEXT)) == [candidate(1)]


def test_what_was_rejected_or_lacks_evidence_is_not(trials: TrialCache, project: Path) -> None:
    tried(trials, candidate(1), 2.0, rejected=Rejection("measure.same", "1.0x"))
    tried(trials, candidate(2), 2.0, Grade.UNKNOWN)
    assert list(EarlierProposer(trials, project).propose(BASELINE, CONTEXT)) == []


def test_the_stores_own_rewrite_competes_where_the_cache_does_not_know_it(trials: TrialCache, project: Path) -> None:
    evidence = Evidence(Grade.TESTED, 1, 2, 3, 4, 4)
    Store(project).add(Rewrite(KEY, candidate(7), evidence, timing(1.5), X86_64.name, "/p/x.c", 64))
    assert list(EarlierProposer(trials, project).propose(BASELINE, CONTEXT)) == [candidate(7)]


def test_instructions_that_a_build_may_not_use_are_not_offered(trials: TrialCache, project: Path) -> None:
    tried(trials, candidate(1, "avx2"), 3.0)
    tried(trials, candidate(2), 1.2)
    native = ProposalContext(X86_64, "native", host_features=frozenset({"avx2"}))
    proposer = EarlierProposer(trials, project)
    assert list(proposer.propose(BASELINE, CONTEXT)) == [candidate(2)]
    assert list(proposer.propose(BASELINE, native)) == [candidate(1, "avx2")]


def test_a_store_that_cannot_be_read_costs_a_line(trials: TrialCache, project: Path) -> None:
    (project / "store").mkdir()
    (project / "store" / "lock.toml").write_text("version = 999\n")
    (found,) = EarlierProposer(trials, project).propose(BASELINE, CONTEXT)
    assert isinstance(found, Rejection)
