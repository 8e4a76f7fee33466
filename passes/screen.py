"""screen: candidates are hostile input; nothing is assembled before its text has been read."""

from __future__ import annotations

import time
from collections.abc import Sequence

from compiler_ai.artifacts import Rejection
from compiler_ai.asm.splice import replace
from compiler_ai.screen.gate import screen
from compiler_ai.store.trials import TrialCache
from compiler_ai.work import Context, FunctionWork


class Screen:
    """Gives every candidate that passes its spliced listing and its object; records why the others do not."""

    name = "screen"
    scope = "function"

    def __init__(self, trials: TrialCache, assembler: Sequence[str]) -> None:
        self._trials = trials
        self._assembler = assembler

    def run(self, work: FunctionWork, context: Context) -> None:
        waiting = work.alive
        for done, state in enumerate(waiting):
            if context.out_of_time:
                break
            context.progress(self.name, done, len(waiting), 0.0)
            started_s = time.monotonic()
            try:
                state.spliced_text = replace(
                    work.listing, work.baseline.function, state.candidate, work.baseline.size_bytes
                )
                result = screen(
                    state.candidate,
                    work.baseline.listing_text,
                    work.baseline.function,
                    state.spliced_text,
                    context.toolchain,
                    self._assembler,
                )
                state.object_bytes, state.rejection = result.object_bytes or b"", result.rejection
            except Exception as error:  # a candidate that we cannot judge is not used
                state.rejection = Rejection("screen.failed", f"{type(error).__name__}: {error}")
            state.seconds += time.monotonic() - started_s
            if state.rejection is not None:
                self._trials.append(work.baseline.key, state.trial())
