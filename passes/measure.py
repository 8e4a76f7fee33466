"""measure: is the candidate faster? The placement protocol for each verified candidate."""

from __future__ import annotations

import time

from compiler_ai.artifacts import Rejection
from compiler_ai.store.trials import TrialCache
from compiler_ai.tune.judges import Judges
from compiler_ai.work import Context, FunctionWork, give_up

FINALISTS = 3


class Measure:
    """Gives verified candidates their timing; rejects whatever is not faster beyond doubt."""

    name = "measure"
    scope = "function"

    def __init__(self, trials: TrialCache, judges: Judges) -> None:
        self._trials = trials
        self._judges = judges

    def run(self, work: FunctionWork, context: Context) -> None:
        waiting = [
            state for state in work.alive if state.evidence is not None and state.object_bytes and state.timing is None
        ]
        if not waiting:
            return
        timer = self._judges.timer(work, context)
        best = 0.0
        for done, state in enumerate(waiting):
            if done >= FINALISTS:
                state.rejection = Rejection("rank.behind", f"behind the {FINALISTS} that were measured")
                continue
            if context.out_of_time:
                give_up(waiting[done:])
                break
            context.progress(self.name, done, min(FINALISTS, len(waiting)), best)
            started_s = time.monotonic()
            try:
                state.timing = timer.measure(state.object_bytes)
            except Exception as error:
                state.rejection = Rejection("measure.failed", f"{type(error).__name__}: {error}")
            state.seconds += time.monotonic() - started_s
            if state.timing is not None:
                warm = state.timing.warm
                best = max(best, warm.ratio)
                if not timer.accepts(state.timing):
                    stage = "measure.slower" if warm.high < 1 else "measure.same"
                    reason = f"{warm.ratio:.3f}x [{warm.low:.3f}, {warm.high:.3f}]: not faster beyond doubt"
                    state.rejection = Rejection(stage, reason)
            self._trials.append(work.baseline.key, state.trial())
