"""verify: does the candidate behave as its baseline? What is not shown to is not used."""

from __future__ import annotations

import time

from compiler_ai.artifacts import Grade, Rejection
from compiler_ai.passmanager import PassError
from compiler_ai.store.trials import TrialCache
from compiler_ai.tune.judges import Judges
from compiler_ai.verify.engine import Verifier
from compiler_ai.work import FINALISTS, CandidateState, Context, FunctionWork, give_up, in_time

_MEASURING_S = 10.0  # what measuring one candidate takes at most


class Verify:
    """Gives candidates their evidence, in the order of their ranks; rejects those below the grade that -faicc-verify asks for.

    It ends with as many as are measured, or when time is left only for measuring those that there are."""

    name = "verify"
    scope = "function"

    def __init__(self, trials: TrialCache, judges: Judges) -> None:
        self._trials = trials
        self._judges = judges

    def run(self, work: FunctionWork, context: Context) -> None:
        waiting = [state for state in work.alive if state.object_bytes]
        undecided = [state for state in waiting if state.evidence is None]
        if not undecided:
            return
        wanted = Grade[context.options.values["verify"].upper()]
        verifier = self._judges.verifier(work, context)
        reason = verifier.unusable
        if reason:
            raise PassError(reason)
        longest_s = 0.0
        verified = sum(state.evidence is not None for state in waiting)
        for done, state in in_time(undecided, context):
            if verified >= FINALISTS:
                state.rejection = Rejection("rank.behind", f"behind {FINALISTS} that are to be measured")
                continue
            if verified and context.remaining_s < longest_s + _MEASURING_S:
                give_up(undecided[done:])
                break
            context.progress(self.name, done, len(undecided), 0.0)
            longest_s = max(longest_s, give_evidence(state, verifier, wanted))
            verified += state.alive
            self._trials.append(work.baseline.key, state.trial())


def give_evidence(state: CandidateState, verifier: Verifier, wanted: Grade) -> float:
    """Checks a candidate and rejects it below the grade `wanted`, or when it cannot be judged; returns the seconds that it took."""
    started_s = time.monotonic()
    try:
        state.evidence = verifier.check(state.object_bytes)
    except Exception as error:  # a candidate that we cannot judge is not used
        state.rejection = Rejection("verify.failed", f"{type(error).__name__}: {error}")
    took_s = time.monotonic() - started_s
    state.seconds += took_s
    if state.evidence is not None and state.evidence.grade < wanted:
        state.rejection = Rejection(f"verify.{state.evidence.grade.name.lower()}", _why(state.evidence))
    return took_s


def _why(evidence: object) -> str:
    """The counterexample, or why the grade is no better, in a line."""
    counterexample = getattr(evidence, "counterexample", None)
    if counterexample is not None:
        return f"{counterexample.test}: {counterexample.difference}"
    notes = getattr(evidence, "notes", ())
    return notes[0] if notes else "the evidence does not reach the grade asked for"
