"""What tuning has to know of how a rewrite will be emitted: the object to time, and the ISA extensions that it really needs."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from compiler_ai.artifacts import Candidate
from compiler_ai.asm.listing import Listing
from compiler_ai.driver.options import Options
from compiler_ai.emit.dispatch import replace_dispatched
from compiler_ai.sandbox.assemble import assemble
from compiler_ai.screen import isa
from compiler_ai.toolchains.description import Toolchain


def is_dispatched(candidate: Candidate, options: Options) -> bool:
    """Whether a build with these options would put the candidate behind a CPU check."""
    return options.values["isa"] == "dispatch" and bool(candidate.features)


def dispatched_object(listing: Listing, candidate: Candidate, toolchain: Toolchain, assembler: Sequence[str]) -> bytes:
    """The unit's object with the candidate behind a check that has been made already: what every call but the first runs.

    Raises SpliceError when the function cannot be dispatched, AssembleError.
    """
    return assemble(replace_dispatched(listing, candidate.function, candidate, toolchain.name, decided=True), assembler)


def narrowed(
    candidate: Candidate, listing: Listing, own: Collection[str], toolchain: Toolchain, assembler: Sequence[str]
) -> Candidate:
    """The candidate with only those `features` that its instructions need beyond the unit's `own`.

    A compilation for this machine's processor names everything that the processor has, which few others have. Raises
    AssembleError when the candidate's text does not assemble at all.
    """
    function = listing.function(candidate.function)
    if not candidate.features or function is None or toolchain.instructions is None:
        return candidate
    text = isa.standalone(candidate.body, candidate.extra, function.section.directive)

    def run(source: str, arguments: tuple[str, ...]) -> bytes:
        return assemble(source, (*assembler, *arguments))

    needed = isa.needed_features(text, toolchain, toolchain.instructions, run, toolchain.baseline_features)
    isa.check_isa(text, needed | set(own), toolchain.instructions, run)
    return replace(candidate, features=tuple(sorted(needed.intersection(candidate.features) - set(own))))
