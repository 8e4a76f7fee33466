"""Pointers to constants that leave a function: at an equal address the candidate's unit may have another constant.

Read-only sections of both units are loaded to the same places, so that pointers to what both have compare equal.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from compiler_ai.sandbox.loader import LoadedObject
from compiler_ai.sandbox.process import Outcome, OutcomeKind
from compiler_ai.verify.answered import own_constants
from compiler_ai.verify.equivalence import is_dead
from compiler_ai.verify.passing import result_parts
from compiler_ai.verify.prototype import Prototype

_POINTERS = ("rax", "rdx")  # what is returned in
_TEXTS = ".str"  # in the names of sections that hold texts (GNU as, .section: flag S)


@dataclass(frozen=True)
class Replaced:
    """A read-only section at `address` that holds other bytes in the candidate's unit: up to the last one in which the two differ."""

    address: int
    theirs: bytes
    mine: bytes
    is_texts: bool

    def holds(self, pointer: int) -> bool:
        """Whether what begins there is another constant; a text ends with its NUL, of anything else nobody knows where it does."""
        at = pointer - self.address
        if not 0 <= at < len(self.theirs):
            return False
        end = self.theirs.find(b"\0", at) + 1 if self.is_texts else 0
        return self.theirs[at : end or None] != self.mine[at : end or None]


def replaced(baseline: LoadedObject, candidate: LoadedObject) -> list[Replaced]:
    """The sections of that kind."""
    read = own_constants(baseline), own_constants(candidate)
    found = []
    for key, address in baseline.sections.items():
        size = min(baseline.section_bytes[key], candidate.section_bytes.get(key, 0))
        if candidate.sections.get(key) != address:
            continue
        theirs, mine = (one(address, size) for one in read)
        if theirs == mine:
            continue
        last = max((at for at, pair in enumerate(zip(theirs, mine, strict=False)) if pair[0] != pair[1]), default=-1)
        if last >= 0:
            found.append(Replaced(address, theirs[: last + 1], mine[: last + 1], _TEXTS in key[0]))
    return found


def escaping(outcome: Outcome, sections: list[Replaced], stack_pointer: int, prototype: Prototype | None) -> str:
    """Where a run of a function of this type that was called with this stack pointer leaves a pointer to one of these constants, or ""."""
    if sections:
        for where, value in _left(outcome, stack_pointer, prototype):
            if any(one.holds(value) for one in sections):
                return where
    return ""


def _left(outcome: Outcome, stack_pointer: int, prototype: Prototype | None) -> Iterator[tuple[str, int]]:
    if outcome.kind is OutcomeKind.RETURNED:
        parts = result_parts(prototype.returns) if prototype is not None else None
        names = _POINTERS if parts is None else [part.place for part in parts if part.place in _POINTERS]
        yield from ((name, outcome.registers[name]) for name in names)
    for page, data in sorted(outcome.changed.items()):
        for at, value in enumerate(memoryview(data).cast("Q")):
            if not is_dead(page + 8 * at, stack_pointer):
                yield f"memory at {page + 8 * at:#x}", value
