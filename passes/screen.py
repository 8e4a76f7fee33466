"""screen: candidates are hostile input; nothing is assembled before its text has been read."""

from __future__ import annotations

import time
from collections.abc import Sequence

from compiler_ai.artifacts import Rejection
from compiler_ai.asm.normalise import UnknownFunctionError, covered, uncovered
from compiler_ai.asm.splice import replace
from compiler_ai.passmanager import PassError
from compiler_ai.screen.gate import Screener, ScreenError
from compiler_ai.store.trials import TrialCache
from compiler_ai.tune.features import unit_features
from compiler_ai.work import Context, FunctionWork, in_time


class Screen:
    """Gives every candidate that passes its spliced listing and its object; records why the others do not."""

    name = "screen"
    scope = "function"
    repeats = True

    def __init__(self, trials: TrialCache, assembler: Sequence[str]) -> None:
        self._trials = trials
        self._assembler = assembler
        self._screener: tuple[FunctionWork, Screener, frozenset[str]] | None = None  # of the function at work

    def run(self, work: FunctionWork, context: Context) -> None:
        waiting = [state for state in work.alive if not state.object_bytes]
        if not waiting:
            return
        baseline = work.baseline
        screener, known = self._screener_of(work, context)
        for done, state in in_time(waiting, context):
            context.progress(self.name, done, len(waiting), 0.0)
            started_s = time.monotonic()
            try:
                state.spliced_text = replace(work.listing, baseline.function, state.candidate, baseline.size_bytes)
                result = screener.screen(state.candidate, state.spliced_text)
                state.object_bytes, state.rejection = result.object_bytes, result.rejection
                missing = uncovered(work.listing, baseline.function, state.candidate, known)
                if state.rejection is None and missing:
                    reason = f"it refers to {missing[0]} and GCC's body does not, so the key says nothing of it"
                    state.rejection = Rejection("screen.key", reason)
            except Exception as error:  # a candidate that we cannot judge is not used
                state.rejection = Rejection("screen.failed", f"{type(error).__name__}: {error}")
            state.seconds += time.monotonic() - started_s
            if state.rejection is not None:
                self._trials.append(baseline.key, state.trial())

    def _screener_of(self, work: FunctionWork, context: Context) -> tuple[Screener, frozenset[str]]:
        """The gate of this function and what its key covers, found out once. Raises PassError."""
        baseline = work.baseline
        if self._screener is None or self._screener[0] is not work:
            try:
                features = unit_features(baseline.command, context.toolchain)
                made = Screener(baseline.listing_text, baseline.function, context.toolchain, self._assembler, features)
                known = covered(work.listing, baseline.function)
            except (ScreenError, UnknownFunctionError) as error:
                raise PassError(str(error)) from error
            self._screener = (work, made, known)
        return self._screener[1:]
