"""measure: is the candidate faster? Short looks at all of them first, the whole protocol for the few best."""

from __future__ import annotations

import time
from dataclasses import replace as replaced

from compiler_ai.artifacts import Rejection
from compiler_ai.store.trials import TrialCache
from compiler_ai.tune.judges import Judges
from compiler_ai.work import CandidateState, Context, FunctionWork

FINALISTS = 3


class Measure:
    """Gives the most promising candidates their timing; rejects whatever is not faster beyond doubt."""

    name = "measure"
    scope = "function"

    def __init__(self, trials: TrialCache, judges: Judges) -> None:
        self._trials = trials
        self._judges = judges

    def run(self, work: FunctionWork, context: Context) -> None:
        waiting = [state for state in work.alive if state.evidence is not None and state.object_bytes]
        unmeasured = [state for state in waiting if state.timing is None]
        if not unmeasured:
            return
        timer = self._judges.timer(work, context)
        looks: list[tuple[float, CandidateState]] = []
        for done, state in enumerate(unmeasured):
            if context.out_of_time:
                break
            context.progress(self.name, done, len(unmeasured), max((ratio for ratio, _ in looks), default=0.0))
            started_s = time.monotonic()
            try:
                looks.append((timer.look(state.object_bytes), state))
            except Exception as error:
                self._reject(work, state, Rejection("measure.failed", f"{type(error).__name__}: {error}"))
            state.seconds += time.monotonic() - started_s
        looks.sort(key=lambda look: -look[0])
        for rank, (ratio, state) in enumerate(looks):
            if rank >= FINALISTS or ratio < 1.0:
                why = f"about {ratio:.2f}x at a first look" + ("" if ratio < 1.0 else ", behind better candidates")
                self._reject(work, state, Rejection("measure.slower" if ratio < 1.0 else "measure.behind", why))
                continue
            if context.out_of_time:
                break
            context.progress(self.name, rank, min(FINALISTS, len(looks)), looks[0][0])
            started_s = time.monotonic()
            try:
                state.timing = timer.measure(state.object_bytes)
            except Exception as error:
                state.rejection = Rejection("measure.failed", f"{type(error).__name__}: {error}")
            state.seconds += time.monotonic() - started_s
            if state.timing is not None and not timer.accepts(state.timing):
                warm = state.timing.warm
                state.rejection = Rejection(
                    "measure.slower" if warm.high < 1 else "measure.same",
                    f"{warm.ratio:.3f}x [{warm.low:.3f}, {warm.high:.3f}]: not faster beyond doubt",
                )
            self._trials.append(work.baseline.key, state.trial())

    def _reject(self, work: FunctionWork, state: CandidateState, rejection: Rejection) -> None:
        state.rejection = rejection
        self._trials.append(work.baseline.key, replaced(state.trial(), timing=None))
