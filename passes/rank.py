"""rank: a short look at how fast each candidate is, so that verification and measurement go to those worth it."""

from __future__ import annotations

import time

from compiler_ai.artifacts import Rejection
from compiler_ai.store.trials import TrialCache
from compiler_ai.tune.judges import Judges
from compiler_ai.work import CandidateState, Context, FunctionWork, in_time

KEPT = 6
_WORTH_IT = 1.0


class Rank:
    """Orders the candidates by a first look and keeps the best; a look is no evidence and ends up in no figure."""

    name = "rank"
    scope = "function"

    def __init__(self, trials: TrialCache, judges: Judges) -> None:
        self._trials = trials
        self._judges = judges

    def run(self, work: FunctionWork, context: Context) -> None:
        waiting = [state for state in work.alive if state.object_bytes and state.timing is None]
        if not waiting:
            return
        timer = self._judges.timer(work, context)
        looks: list[tuple[float, CandidateState]] = []
        for done, state in in_time(waiting, context):
            context.progress(self.name, done, len(waiting), max((ratio for ratio, _ in looks), default=0.0))
            started_s = time.monotonic()
            try:
                looks.append((timer.look(state.object_bytes), state))
            except Exception as error:
                self._reject(work, state, Rejection("measure.failed", f"{type(error).__name__}: {error}"))
            state.seconds += time.monotonic() - started_s
        looks.sort(key=lambda look: -look[0])
        for position, (ratio, state) in enumerate(looks):
            if ratio < _WORTH_IT:
                self._reject(work, state, Rejection("rank.slower", f"about {ratio:.2f}x at a first look"))
            elif position >= KEPT:
                self._reject(
                    work, state, Rejection("rank.behind", f"about {ratio:.2f}x at a first look, behind {KEPT} others")
                )
        order = {id(state): position for position, (_, state) in enumerate(looks)}
        work.candidates.sort(key=lambda state: order.get(id(state), len(order)))

    def _reject(self, work: FunctionWork, state: CandidateState, rejection: Rejection) -> None:
        state.rejection = rejection
        self._trials.append(work.baseline.key, state.trial())
