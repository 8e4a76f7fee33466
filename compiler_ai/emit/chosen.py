"""What emit works on: a stored rewrite, and how it is to be put into the program."""

from __future__ import annotations

from dataclasses import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from compiler_ai.candidates import Candidate
    from compiler_ai.store.quick import Applicable


@dataclass(frozen=True)
class Chosen:
    """`dispatched`: behind a CPU check, with GCC's body for the processors that lack what the rewrite needs."""

    rewrite: Applicable
    dispatched: bool

    @property
    def function(self) -> str:
        return self.rewrite.candidate.function

    @property
    def candidate(self) -> Candidate:
        return self.rewrite.candidate
