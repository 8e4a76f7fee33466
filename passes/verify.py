"""verify: does the candidate behave as its baseline? What is not shown to is not used."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from compiler_ai.artifacts import OUT_OF_TIME, Evidence, Grade, Rejection
from compiler_ai.passmanager import PassError
from compiler_ai.sandbox.errors import OutOfTimeError
from compiler_ai.store.trials import TrialCache
from compiler_ai.tune.judges import Judges
from compiler_ai.verify.engine import Verifier
from compiler_ai.verify.judge import Judgement
from compiler_ai.work import FINALISTS, CandidateState, Context, FunctionWork, give_up

_MEASURING_S = 10.0  # what measuring one candidate takes at most
_MORE = 6  # of those behind, when the best-looking come to nothing
_WORTH_IT = 1.02  # what a first look has to promise for that
_CHANCE = 0.3  # that a candidate comes to be tested of which the function's tests do not reach every block


@dataclass
class _Waiting:
    """A candidate without evidence. `gain` is what its first look promises, and less once that is unlikely to be shown."""

    state: CandidateState
    gain: float = field(init=False)
    judgement: Judgement | None = None

    def __post_init__(self) -> None:
        self.gain = (self.state.look or 1.0) - 1.0


class Verify:
    """Gives candidates their evidence; rejects those below the grade that -faicc-verify asks for.

    The most promising comes first. Where the function's tests do not reach every block of it, those of the rest come first that are
    worth more with this taken into account: looking for what reaches the others takes long, and is mostly in vain.
    When none of those that were kept for it can be used, a few of those behind them are tried until one can. It ends with as many as
    are measured, or when time is left only for measuring those that there are."""

    name = "verify"
    scope = "function"

    def __init__(self, trials: TrialCache, judges: Judges) -> None:
        self._trials = trials
        self._judges = judges

    def run(self, work: FunctionWork, context: Context) -> None:
        candidates = [state for state in work.alive if state.object_bytes]
        waiting = [_Waiting(state) for state in candidates if state.evidence is None]
        if not waiting:
            return
        best = 1.0 + max(one.gain for one in waiting)
        context.take_turn(work.hot.share * (1.0 - 1.0 / best))
        verifier = self._judges.verifier(work, context)
        reason = verifier.unusable
        if reason:
            raise PassError(reason)
        with self._judges.in_time(context):
            self._verify(waiting, len(candidates) - len(waiting), verifier, work, context)

    def _verify(
        self, waiting: list[_Waiting], verified: int, verifier: Verifier, work: FunctionWork, context: Context
    ) -> None:
        wanted = Grade[context.options.values["verify"].upper()]
        total, longest_s = len(waiting), 0.0
        behind = _behind(work)
        while waiting or (behind and not verified):
            if not waiting:
                state = behind.pop(0)
                state.rejection = None
                waiting.append(_Waiting(state))
                total += 1
            if verified >= FINALISTS:
                for one in waiting:
                    one.state.rejection = Rejection("rank.behind", f"behind {FINALISTS} that are to be measured")
                return
            if context.out_of_time or (verified and context.remaining_s < longest_s + _MEASURING_S):
                give_up(one.state for one in waiting)
                return
            # Making the tests comes first, and may take long.
            context.progress(self.name, total - len(waiting), total, 0.0)
            one = max(waiting, key=lambda one: one.gain)  # the first of several
            if one.judgement is None:
                _begin(one, verifier)
                if one.state.alive and one.gain < max(other.gain for other in waiting):
                    continue
            waiting.remove(one)
            if one.state.alive and one.judgement is not None:
                longest_s = max(longest_s, give_evidence(one.state, one.judgement.evidence, wanted))
            verified += one.state.alive
            if one.state.rejection is None or one.state.rejection.stage != OUT_OF_TIME:
                self._trials.append(work.baseline.key, one.state.trial())


def _behind(work: FunctionWork) -> list[CandidateState]:
    """The best-looking of those that were not kept for verification."""
    found = [
        state
        for state in work.candidates
        if state.rejection is not None
        and state.rejection.stage == "rank.behind"
        and state.evidence is None
        and state.object_bytes
        and (state.look or 0.0) >= _WORTH_IT
    ]
    return sorted(found, key=lambda state: -(state.look or 0.0))[:_MORE]


def _begin(one: _Waiting, verifier: Verifier) -> None:
    """Runs the function's own tests on a candidate."""

    def begin() -> None:
        one.judgement = verifier.judgement(one.state.object_bytes)
        if one.judgement.unreached():
            one.gain *= _CHANCE

    _judged(one.state, begin)


def give_evidence(state: CandidateState, evidence: Callable[[], Evidence], wanted: Grade) -> float:
    """Keeps what `evidence` gives and rejects the candidate below the grade `wanted`, or when it cannot be judged; returns the
    seconds that it took."""

    def give() -> None:
        state.evidence = evidence()
        if state.evidence.grade < wanted:
            state.rejection = Rejection(f"verify.{state.evidence.grade.name.lower()}", _why(state.evidence))

    return _judged(state, give)


def _judged(state: CandidateState, judge: Callable[[], None]) -> float:
    """Runs `judge`; a candidate that we cannot judge is not used. Returns the seconds that it took."""
    started_s = time.monotonic()
    try:
        judge()
    except OutOfTimeError:
        give_up([state])
    except Exception as error:
        state.rejection = Rejection("verify.failed", f"{type(error).__name__}: {error}")
    took_s = time.monotonic() - started_s
    state.seconds += took_s
    return took_s


def _why(evidence: Evidence) -> str:
    """The counterexample, or why the grade is no better, in a line."""
    if evidence.counterexample is not None:
        return f"{evidence.counterexample.test}: {evidence.counterexample.difference}"
    return evidence.notes[0] if evidence.notes else "the evidence does not reach the grade asked for"
