"""Variants of a body in which one condition comes out the other way for one way in which what it compares may be related.

A body that is wrong in one condition is such a variant or shows where one does: tests that cannot tell a variant from the body tell
nothing of that condition (mutation adequacy: DeMillo, Lipton and Sayward, "Hints on test data selection", 1978).
Source: Intel SDM volume 1, appendix B (condition codes); volume 2, appendix B.1.4.7: an instruction's code is four bits of its opcode.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from compiler_ai.verify.conditions import CARRY, PARITY, SIGN, ZERO, Condition
from compiler_ai.verify.state import EntryState

_CODES = ("o", "no", "b", "ae", "e", "ne", "be", "a", "s", "ns", "p", "np", "l", "ge", "le", "g")
# By code, those that come out otherwise when the first side is less, when both are equal, when it is greater. After a comparison
# that does not overflow, "no" holds always and "o" never.
_OTHERS = {
    "e": ("le", "o", "ge"),
    "ne": ("g", "no", "l"),
    "l": ("o", "le", "ne"),
    "ge": ("no", "g", "e"),
    "le": ("e", "l", "no"),
    "g": ("ne", "ge", "o"),
    "b": ("o", "be", "ne"),
    "ae": ("no", "a", "e"),
    "be": ("e", "b", "no"),
    "a": ("ne", "ae", "o"),
    "s": ("o", "no"),
    "ns": ("no", "o"),
    "p": ("o", "no"),
    "np": ("no", "o"),
}
_PREFIXES = frozenset({0x26, 0x2E, 0x36, 0x3E, 0x64, 0x65, 0x66, 0x67, 0xF2, 0xF3, *range(0x40, 0x50)})
_SIDES = {(-1, -1): SIGN | CARRY, (0, 0): ZERO | PARITY, (1, 1): 0, (-1, 1): SIGN, (1, -1): CARRY}


@dataclass(frozen=True)
class Turned:
    """A condition at an offset from the body's entry with another code: `byte` in place of the one at `place`, also from the entry. It comes out
    otherwise for what `Condition.kinds` calls one of `kinds`."""

    at: int
    place: int
    byte: int
    kinds: frozenset[object]

    def applied(self, state: EntryState, entry: int) -> EntryState:
        """The state for a run in which the body at `entry` is this variant."""
        return replace(state, patches={**state.patches, entry + self.place: bytes([self.byte])})


def turned_conditions(conditions: Mapping[int, Condition], code: Callable[[int], bytes]) -> Iterator[Turned]:
    """The variants of a body with these `conditions`, by offset; `code` gives the bytes of the instruction at an offset. None of sums
    with carry, whose opcode has no condition code."""
    for at, condition in sorted(conditions.items()):
        opcode = _place_of_code(code(at))
        if opcode is None:
            continue
        byte = code(at)[opcode]
        for other in _OTHERS.get(condition.code, ()):
            kinds = _otherwise(condition, Condition(other, condition.asked))
            yield Turned(at, at + opcode, byte & 0xF0 | _CODES.index(other), kinds)


def _otherwise(condition: Condition, other: Condition) -> frozenset[object]:
    if condition.code in ("s", "ns", "p", "np"):
        return frozenset({other.code == "o"})  # what it must find, for the other never to hold or always
    return frozenset(sides for sides, flags in _SIDES.items() if condition.holds(flags) != other.holds(flags))


def _place_of_code(instruction: bytes) -> int | None:
    """Where in an instruction the byte is whose lower half is the condition code: of jcc, setcc and cmovcc."""
    at = next((at for at, byte in enumerate(instruction) if byte not in _PREFIXES), len(instruction))
    opcode = instruction[at : at + 2]
    if opcode[:1] and opcode[0] & 0xF0 == 0x70:
        return at
    return at + 1 if len(opcode) == 2 and opcode[0] == 0x0F and opcode[1] & 0xF0 in (0x40, 0x80, 0x90) else None
