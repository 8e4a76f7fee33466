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
    repeats = True

    def __init__(self, trials: TrialCache, judges: Judges) -> None:
        self._trials = trials
        self._judges = judges

    def run(self, work: FunctionWork, context: Context) -> None:
        waiting = [state for state in work.alive if state.object_bytes and state.timing is None and state.look is None]
        if waiting:
            self._look(waiting, work, context)
        looks = [(state.look, state) for state in work.alive if state.look is not None]
        looks.sort(key=lambda look: -look[0])
        for ratio, state in looks[KEPT:]:
            reason = f"about {ratio:.2f}x at a first look, behind {KEPT} others"
            self._reject(work, state, Rejection("rank.behind", reason))
        order = {id(state): position for position, (_, state) in enumerate(looks)}
        work.candidates.sort(key=lambda state: order.get(id(state), len(order)))

    def _look(self, waiting: list[CandidateState], work: FunctionWork, context: Context) -> None:
        timer = self._judges.timer(work, context)
        for done, state in in_time(waiting, context):
            best = max((known.look or 0.0 for known in work.candidates), default=0.0)
            context.progress(self.name, done, len(waiting), best)
            started_s = time.monotonic()
            try:
                state.look = timer.look(state.object_bytes)
            except Exception as error:
                self._reject(work, state, Rejection("measure.failed", f"{type(error).__name__}: {error}"))
            state.seconds += time.monotonic() - started_s
            if state.look is not None and state.look < _WORTH_IT:
                self._reject(work, state, Rejection("rank.slower", f"about {state.look:.2f}x at a first look"))

    def _reject(self, work: FunctionWork, state: CandidateState, rejection: Rejection) -> None:
        state.rejection = rejection
        self._trials.append(work.baseline.key, state.trial())
