"""Whether both sides pass the same in one argument of a call: the same bytes, or pointers to the same.

Pointers count as equal when both lead to equal constants of the unit, or both into the caller's own frame: there, what they point to is
compared as far as its type says what that is. A difference decides only where the bytes are sure to be what is passed; what was
never written is garbage in the baseline's frame too, and no difference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from compiler_ai.sandbox.events import CallEvent
from compiler_ai.verify.arguments import TEXT_BYTES, Argument, Constants
from compiler_ai.verify.equivalence import is_dead, is_same_nan
from compiler_ai.verify.prototype import Member, Type

_CONTEXT = Type("pointer", 8, target_bytes=1, target_kind="void")
_CONTEXT_BYTES = 4  # that are looked at behind a `void *`
_DEEPEST = 2  # pointers in what pointers point to


@dataclass(frozen=True)
class Side:
    """One of the two bodies in one run: its calls, and the bytes at an address that nobody can write (b"" for anything else), of all
    memory or of the unit's own data."""

    events: Sequence[CallEvent]
    constants: Constants
    own_constants: Constants


@dataclass(frozen=True)
class Disagreement:
    """Both sides pass something else, in words. Not `is_certain`: it may be what nobody looks at."""

    words: str
    is_certain: bool


@dataclass(frozen=True)
class Comparing:
    """One call of both sides: the baseline's and the other. `counts` are its whole numbers of type size_t, `numbers` tells whether it has any;
    `initial` gives memory as the run found it, `stack_pointer` is the bodies'."""

    theirs: CallEvent
    mine: CallEvent
    sides: tuple[Side, Side]
    counts: Sequence[int]
    has_numbers: bool
    stack_pointer: int
    initial: Callable[[int, int], bytes]

    def argument(self, argument: Argument) -> Iterator[Disagreement]:
        """What differs in one argument."""
        a, b = argument.value(self.theirs), argument.value(self.mine)
        if a is None or b is None:
            yield Disagreement(f"not all of its frame was noted, with what it passes in {argument.where}", False)
        else:
            yield from self._scalar(a, b, argument.type, f"in {argument.where}", argument.is_certain, 0)

    def _scalar(
        self, a: bytes, b: bytes, kind: Type, where: str, is_certain: bool, depth: int
    ) -> Iterator[Disagreement]:
        is_address = len(a) == 8 and kind.kind != "float"
        theirs, mine = int.from_bytes(a, "little"), int.from_bytes(b, "little")
        if is_address and is_dead(theirs, self.stack_pointer) and is_dead(mine, self.stack_pointer):
            if depth < _DEEPEST and (kind.kind == "pointer" or is_certain):
                yield from self._pointees(
                    theirs, mine, kind if kind.kind == "pointer" else _CONTEXT, where, is_certain, depth
                )
        elif a != b and not is_same_nan(a, b) and not (is_address and self._same_constant(theirs, mine, kind)):
            yield Disagreement(f"it passes {mine:#x} {where} instead of {theirs:#x}", is_certain)
        elif a == b and is_address and is_certain and self._is_other_constant(theirs, kind):
            yield Disagreement(f"it passes the address of another constant {where}", is_certain)

    def _pointees(
        self, theirs: int, mine: int, kind: Type, where: str, is_certain: bool, depth: int
    ) -> Iterator[Disagreement]:
        """What two pointers into the frame lead to. Only what is const has been written for sure."""
        behind = f"behind the pointer {where}"
        is_text = kind.target_bytes == 1 and kind.target_kind == "integer"
        certain = is_certain and kind.target_const
        for member in _members(kind):
            a, b = self._frames(theirs + member.offset_bytes, mine + member.offset_bytes, member.type.size_bytes)
            if a is None or b is None:
                yield Disagreement(f"not all of its frame was noted, with what is {behind}", False)
                return
            surely = certain and kind.target_kind in ("integer", "float", "pointer")
            for found in self._scalar(a, b, member.type, behind, surely, depth + 1):
                if not self._is_unwritten(theirs + member.offset_bytes, a):
                    yield found
        if any(not member.type.size_bytes for member in kind.target_members):  # there are too many of them
            yield from self._stretch(theirs, mine, kind.target_bytes, behind, False)
        if kind.target_const and (is_text or self.counts):
            yield from self._stretch(theirs, mine, self._length(theirs, kind, is_text), behind, certain)

    def _length(self, theirs: int, kind: Type, is_text: bool) -> int:
        """How much the callee may look at from there on: a text up to its end, and as much as is counted."""
        here = (self.theirs.in_frame(theirs, 1) and self.theirs.frame[theirs - self.theirs.stack_pointer :]) or b""
        room = min(len(here), self.stack_pointer - theirs)
        counted = [kind.target_bytes * count for count in self.counts if kind.target_bytes * count <= room]
        text = here[:room].find(b"\0") + 1 if is_text else 0
        return max([text, *counted])

    def _stretch(self, theirs: int, mine: int, size: int, behind: str, is_certain: bool) -> Iterator[Disagreement]:
        a, b = self._frames(theirs, mine, size)
        if a is None or b is None:
            yield Disagreement(f"not all of its frame was noted, with what is {behind}", False)
            return
        for at, (one, other) in enumerate(zip(a, b, strict=True)):
            if one != other and not self._is_unwritten(theirs + at, a[at : at + 1]):
                words = f"it passes {other:#04x} instead of {one:#04x} in byte {at} {behind}"
                yield Disagreement(words, is_certain and not self.has_numbers)
                return

    def _frames(self, theirs: int, mine: int, size: int) -> tuple[bytes | None, bytes | None]:
        return self.theirs.in_frame(theirs, size), self.mine.in_frame(mine, size)

    def _is_unwritten(self, address: int, data: bytes) -> bool:
        return self.initial(address, len(data)) == data

    def _is_other_constant(self, address: int, kind: Type) -> bool:
        """Whether each unit has a constant of its own there: constants of both are loaded to the same places."""
        own = any(side.own_constants(address, 1) for side in self.sides)
        return own and not self._same_constant(address, address, kind)

    def _same_constant(self, theirs: int, mine: int, kind: Type) -> bool:
        """Whether both lead to equal constants of their units: as text up to its end, for as many bytes as their type has, and
        for as many as another argument (of type size_t) may count."""
        a, b = self.sides[0].constants(theirs, TEXT_BYTES), self.sides[1].constants(mine, TEXT_BYTES)
        if not a or not b:
            return False
        length = max(kind.target_bytes, 1)
        if length == 1:
            length = a.find(b"\0") + 1 or len(a)
            length = max([length, *(value for value in self.counts if value <= len(a))])
        return a[:length] == b[:length]


def _members(kind: Type) -> Sequence[Member]:
    """The scalars of what a pointer leads to, as far as they are known."""
    if kind.target_members:
        return kind.target_members
    if kind.target_kind in ("integer", "float", "pointer"):
        return (Member(0, Type(kind.target_kind, kind.target_bytes)),)
    if kind.target_kind == "void" and not kind.target_const:
        return (Member(0, Type("integer", _CONTEXT_BYTES)),)
    return ()
