"""What could not be judged, remembered or stored: not this run's loss, nor for good."""

from __future__ import annotations

from pathlib import Path

import pytest
from compiler_ai.passes.propose import Propose
from compiler_ai.passes.select import Select
from compiler_ai.toolchains.x86_64 import X86_64
from made_work import TEXT, made_context, made_work

from compiler_ai import artifacts as a
from compiler_ai.store.errors import StoreError
from compiler_ai.store.store import Store
from compiler_ai.store.trials import TrialCache, digest
from compiler_ai.work import CandidateState, Context, FunctionWork

CANDIDATE = a.Candidate("f", "\tnop\n\tret\n")


class Offers:
    """A proposer with one candidate."""

    name = "offers"

    def propose(self, _baseline: a.Baseline, _context: object) -> list[a.Candidate]:
        return [CANDIDATE]


@pytest.fixture
def work() -> FunctionWork:
    return made_work(0)


@pytest.fixture
def context(tmp_path: Path) -> Context:
    return made_context(tmp_path, 600.0)


@pytest.mark.parametrize(
    ("stage", "remembered"),
    [
        ("verify.refuted", True),
        ("screen.text", True),
        ("rank.behind", False),
        ("verify.failed", False),
        ("measure.failed", False),
    ],
)
def test_only_verdicts_over_the_candidate_itself_are_remembered(
    work: FunctionWork, context: Context, tmp_path: Path, stage: str, remembered: bool
) -> None:
    trials = TrialCache(tmp_path, X86_64.name, "machine", "judges")
    trials.append("a" * 64, a.Trial(CANDIDATE, digest(CANDIDATE), a.Rejection(stage, "the runner failed")))
    Propose([Offers()], trials).run(work, context)
    (state,) = work.candidates
    assert (state.remembered, state.alive) == (remembered, not remembered)


def test_a_trial_cache_that_cannot_be_written_is_said_once_and_costs_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    said: list[str] = []
    trials = TrialCache(tmp_path / "file", X86_64.name, "machine", "judges", lambda error: said.append(str(error)))
    for _ in range(3):
        trials.append("a" * 64, a.Trial(CANDIDATE, digest(CANDIDATE)))
    assert len(said) == 1
    assert said[0].startswith(f"cannot write the trial cache in {tmp_path}")


def test_what_the_store_does_not_hold_is_no_rewrite(work: FunctionWork, context: Context) -> None:
    timing = a.Timing(a.Interval(1.5, 1.4, 1.6), None)
    evidence = a.Evidence(a.Grade.TESTED)
    work.candidates = [CandidateState(CANDIDATE, "d", TEXT, b"object", evidence=evidence, timing=timing)]

    context.project.write_text("no directory")
    with pytest.raises(StoreError, match="cannot make"):
        Select().run(work, context)
    assert work.rewrite is None
    context.project.unlink()
    Select().run(work, context)
    assert work.rewrite is not None
    assert Store(context.project).names() != ()
