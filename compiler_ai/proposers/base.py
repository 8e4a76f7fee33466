"""What a proposer is, and what it is given."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from compiler_ai.artifacts import Baseline, Candidate, Rejection, Sample
from compiler_ai.toolchains.description import Toolchain

IsaPolicy = Literal["same", "native", "dispatch"]


class ProposerError(Exception):
    """A proposer cannot be used at all; the message is one line for the user."""


@dataclass(frozen=True)
class ProposalContext:
    """What a proposer may know and use besides the baseline.

    ``isa`` is -faicc-isa: with ``same`` no candidate needs more than the unit's own -m flags; with ``native`` and
    ``dispatch`` it may need what `host_features` (GCC's -m names) has, which it then names in `Candidate.features`;
    `unit_features` are those of the unit's own flags.
    ``tune`` is for -mtune. ``profile`` is the unit's .gcda, when there is one; else ``count`` runs the function as an instrumented listing
    has it on the captured calls, and gives what counters that the listing does not define (name -> size in bytes) hold then, or raises AiccError; ``samples`` are those of the function in the user's run. ``temporary`` is an existing directory
    for scratch files, or None for the system's; ``shared`` one that all functions of a run share, or None. ``budget_s`` bounds the wall time of one `propose`.
    ``spare_cores`` may be kept busy while the consumer judges what it was given.
    """

    toolchain: Toolchain
    isa: IsaPolicy = "same"
    tune: str = "native"
    host_features: frozenset[str] = frozenset()
    unit_features: frozenset[str] = frozenset()
    profile: Path | None = None
    count: Callable[[str, Mapping[str, int]], Mapping[str, bytes]] | None = None
    samples: tuple[Sample, ...] = ()
    budget_s: float = 120.0
    compile_timeout_s: float = 60.0
    temporary: Path | None = None
    shared: Path | None = None
    spare_cores: int = 0
    seed: int = 0


class Proposer(Protocol):
    """Anything that yields candidates; one that cannot be had is a `Rejection` of stage "propose".

    A proposer with an attribute ``patience`` is not asked for more once that many of its candidates in a row have brought
    nothing faster; without one, all that it yields is judged.
    """

    @property
    def name(self) -> str: ...

    def propose(self, baseline: Baseline, context: ProposalContext) -> Iterator[Candidate | Rejection]:
        """Yield candidates for `baseline`, the most promising first. Lazy: the consumer may stop at any time."""
        ...


@dataclass
class Registry:
    """The proposers of one run, in the order in which they are asked; plugins add theirs."""

    proposers: list[Proposer] = field(default_factory=list)

    def register(self, proposer: Proposer) -> None:
        """Add `proposer`. Raises ProposerError when its name is taken."""
        if any(known.name == proposer.name for known in self.proposers):
            raise ProposerError(f"there is a proposer '{proposer.name}' already")
        self.proposers.append(proposer)

    def get(self, name: str) -> Proposer:
        """The proposer called `name`. Raises ProposerError."""
        for proposer in self.proposers:
            if proposer.name == name:
                return proposer
        known = ", ".join(proposer.name for proposer in self.proposers) or "none"
        raise ProposerError(f"no proposer '{name}' (known: {known})")

    def propose(self, baseline: Baseline, context: ProposalContext) -> Iterator[Candidate | Rejection]:
        """Every proposer's candidates in turn."""
        for proposer in self.proposers:
            yield from proposer.propose(baseline, context)


def default_registry() -> Registry:
    """What aicc offers by itself: the search proposer."""
    from compiler_ai.proposers.search import SearchProposer

    return Registry([SearchProposer()])
