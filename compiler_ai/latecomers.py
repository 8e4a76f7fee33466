"""Latecomers: candidates that come up behind the judging passes, and go through them after all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from compiler_ai.artifacts import Candidate, Rejection
from compiler_ai.store.trials import TrialCache, digest
from compiler_ai.work import CandidateState, Context, FunctionWork

Judge = Callable[[FunctionWork, Context, str, str], None]


class Latecomers:
    """Adds what is offered to a function's work; `judge` runs the passes between two others (`PassManager.run_part`)."""

    def __init__(self, trials: TrialCache, judge: Judge) -> None:
        self._trials = trials
        self._judge = judge

    def add(
        self, proposer: str, offers: Iterator[Candidate | Rejection], work: FunctionWork, context: Context
    ) -> list[CandidateState]:
        """The bodies among the offers that are new, with their verdicts. One proposer's failure leaves what others gave."""
        new = self._new(proposer, offers, work)
        known = {trial.digest: trial for trial in self._trials.load(work.baseline.key)} if new else {}
        for state in new:
            if trial := known.get(state.digest):
                state.remember(trial)
        judged = self._judged(new, work, context)
        work.candidates += judged
        return judged

    def _new(self, proposer: str, offers: Iterator[Candidate | Rejection], work: FunctionWork) -> list[CandidateState]:
        seen = {state.digest for state in work.candidates}
        found: list[CandidateState] = []
        try:
            for offered in offers:
                if isinstance(offered, Rejection):
                    work.proposal_rejections.append(offered)
                elif (name := digest(offered)) not in seen:
                    seen.add(name)
                    found.append(CandidateState(offered, name))
        except Exception as error:
            reason = f"proposer '{proposer}' failed: {type(error).__name__}: {error}"
            work.proposal_rejections.append(Rejection("propose", reason))
        return found

    def _judged(self, states: list[CandidateState], work: FunctionWork, context: Context) -> list[CandidateState]:
        """What ends the judging of these leaves the others' verdicts as they are."""
        if not states:
            return []
        part = replace(work, candidates=states, proposal_rejections=[], unexplored=False)
        try:
            self._judge(part, context, "propose", "refine")
        except Exception as error:
            part.skipped = f"{type(error).__name__}: {error}"
        if part.skipped:
            for state in states:
                state.rejection = state.rejection or Rejection("refine.failed", part.skipped)
        return part.candidates
