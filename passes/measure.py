"""measure: is the candidate faster? The placement protocol for each verified candidate."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from compiler_ai.artifacts import Rejection
from compiler_ai.emit.judged import dispatched_object, is_dispatched
from compiler_ai.measure.timing import Timer
from compiler_ai.store.trials import TrialCache
from compiler_ai.tune.judges import ASSEMBLER, Judges
from compiler_ai.work import FINALISTS, CandidateState, Context, FunctionWork, give_up


class Measure:
    """Gives verified candidates their timing; rejects whatever is not faster beyond doubt."""

    name = "measure"
    scope = "function"

    def __init__(self, trials: TrialCache, judges: Judges) -> None:
        self._trials = trials
        self._judges = judges

    def run(self, work: FunctionWork, context: Context) -> None:
        waiting = [
            state
            for state in work.alive
            if state.evidence is not None and state.object_bytes and (state.timing is None or _is_stale(state, context))
        ]
        if not waiting:
            return
        timer = self._judges.timer(work, context)
        best = 0.0
        for done, state in enumerate(waiting):
            if done >= FINALISTS:
                state.rejection = Rejection("rank.behind", f"behind the {FINALISTS} that were measured")
                continue
            if done and context.out_of_time:  # evidence costs more than a timing: one is made of it in any case
                give_up(waiting[done:])
                break
            context.progress(self.name, done, min(FINALISTS, len(waiting)), best)
            give_timing(state, timer, partial(_as_emitted, work, state, context))
            if state.timing is not None:
                best = max(best, state.timing.warm.ratio)
            self._trials.append(work.baseline.key, state.trial())


def give_timing(state: CandidateState, timer: Timer, emitted: Callable[[], bytes]) -> None:
    """Times what `emitted` gives, the candidate's object as a build will have it; rejects it when that fails or it is not faster
    beyond doubt."""
    started_s = time.monotonic()
    try:
        state.timing = timer.measure(emitted())
    except Exception as error:  # a candidate that we cannot time is not used
        state.rejection = Rejection("measure.failed", f"{type(error).__name__}: {error}")
    state.seconds += time.monotonic() - started_s
    if state.timing is not None and not timer.accepts(state.timing):
        warm = state.timing.warm
        stage = "measure.slower" if warm.high < 1 else "measure.same"
        reason = f"{warm.ratio:.3f}x [{warm.low:.3f}, {warm.high:.3f}]: not faster beyond doubt"
        state.rejection = Rejection(stage, reason)


def _is_stale(state: CandidateState, context: Context) -> bool:
    """A remembered timing may be from a tuning without dispatch, so without the check that each call makes."""
    return state.remembered and is_dispatched(state.candidate, context.options)


def _as_emitted(work: FunctionWork, state: CandidateState, context: Context) -> bytes:
    """The object as a build will have it: with the CPU check where there will be one. Raises SpliceError, AssembleError."""
    if is_dispatched(state.candidate, context.options):
        return dispatched_object(work.listing, state.candidate, context.toolchain, ASSEMBLER)
    return state.object_bytes
