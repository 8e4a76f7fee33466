"""How many candidates of a function were tried, and what became of them.

Tried are the winner and those that screen, verify, rank, measure or select turned away; the numbers add up. Not tried are
those that could not be proposed, that there was no time for (budget), or that the function was given up with.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from compiler_ai.artifacts import OUT_OF_TIME, FunctionResult, Trial

_ORDER = ("propose", "screen", "verify", "rank", "measure", "select", OUT_OF_TIME)
_UNTRIED = (OUT_OF_TIME, "given up")
TOO_LATE = "not tried: out of time"


@dataclass(frozen=True)
class Tally:
    """Candidates by the stage that turned them away."""

    tried: int
    rejected: Mapping[str, int]
    not_tried: Mapping[str, int]

    @property
    def rejected_by(self) -> str:
        return _listed(self.rejected)

    @property
    def ran_out_of_time(self) -> bool:
        return OUT_OF_TIME in self.not_tried

    @property
    def is_too_late(self) -> bool:
        """Whether there was no time to try any."""
        return self.ran_out_of_time and not self.tried

    @property
    def left(self) -> str:
        return _listed(self.not_tried)


def tally(result: FunctionResult) -> Tally:
    """The counts of one function."""
    fates = Counter(_fate(trial) for trial in result.trials)
    if result.rewrite is not None:
        fates["select"] -= 1
    untried = Counter(one.stage.partition(".")[0] for one in result.not_proposed)
    for stage in _UNTRIED:
        untried[stage] += fates.pop(stage, 0)
    return Tally(fates.total() + (result.rewrite is not None), +fates, +untried)


def _fate(trial: Trial) -> str:
    if trial.rejection is not None:
        return trial.rejection.stage.partition(".")[0]
    return "select" if trial.timing is not None else "given up"  # select takes one of those that are faster


def _listed(counts: Mapping[str, int]) -> str:
    known = [f"{stage} {counts[stage]}" for stage in _ORDER if stage in counts]
    return ", ".join(known + [f"{stage} {n}" for stage, n in counts.items() if stage not in _ORDER])
