"""The search proposer: the same source function out of other compilations, one configuration of the portfolio after the other."""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing

from compiler_ai.artifacts import OUT_OF_TIME, Baseline, Candidate, Rejection
from compiler_ai.asm import listing as listing_model
from compiler_ai.asm.listing import Listing
from compiler_ai.proposers.base import ProposalContext
from compiler_ai.proposers.configurations import Configuration, portfolio
from compiler_ai.proposers.recompile import Recompiler
from compiler_ai.proposers.runs import RecompileError, TimeoutRecompileError
from compiler_ai.proposers.shared import Recompiled
from compiler_ai.proposers.transplant import Source, transplant
from compiler_ai.wording import counted

_FUSED = re.compile(r"\bvfn?m(add|sub)\w*[ps][sd]\b")
_CLONE = re.compile(r"\.(constprop|isra|part)\.\d+")
_AHEAD = 2  # configurations that are compiled while candidates of earlier ones are judged

Made = Recompiled | RecompileError


def _ahead(
    configurations: list[Configuration], compiled: Callable[[Configuration], Made], cancel: Callable[[], None]
) -> Generator[tuple[Configuration, Made], None, None]:
    """Each configuration's result in order, while a thread compiles the next ones; `cancel` ends a compile at work."""
    waiting = deque(configurations)
    running: deque[tuple[Configuration, Future[Made]]] = deque()
    with ThreadPoolExecutor(1) as thread:
        try:
            while waiting or running:
                while waiting and len(running) <= _AHEAD:
                    running.append((waiting[0], thread.submit(compiled, waiting.popleft())))
                configuration, future = running.popleft()
                yield configuration, future.result()
        finally:
            thread.shutdown(wait=False, cancel_futures=True)
            cancel()


class SearchProposer:
    """Needs no network and no model: GCC and Clang (when installed) under many flags, LLVM pipelines through llvmlite."""

    name = "search"
    patience = 18

    def propose(self, baseline: Baseline, context: ProposalContext) -> Iterator[Candidate | Rejection]:
        """Candidates in the order of how much their configuration is worth; stops when the budget is spent."""
        target = listing_model.parse(baseline.listing_text)
        function = target.function(baseline.function)
        if function is None:
            yield Rejection("propose", "GCC's listing does not define the function")
            return
        clone = bool(_CLONE.search(baseline.function))
        fuses = bool(_FUSED.search(function.body))
        wanted = [one for one in portfolio(context.isa) if one.compiler == "gcc" or not clone]
        deadline_s = time.monotonic() + context.budget_s
        try:
            cfi = ".cfi_startproc" in baseline.listing_text
            recompiler = Recompiler(baseline.command, context, cfi, baseline.size_bytes, target.undefined)
        except RecompileError as error:
            yield Rejection("propose", str(error))
            return
        with recompiler:
            recompiler.runs.limit(context.budget_s)
            recompiler.count_arcs(fuses)

            def compiled(configuration: Configuration) -> Made:
                left_s = deadline_s - time.monotonic()
                if left_s <= 0:
                    return TimeoutRecompileError("out of time")
                recompiler.runs.limit(left_s)
                try:
                    return recompiler.listing(configuration, baseline.function, fuses)
                except RecompileError as error:
                    return error

            made = (
                _ahead(wanted, compiled, recompiler.runs.cancel)
                if context.spare_cores
                else ((one, compiled(one)) for one in wanted)
            )
            with closing(made):
                for number, (configuration, found) in enumerate(made):
                    is_over = time.monotonic() >= deadline_s
                    if isinstance(found, RecompileError):
                        late = is_over and isinstance(found, TimeoutRecompileError)
                        yield Rejection(OUT_OF_TIME if late else "propose", f"{configuration.label}: {found}")
                    else:
                        yield from self._one(
                            configuration, found, target, baseline.function, number, context, recompiler
                        )
                    if time.monotonic() >= deadline_s:
                        yield Rejection(OUT_OF_TIME, f"out of time after {counted(number + 1, 'configuration')}")
                        return

    def _one(
        self, configuration: Configuration, made: Recompiled, target: Listing, function: str, number: int,
        context: ProposalContext, recompiler: Recompiler,
    ) -> Iterator[Candidate | Rejection]:  # fmt: skip
        source = Source(
            listing_model.parse(made.text),
            own_conventions=configuration.compiler != "gcc",
            proposer=self.name,
            origin=configuration.label,
            features=made.features,
            statics=recompiler.statics,
        )
        found = transplant(source, target, function, f"s{number}", context.toolchain)
        if found is not None:
            yield found
