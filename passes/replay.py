"""replay: the captured calls alone, for every candidate: cheap, and enough to refute most wrong bodies."""

from __future__ import annotations

import time

from compiler_ai.artifacts import Rejection
from compiler_ai.passmanager import PassError
from compiler_ai.sandbox.errors import OutOfTimeError
from compiler_ai.store.trials import TrialCache
from compiler_ai.tune.judges import Judges
from compiler_ai.work import Context, FunctionWork, give_up, in_time


class Replay:
    """Rejects candidates that differ from the baseline on a captured call. What passes is not verified yet."""

    name = "replay"
    scope = "function"
    repeats = True

    def __init__(self, trials: TrialCache, judges: Judges) -> None:
        self._trials = trials
        self._judges = judges

    def run(self, work: FunctionWork, context: Context) -> None:
        waiting = [
            state for state in work.alive if state.object_bytes and state.evidence is None and not state.replayed
        ]
        if not waiting:
            return
        context.progress(self.name, 0, len(waiting), 0.0)
        try:
            with self._judges.in_time(context):
                verifier = self._judges.verifier(work, context)
        except OutOfTimeError:
            give_up(waiting)
            raise PassError("out of time before its captured calls were replayed: give it more with --budget") from None
        if verifier.unusable:
            raise PassError(verifier.unusable)
        for done, state in in_time(waiting, context):
            context.progress(self.name, done, len(waiting), 0.0)
            started_s = time.monotonic()
            try:
                found = verifier.replay(state.object_bytes)
                if found is not None:
                    state.rejection = Rejection("verify.refuted", f"{found.test}: {found.difference}")
            except Exception as error:  # a candidate that we cannot judge is not used
                state.rejection = Rejection("verify.failed", f"{type(error).__name__}: {error}")
            state.replayed = state.rejection is None
            state.seconds += time.monotonic() - started_s
            if state.rejection is not None:
                self._trials.append(work.baseline.key, state.trial())
