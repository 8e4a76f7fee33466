"""The search proposer: the same source function out of other compilations, one configuration of the portfolio after the other."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

from compiler_ai.artifacts import Baseline, Candidate, Rejection
from compiler_ai.asm import listing as listing_model
from compiler_ai.asm.listing import Listing
from compiler_ai.proposers.base import ProposalContext
from compiler_ai.proposers.configurations import Configuration, portfolio
from compiler_ai.proposers.recompile import RecompileError, Recompiler
from compiler_ai.proposers.transplant import Source, transplant

_FUSED = re.compile(r"\bvfn?m(add|sub)\w*[ps][sd]\b")
_CLONE = re.compile(r"\.(constprop|isra|part)\.\d+")


class SearchProposer:
    """Needs no network and no model: GCC and Clang (when installed) under many flags, LLVM pipelines through llvmlite."""

    name = "search"

    def propose(self, baseline: Baseline, context: ProposalContext) -> Iterator[Candidate | Rejection]:
        """Candidates in the order of how often their configuration wins; stops when the budget is spent."""
        target = listing_model.parse(baseline.listing_text)
        function = target.function(baseline.function)
        if function is None:
            yield Rejection("propose", "GCC's listing does not define the function")
            return
        deadline_s = time.monotonic() + context.budget_s
        clone = bool(_CLONE.search(baseline.function))
        exported = "" if function.is_global or clone else baseline.function
        try:
            recompiler = Recompiler(baseline.command, context, ".cfi_startproc" in baseline.listing_text)
        except RecompileError as error:
            yield Rejection("propose", str(error))
            return
        with recompiler:
            for number, configuration in enumerate(portfolio(context.isa)):
                left_s = deadline_s - time.monotonic()
                if left_s <= 0:
                    yield Rejection("propose", f"out of time after {number} configurations")
                    return
                if clone and configuration.compiler != "gcc":
                    continue
                recompiler.limit(left_s)
                fuses = bool(_FUSED.search(function.body))
                yield from self._one(configuration, recompiler, target, baseline, number, exported, fuses, context)

    def _one(
        self,
        configuration: Configuration,
        recompiler: Recompiler,
        target: Listing,
        baseline: Baseline,
        number: int,
        exported: str,
        fuses: bool,
        context: ProposalContext,
    ) -> Iterator[Candidate | Rejection]:
        try:
            made = recompiler.listing(configuration, exported, fuses)
        except RecompileError as error:
            yield Rejection("propose", f"{configuration.label}: {error}")
            return
        source = Source(
            listing_model.parse(made.text),
            own_conventions=configuration.compiler != "gcc",
            proposer=self.name,
            origin=configuration.label,
            features=made.features,
        )
        found = transplant(source, target, baseline.function, f"s{number}", context.toolchain.library_symbols)
        if found is not None:
            yield found
