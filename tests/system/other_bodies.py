"""Stores for tests: rewrites whose bodies come from another compilation, by the product's own search proposer and screen.

Nothing here says that a body behaves the same but that GCC made it from the same source: no verifier has seen it. So the unit has
to be compiled with `STANDARD_CALLS`, without which GCC lets callers rely on more of a body than the ABI, and a verifier would
have to refuse those that do not keep to it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from unittest import mock

from compiler_ai.toolchains.x86_64 import X86_64

from compiler_ai.artifacts import Baseline, Candidate, CompileCommand, Evidence, Grade, Interval, Rewrite, Timing
from compiler_ai.asm.listing import Listing, parse
from compiler_ai.asm.normalise import body_key, uncovered
from compiler_ai.asm.splice import SpliceError, replace
from compiler_ai.asm.trees import Trees
from compiler_ai.driver.flags import excluded_by
from compiler_ai.proposers import search
from compiler_ai.proposers.base import ProposalContext
from compiler_ai.proposers.configurations import Configuration, portfolio
from compiler_ai.screen.gate import Screener
from compiler_ai.store.store import Store
from compiler_ai.tune.reproduce import Reproduced, listing_of

STANDARD_CALLS = ("-fno-ipa-ra", "-fno-ipa-stack-alignment", "-fno-inline", "-fno-ipa-cp", "-fno-ipa-sra")
CONFIGURATIONS = tuple(
    one for one in portfolio("same") if one.compiler == "gcc" and not one.needs and one.keeps_contraction
)


def fill(project: Path, command: CompileCommand, configuration: Configuration, most: int, shared: Path) -> list[str]:
    """Put bodies that GCC makes under `configuration` for the largest `most` functions of the unit into the store, as far as they
    are others than GCC's own and pass the screen; the functions' names. `shared` is a directory for scratch files."""
    store, names = Store(project), []
    for rewrite in _rewrites(listing_of(command), command, configuration, most, shared):
        store.add(rewrite)
        names.append(rewrite.candidate.function)
    return names


def _rewrites(
    made: Reproduced, command: CompileCommand, configuration: Configuration, most: int, shared: Path
) -> Iterator[Rewrite]:
    if excluded_by(made.flags):
        return
    unit, trees = parse(made.listing_text), Trees(made.dump)
    functions = sorted(unit.functions, key=lambda one: (-len(one.body), one.name))
    for name in [one.name for one in functions if one.name not in made.unsafe][:most]:
        key = body_key(unit, name, made.flags, trees)
        baseline = Baseline(name, command, made.listing_text, key)
        with mock.patch.object(search, "portfolio", return_value=(configuration,)):
            proposed = list(search.SearchProposer().propose(baseline, ProposalContext(X86_64, shared=shared)))
        for one in proposed:
            if isinstance(one, Candidate) and _passes(unit, made.listing_text, one):
                timing = Timing(Interval(1.5, 1.4, 1.6), None)
                yield Rewrite(key, one, Evidence(Grade.TESTED), timing, "x86_64", command.source, 0)


def _passes(unit: Listing, text: str, candidate: Candidate) -> bool:
    """What the screen pass asks of a candidate."""
    try:
        spliced = replace(unit, candidate.function, candidate, 0)
    except SpliceError:
        return False
    screener = Screener(text, candidate.function, X86_64, ("as", "--64"))
    result = screener.screen(candidate, spliced)
    return result.rejection is None and not uncovered(unit, candidate.function, candidate)
