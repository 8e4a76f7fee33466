"""select: of the candidates that behave the same and are faster, the one with the best lower bound goes to the store."""

from __future__ import annotations

from compiler_ai.artifacts import Candidate, Rewrite
from compiler_ai.driver.host import machine_name
from compiler_ai.emit.judged import narrowed
from compiler_ai.sandbox.errors import AssembleError
from compiler_ai.screen.rules import Refused
from compiler_ai.store.store import Store
from compiler_ai.tune.features import unit_features
from compiler_ai.tune.judges import ASSEMBLER
from compiler_ai.work import Context, FunctionWork


class Select:
    """Sets `FunctionWork.rewrite` and stores it; nothing is stored when nothing is faster."""

    name = "select"
    scope = "function"

    def run(self, work: FunctionWork, context: Context) -> None:
        proven = [
            (state.timing.warm.low, state)
            for state in work.alive
            if state.timing is not None and state.evidence is not None and state.object_bytes
        ]
        if not proven:
            return
        _, best = max(proven, key=lambda pair: pair[0])
        assert best.evidence is not None
        assert best.timing is not None
        rewrite = Rewrite(
            baseline_key=work.baseline.key,
            candidate=_narrowed(best.candidate, work, context),
            evidence=best.evidence,
            timing=best.timing,
            target=context.toolchain.name,
            source=work.baseline.command.source,
            baseline_size_bytes=work.baseline.size_bytes,
            share=work.hot.share,
            machine=machine_name(),
        )
        Store(context.project).add(rewrite)
        work.rewrite = rewrite  # only what is in the store counts


def _narrowed(candidate: Candidate, work: FunctionWork, context: Context) -> Candidate:
    """The candidate with no more ISA extensions to its name than its instructions need."""
    if not candidate.features:
        return candidate
    own = unit_features(work.baseline.command, context.toolchain)
    try:
        return narrowed(candidate, work.listing, own, context.toolchain, ASSEMBLER)
    except (AssembleError, Refused):
        return candidate
