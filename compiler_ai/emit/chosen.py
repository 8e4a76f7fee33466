"""What emit works on: a stored rewrite, and how it is to be put into the program."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from compiler_ai.candidates import AnyBody
    from compiler_ai.store.quick import Applicable


class Chosen:
    """`dispatched`: behind a CPU check, with GCC's body for the processors that lack what the rewrite needs."""

    __slots__ = ("dispatched", "rewrite")

    def __init__(self, rewrite: Applicable, dispatched: bool) -> None:
        self.rewrite, self.dispatched = rewrite, dispatched

    @property
    def function(self) -> str:
        return self.rewrite.candidate.function

    @property
    def candidate(self) -> AnyBody:
        return self.rewrite.candidate
