"""The earlier proposer: what other tunings have accepted for the same body of GCC's. So a tuning with less time, or with other luck, gives
nothing up: its own finds must be faster than the best of earlier ones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from compiler_ai.artifacts import Baseline, Candidate, Grade, Rejection, Trial
from compiler_ai.proposers.base import ProposalContext
from compiler_ai.store.errors import StoreError
from compiler_ai.store.store import Store
from compiler_ai.store.trials import TrialCache


class EarlierProposer:
    """Offers the fastest body that this machine's trial cache holds with evidence and a timing, whose verdict goes with it, and the one in
    the project's store, which is judged anew when the cache does not know it."""

    name = "earlier"

    def __init__(self, trials: TrialCache, project: Path) -> None:
        self._trials = trials
        self._project = project

    def propose(self, baseline: Baseline, context: ProposalContext) -> Iterator[Candidate | Rejection]:
        allowed = context.unit_features
        if context.isa != "same":
            allowed |= context.host_features
        fitting = [trial for trial in self._trials.load(baseline.key) if _is_accepted(trial)]
        fitting = [trial for trial in fitting if allowed.issuperset(trial.candidate.features)]
        if fitting:
            yield max(fitting, key=_low).candidate
        try:
            stored = Store(self._project).lookup(baseline.key, baseline.function, allowed)
        except StoreError as error:
            yield Rejection("propose", f"the store's own rewrite: {error}")
            return
        if stored is not None:
            yield stored.candidate


def _is_accepted(trial: Trial) -> bool:
    is_right = trial.evidence is not None and trial.evidence.grade >= Grade.TESTED
    return trial.rejection is None and is_right and trial.timing is not None


def _low(trial: Trial) -> float:
    return trial.timing.warm.low if trial.timing is not None else 0.0
