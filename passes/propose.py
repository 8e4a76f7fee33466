"""propose: ask every proposer for candidates; the same body offered twice counts once."""

from __future__ import annotations

from collections.abc import Sequence

from compiler_ai.artifacts import Rejection
from compiler_ai.driver.host import features
from compiler_ai.passmanager import PassError
from compiler_ai.proposers.base import ProposalContext, Proposer
from compiler_ai.store.trials import TrialCache, digest
from compiler_ai.work import CandidateState, Context, FunctionWork

_SHARE_OF_BUDGET = 0.3  # of a function's time; the rest is for judging what was proposed


class Propose:
    """Fills `FunctionWork.candidates`; what the trial cache has judged already comes with its verdict."""

    name = "propose"
    scope = "function"

    def __init__(self, proposers: Sequence[Proposer], trials: TrialCache) -> None:
        self._proposers = proposers
        self._trials = trials

    def run(self, work: FunctionWork, context: Context) -> None:
        known = {trial.digest: trial for trial in self._trials.load(work.baseline.key)}
        seen: set[str] = set()
        for proposer in self._proposers:
            proposal = ProposalContext(
                toolchain=context.toolchain,
                isa=context.options.values["isa"],  # type: ignore[arg-type]  # options.parse allows only these
                host_features=features(context.toolchain),
                budget_s=min(120.0, max(5.0, context.remaining_s * _SHARE_OF_BUDGET)),
                seed=context.seed,
                shared=context.shared,
            )
            try:
                for offered in proposer.propose(work.baseline, proposal):
                    if isinstance(offered, Rejection):
                        work.proposal_rejections.append(offered)
                        continue
                    name = digest(offered)
                    if name in seen:
                        continue
                    seen.add(name)
                    state = CandidateState(offered, name)
                    if name in known and not _depends_on_others(known[name].rejection):
                        state.rejection = known[name].rejection
                        state.evidence = known[name].evidence
                        state.timing = known[name].timing
                        state.remembered = True
                    work.candidates.append(state)
                    context.progress(self.name, len(work.candidates), 0, 0.0)
                    if context.out_of_time:
                        break
            except Exception as error:  # one proposer's failure leaves the others'
                work.proposal_rejections.append(
                    Rejection("propose", f"proposer '{proposer.name}' failed: {type(error).__name__}: {error}")
                )
        if not work.candidates:
            reasons = {rejection.reason for rejection in work.proposal_rejections}
            raise PassError("no candidate" + (f": {sorted(reasons)[0]}" if reasons else ""))


def _depends_on_others(rejection: Rejection | None) -> bool:
    """Whether the verdict was over a place among other candidates, which may be others this time."""
    return rejection is not None and rejection.stage == "rank.behind"
