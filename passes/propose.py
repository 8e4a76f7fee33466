"""propose: ask every proposer for candidates, a few at a time; the same body offered twice counts once.

The passes up to rank run once a round (`repeats`), so that what is known of the first candidates decides whether more are
worth their time: most of what a function gains, the first configurations give.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from compiler_ai.artifacts import OUT_OF_TIME, Candidate, Rejection
from compiler_ai.driver.host import features
from compiler_ai.passmanager import PassError
from compiler_ai.proposers.base import ProposalContext, Proposer
from compiler_ai.store.trials import TrialCache, digest
from compiler_ai.tune.features import unit_features
from compiler_ai.work import CandidateState, Context, FunctionWork

Count = Callable[[FunctionWork, Context, str, Mapping[str, int]], dict[str, bytes]]

ROUND = 6  # candidates
_BETTER = 1.01  # less than that at a first look is noise
_SHARE_OF_BUDGET = 0.5  # of the time that is left, for a proposer and first looks at what it gives; the rest is for evidence and figures


class Propose:
    """Adds to `FunctionWork.candidates`; what the trial cache has judged already comes with its verdict."""

    name = "propose"
    scope = "function"
    repeats = True

    def __init__(self, proposers: Sequence[Proposer], trials: TrialCache, count: Count | None = None) -> None:
        """`count` is `tune.training.counts` with its judges."""
        self._proposers = proposers
        self._trials = trials
        self._count = count
        self._search: _Search | None = None

    def run(self, work: FunctionWork, context: Context) -> None:
        if self._search is None or self._search.work is not work:
            self._search = _Search(work, self._proposers, self._trials, self._count)
        self._search.advance(context)
        if not work.candidates and not work.unexplored:
            stages = {rejection.stage for rejection in work.proposal_rejections}
            reasons = sorted({rejection.reason for rejection in work.proposal_rejections}) or [""]
            why = "out of time: give it more with --budget" if OUT_OF_TIME in stages else reasons[0]
            raise PassError("no candidate" + (f": {why}" if why else ""))


class _Search:
    """One function's proposers, held between rounds."""

    def __init__(
        self, work: FunctionWork, proposers: Sequence[Proposer], trials: TrialCache, count: Count | None
    ) -> None:
        self.work = work
        self._count = count
        self._known = {trial.digest: trial for trial in trials.load(work.baseline.key)}
        self._seen: set[str] = set()
        self._waiting = list(proposers)
        self._proposer: Proposer | None = None
        self._kept_s = 0.0  # what must be left when the proposer at hand has had its time
        self._offers: Iterator[Candidate | Rejection] = iter(())
        self._round: list[CandidateState] = []
        self._best, self._idle = 1.0, 0

    def advance(self, context: Context) -> None:
        """The next round. Sets `work.unexplored` while there may be another."""
        self._weigh()
        self._round = []
        while len(self._round) < ROUND:
            if context.out_of_time:
                self._stop()
                self._waiting.clear()
                break
            if self._proposer is None and not self._enter(context):
                break
            if self.work.candidates and context.remaining_s < self._kept_s:
                self._stop()
            else:
                self._take(context)
        self.work.unexplored = self._proposer is not None or bool(self._waiting)

    def _weigh(self) -> None:
        """Look at what became of the last round: a proposer that has brought nothing better for long has had its chance."""
        looks = [state.look for state in self._round if state.look is not None]
        self._idle += sum(not state.remembered for state in self._round)
        if max(looks, default=0.0) > self._best * _BETTER:
            self._best, self._idle = max(looks), 0
        patience = getattr(self._proposer, "patience", None)
        if patience is not None and self._idle >= patience:
            self._leave()

    def _enter(self, context: Context) -> bool:
        """Ask the next proposer, if there is one."""
        if not self._waiting:
            return False
        self._proposer, self._idle = self._waiting.pop(0), 0
        profile = Path(self.work.baseline.command.object_path).with_suffix(
            ".gcda"
        )  # of an instrumented build in the same place
        proposal = ProposalContext(
            toolchain=context.toolchain,
            isa=context.options.values["isa"],  # type: ignore[arg-type]  # options.parse allows only these
            host_features=features(context.toolchain),
            unit_features=unit_features(self.work.baseline.command, context.toolchain),
            budget_s=max(5.0, context.remaining_s * _SHARE_OF_BUDGET),
            profile=profile if profile.is_file() else None,
            count=partial(self._count, self.work, context) if self._count else None,
            samples=self.work.hot.profiled.samples,
            seed=context.seed,
            shared=context.shared,
            spare_cores=context.spare_cores,
        )
        self._kept_s = context.remaining_s * (1 - _SHARE_OF_BUDGET)
        self._offers = iter(self._proposer.propose(self.work.baseline, proposal))
        return True

    def _stop(self) -> None:
        """There is no time for more of the proposer at hand."""
        reason = "no time for more: give it more with --budget"
        self.work.proposal_rejections.append(Rejection(OUT_OF_TIME, reason))
        self._leave()

    def _leave(self) -> None:
        if isinstance(self._offers, Generator):
            self._offers.close()
        self._proposer, self._offers = None, iter(())

    def _take(self, context: Context) -> None:
        """One offer of the proposer at hand."""
        assert self._proposer is not None
        try:
            offered = next(self._offers, None)
        except Exception as error:  # one proposer's failure leaves the others'
            reason = f"proposer '{self._proposer.name}' failed: {type(error).__name__}: {error}"
            offered = Rejection("propose", reason)
            self._leave()
        if offered is None:
            self._leave()
        elif isinstance(offered, Rejection):
            self.work.proposal_rejections.append(offered)
        else:
            self._add(offered, context)

    def _add(self, offered: Candidate, context: Context) -> None:
        name = digest(offered)
        if name in self._seen:
            return
        self._seen.add(name)
        state = CandidateState(offered, name)
        if known := self._known.get(name):
            state.remember(known)
        self._round.append(state)
        self.work.candidates.append(state)
        context.progress("propose", len(self.work.candidates), 0, self._best if self._best > 1 else 0.0)
