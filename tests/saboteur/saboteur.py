"""A proposer that offers only wrong bodies: an aicc plugin (`-faicc-plugin=tests/saboteur/saboteur.py`).

It takes the baseline's own body and damages it, one fault a body, of the kinds that compilers, models and attackers make.
`kinds()` lists them; a mutant's `expected` says whether a check that runs code can notice it at all.
"""

from __future__ import annotations

import random
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from faults import INSERTED, REWRITTEN, WHOLE, Fault

from compiler_ai.artifacts import Baseline, Candidate, Rejection
from compiler_ai.asm import listing as listing_model
from compiler_ai.asm.function import Function
from compiler_ai.proposers.base import ProposalContext
from compiler_ai.verify.prototype import Prototype

_BOOKKEEPING = re.compile(r"\s*(\.loc\b|\.file\b|\.L(VL|FB|FE|FSB|BB|BE|FSE|COLDB|COLDE|HOTB|HOTE)\w*:|#)")
_LOCAL = re.compile(r"\.L[\w.$]+")
_INSTRUCTION = re.compile(r"\s+[a-z][\w]*(\s|$)")


@dataclass(frozen=True)
class Mutant:
    """A wrong candidate; `fault` says what was done, `site` to which line of the body."""

    candidate: Candidate
    kind: str
    site: int


def kinds() -> tuple[str, ...]:
    return tuple(fault.kind for fault in (*REWRITTEN, *INSERTED, *WHOLE))


def plain_body(function: Function) -> list[str]:
    """The body's lines without debug information, local labels renamed so that none clashes with one that has to stay."""
    text = "".join(line if line.endswith("\n") else line + "\n" for line in function.body_lines)
    lines = [line for line in text.splitlines() if not _BOOKKEEPING.match(line)]
    own = function.local_labels
    return [_LOCAL.sub(lambda m: m[0].replace(".L", ".Lsaboteur_", 1) if m[0] in own else m[0], line) for line in lines]


def mutants(
    listing: listing_model.Listing, function: str, seed: int, per_kind: int = 2, prototype: Prototype | None = None
) -> Iterator[Mutant]:
    """At most `per_kind` distinct wrong bodies of each kind, always the same ones for a seed.

    With the function's C type, kinds that are no fault in a function of that type are left out.
    """
    found = listing.function(function)
    if found is None:
        return
    lines = plain_body(found)
    seen = {"\n".join(lines)}
    for fault in (*REWRITTEN, *INSERTED, *WHOLE):
        if prototype is not None and not fault.matters(prototype):
            continue
        generator = random.Random(f"{seed}/{function}/{fault.kind}")
        sites = [
            number for number, line in enumerate(lines) if _INSTRUCTION.match(line) and fault.applies(lines, number)
        ]
        generator.shuffle(sites)
        made = 0
        for site in sites:
            if made >= per_kind:
                break
            body = "\n".join(fault.apply(lines, site, generator))
            if body in seen:
                continue
            seen.add(body)
            made += 1
            yield Mutant(Candidate(function, body + "\n", "", "saboteur", f"{fault.kind} at {site}"), fault.kind, site)


def change(listing: listing_model.Listing, function: str, mutant: Mutant) -> str:
    """What a mutant's body does otherwise than the function's own, as "line number: old -> new" with single spaces."""
    found = listing.function(function)
    assert found is not None
    before, after = plain_body(found), mutant.candidate.body.splitlines()
    first = next(
        (i for i, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), min(len(before), len(after))
    )
    same = 0
    while same < min(len(before), len(after)) - first and before[-1 - same] == after[-1 - same]:
        same += 1
    old, new = (
        " | ".join(" ".join(line.split()) for line in lines[first : len(lines) - same]) for lines in (before, after)
    )
    return f"{mutant.site}: {old} -> {new}"


@dataclass(frozen=True)
class SaboteurProposer:
    """Offers the mutants of whatever function it is asked for."""

    seed: int = 0
    per_kind: int = 2
    name: str = "saboteur"

    def propose(self, baseline: Baseline, context: ProposalContext) -> Iterator[Candidate | Rejection]:  # noqa: ARG002
        for mutant in mutants(listing_model.parse(baseline.listing_text), baseline.function, self.seed, self.per_kind):
            yield mutant.candidate


def plugin_init(context: Any, args: Mapping[str, str]) -> None:
    """`-faicc-plugin-arg-saboteur-seed=` and `-per_kind=` choose which and how many."""
    context.register_proposer(SaboteurProposer(int(args.get("seed", "0")), int(args.get("per_kind", "2"))))


__all__ = [
    "Callable",
    "Fault",
    "Mutant",
    "SaboteurProposer",
    "change",
    "kinds",
    "mutants",
    "plain_body",
    "plugin_init",
    "replace",
]
