"""What is known at one point of a body's code: registers, status flags and slots of the frame, as far as the code alone tells.

A frame's slots are followed as long as nobody else can reach them: a store through an address of which nothing is known, or a call that
may have been told where they are, or that gets arguments on the stack, makes all of them unknown.
Source: System V ABI AMD64, 3.2 (which registers a call keeps, whose a call's stack arguments are).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

from compiler_ai.sandbox.state import GENERAL
from compiler_ai.verify.conditions import CARRY, OVERFLOW, PARITY, SIGN, STATUS, ZERO, Condition, flags_of
from compiler_ai.verify.integers import Sum, Value, difference, signed, symbol

STACK = GENERAL.index("rsp")
ALIGNED = len(GENERAL)  # the symbol of a stack pointer that was rounded down
STATIC = len(GENERAL) + 1  # those of sections, by their index in the object; of text the first
_ARGUMENTS = 1 << 20  # those of arguments on the stack
_FRAME = frozenset({STACK, ALIGNED})
_KEPT = frozenset(GENERAL.index(name) for name in ("rbx", "rbp", "rsp", "r12", "r13", "r14", "r15"))
HOLDS_FRAME = frozenset({STACK, GENERAL.index("rbp")})
WORD = 8
_NEAR_BYTES = 1 << 31  # of the stack pointer
_ASKS = {"e": ZERO, "s": SIGN, "o": OVERFLOW, "p": PARITY, "b": CARRY, "ae": CARRY, "be": CARRY | ZERO, "a": CARRY | ZERO,
         "l": SIGN | OVERFLOW, "ge": SIGN | OVERFLOW, "le": SIGN | OVERFLOW | ZERO, "g": SIGN | OVERFLOW | ZERO}  # fmt: skip


class UnfollowedError(Exception):
    """An instruction whose effect is not known. Which, in words."""


class Compared(NamedTuple):
    """The flags are those of `first - second`, numbers of so many bytes."""

    first: Value
    second: Value
    size_bytes: int


class KnownFlags(NamedTuple):
    """Of the status flags those in `which` are known to be `bits`; `total` is the sum of `size_bytes` that left them, 0 bytes for what is
    no sum."""

    which: int
    bits: int
    total: int = 0
    size_bytes: int = 0


Flags = Compared | KnownFlags | None


@dataclass
class State:
    """`registers` in the order of GENERAL; `slots` by symbol and distance: their size in bytes and what they hold. `told`: the frame's
    address may be elsewhere than in the registers that are for it, or hidden in an unknown number; `written` are the words of the arguments on
    the stack (their distances from it) that may not be what they were any more, `lost`: none may; `aligned` are the least and greatest distance of the rounded stack pointer from that at entry."""

    registers: list[Value]
    flags: Flags
    slots: dict[tuple[int, int], tuple[int, Value]]
    told: bool = False
    lost: bool = False
    written: frozenset[int] = frozenset()
    aligned: tuple[int, int] = (0, 0)

    @classmethod
    def at_entry(cls) -> State:
        return cls([symbol(number) for number in range(len(GENERAL))], None, {})

    def copy(self) -> State:
        return replace(self, registers=list(self.registers), slots=dict(self.slots))

    def joined(self, other: State) -> State:
        """What is known when either may be the case. Raises UnfollowedError when the stack pointer is not."""
        both = list(zip(self.registers, other.registers, strict=True))
        if both[STACK][0] != both[STACK][1]:
            raise UnfollowedError("the stack pointer")
        hidden = any(mine != theirs and (is_of_frame(mine) or is_of_frame(theirs)) for mine, theirs in both)
        return State(
            [mine if mine == theirs else None for mine, theirs in both],
            self.flags if self.flags == other.flags else None,
            {at: one for at, one in self.slots.items() if other.slots.get(at) == one},
            self.told or other.told or hidden,
            self.lost or other.lost,
            self.written | other.written,
            (min(self.aligned[0], other.aligned[0]), max(self.aligned[1], other.aligned[1])),
        )

    def covers(self, other: State) -> bool:
        """Whether nothing is known here that is not known of `other`."""
        return (
            all(mine is None or mine == theirs for mine, theirs in zip(self.registers, other.registers, strict=True))
            and (self.flags is None or self.flags == other.flags)
            and all(other.slots.get(at) == one for at, one in self.slots.items())
            and (self.told or (not other.told and self._has_frame_of(other)))
            and self.registers[STACK] == other.registers[STACK]
            and self.lost >= other.lost
            and self.written >= other.written
            and self.aligned == other.aligned
        )

    def _has_frame_of(self, other: State) -> bool:
        """Whether the frame's address is in the same registers, where it is known."""
        both = zip(self.registers, other.registers, strict=True)
        return all(mine == theirs for mine, theirs in both if is_of_frame(theirs))

    def forget_slots(self) -> None:
        """Nothing is known of the frame, nor of the arguments on the stack."""
        self.slots.clear()
        self.lost = True

    def load(self, address: Value, size_bytes: int) -> Value:
        """What so many bytes at an address hold."""
        place = place_of(address)
        if place is None:
            return None
        found = self.slots.get(place)
        if found is not None and found[0] == size_bytes:
            return found[1]
        if found is not None and found[0] > size_bytes and type(found[1]) is int:
            return found[1] & (1 << 8 * size_bytes) - 1
        name, at = place
        if name != STACK or at < WORD or at % WORD or size_bytes != WORD or self.lost or at in self.written:
            return None
        return symbol(_ARGUMENTS + at // WORD - 1)

    def store(self, address: Value, size_bytes: int, value: Value) -> None:
        """Raises UnfollowedError when it may change the return address."""
        if is_of_frame(value):
            self.told = True
        place = place_of(address)
        if place is None:
            if is_of_frame(address) or (type(address) is not int and type(address) is not Sum and self.told):
                self.forget_slots()
            return
        name, at = place
        lowest, highest = (0, 0) if name == STACK else self.aligned
        if at + lowest < WORD and at + highest + size_bytes > 0:
            raise UnfollowedError("a store to the return address")
        for slot in self._near(name, at, at + size_bytes):
            del self.slots[slot]
        if at + highest + size_bytes > WORD:
            first = max(WORD, (at + lowest) // WORD * WORD)
            self.written |= frozenset(range(first, at + highest + size_bytes, WORD))
        self.slots[place] = size_bytes, value

    def _near(self, name: int, start: int, end: int) -> list[tuple[int, int]]:
        """The slots that may have bytes in common with [start, end) from a symbol on."""
        least, greatest = self.aligned
        spans = {name: (start, end)}
        if name == STACK:
            spans[ALIGNED] = start - greatest, end - least
        else:
            spans[STACK] = start + least, end + greatest
        return [
            slot
            for slot, (size, _) in self.slots.items()
            if slot[0] in spans and slot[1] < spans[slot[0]][1] and slot[1] + size > spans[slot[0]][0]
        ]

    def set(self, register: int, value: Value) -> None:
        """Raises UnfollowedError when the stack pointer is not known then."""
        is_known = type(value) is int or type(value) is Sum
        if (
            is_of_frame(value)
            if register not in HOLDS_FRAME
            else is_of_frame(self.registers[register]) and not is_known
        ):
            self.told = True
        if register == STACK and place_of(value) is None:
            raise UnfollowedError("the stack pointer")
        self.registers[register] = value

    def call(self, has_stack_arguments: bool) -> None:
        """A call that returns."""
        stack = place_of(self.registers[STACK])
        if self.told or has_stack_arguments or stack is None:
            self.forget_slots()
        else:
            for slot in self._near(stack[0], -(1 << 62), stack[1]):
                del self.slots[slot]
        for register in range(len(GENERAL)):
            if register not in _KEPT:
                self.registers[register] = None
        self.flags = None

    def holds(self, condition: Condition) -> bool | None:
        """Whether a condition holds now; None where that depends on more than the code."""
        flags = self.flags
        if type(flags) is Compared:
            first, second, size = flags
            if type(first) is int and type(second) is int:
                return condition.holds(flags_of(first, second, size))
            return _compare(condition, first, second) if size == WORD else None
        if type(flags) is KnownFlags:
            asked = _ASKS.get(condition.code, _ASKS.get(condition.code.removeprefix("n"), STATUS))
            return condition.holds(flags.bits) if asked & flags.which == asked else None
        return None


def _compare(condition: Condition, first: Value, second: Value) -> bool | None:
    """Of numbers that are not known, only whether they are the same is: the greater one may have wrapped, unless both are near the stack
    pointer."""
    apart, places = difference(first, second), (place_of(first), place_of(second))
    if type(apart) is not int:
        return None
    if condition.code.removeprefix("n") == "e":
        return (apart == 0) == (condition.code == "e")
    one, other = places
    if one is None or other is None or max(abs(one[1]), abs(other[1])) >= _NEAR_BYTES or condition.code[-1] in "sop":
        return None
    return condition.holds(flags_of(one[1] + _NEAR_BYTES, other[1] + _NEAR_BYTES, WORD))


def is_of_frame(value: Value) -> bool:
    """Whether it is a place in the frame, or computed from one."""
    return type(value) is Sum and any(name in _FRAME for name, _ in value.terms)


def place_of(address: Value) -> tuple[int, int] | None:
    """The symbol and the distance of a place in the frame, None for any other address."""
    if type(address) is not Sum or len(address.terms) != 1:
        return None
    name, factor = address.terms[0]
    return (name, signed(address.constant)) if name in _FRAME and factor == 1 else None
