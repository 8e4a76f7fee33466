"""What the conditions of a body were seen to decide on: the status flags that runs bring to each conditional jump, move and set.

Source: Intel SDM volume 1, appendix B (condition codes), and 3.4.3.1 (status flags).
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass

from compiler_ai.sandbox.process import Trace

CARRY, PARITY, ZERO, SIGN, OVERFLOW = 0x1, 0x4, 0x40, 0x80, 0x800
STATUS = CARRY | PARITY | ZERO | SIGN | OVERFLOW
_FLAG = {"e": ZERO, "s": SIGN, "o": OVERFLOW, "p": PARITY}
_SIGNED, _UNSIGNED = ("l", "g", "le", "ge"), ("b", "a", "be", "ae")


_COMPARING = frozenset({"cmp", "sub", "add", "xor"})


@dataclass(frozen=True)
class Condition:
    """A condition code, and the instruction whose result it asks about, with the sizes of its operands for their places."""

    code: str
    asked: str

    def holds(self, flags: int) -> bool:
        """Whether it holds when these are the status flags."""
        code = self.code
        plain = code.removeprefix("n")
        if plain in _FLAG:
            return bool(flags & _FLAG[plain]) != (code != plain)
        zero, carry = bool(flags & ZERO), bool(flags & CARRY)
        less = carry if code in _UNSIGNED else bool(flags & SIGN) != bool(flags & OVERFLOW)
        return {"l": less, "b": less, "le": less or zero, "be": less or zero}.get(
            code, not (less or zero) if code in ("g", "a") else not less
        )

    @property
    def asks_for_a_constant(self) -> bool:
        """Whether it compares with a constant of the code's other than 0, and does not ask whether some bits are 0."""
        mnemonic = self.asked.partition(" ")[0]
        return mnemonic in _COMPARING and "$" in self.asked and not self.asked.endswith("$0x0")

    @property
    def is_floating(self) -> bool:
        """Whether it asks which of two floating-point numbers is less."""
        return self.code in _UNSIGNED and self.asked.startswith(("ucomis", "comis", "vucomis", "vcomis"))

    def found(self, seen: Iterable[int]) -> tuple[str, frozenset[int]] | None:
        """Of two floating-point numbers one compiler asks whether the first is less, and another whether the second is greater. So:
        the comparison, and how the number that may be less was related to the other (-1, 1) when these were the status flags.
        None for other conditions, and where only equal numbers were seen, for which nobody can say which of them was asked about.
        What came out with a NaN says nothing here: one compiler treats it like a number that is less, another like one that is not."""
        related = {_relations(flags)[1] for flags in seen if not flags & PARITY} - {0}
        if not self.is_floating or not related:
            return None
        first_may_be_less = self.code in ("b", "ae")
        return self.asked.split()[0].lstrip("v"), frozenset(one if first_may_be_less else -one for one in related)

    def kinds(self, seen: Iterable[int]) -> frozenset[object]:
        """What of the status flags in `seen` is worth telling apart."""
        if self.code.removeprefix("n") in ("s", "o", "p"):
            return frozenset(self.holds(flags) for flags in seen)
        return frozenset(_relations(flags) for flags in seen)

    def is_complete(self, seen: Iterable[int]) -> bool:
        """Whether the sides of the comparison were less, equal and greater, or else both outcomes are among `seen`."""
        flags = set(seen)
        if self.code.removeprefix("n") in ("s", "o", "p"):
            return len({self.holds(value) for value in flags}) == 2
        return len({_relations(value)[self.code in _UNSIGNED] for value in flags}) == 3


def code_of(mnemonic: str) -> str:
    """The condition code of a conditional jump, move or set, or of an addition or subtraction with carry, which is a sum that
    depends on one; "" for other instructions."""
    if mnemonic in ("adc", "sbb"):
        return "b"
    for stem in ("j", "set", "cmov"):
        if mnemonic.startswith(stem):
            code = mnemonic.removeprefix(stem)
            return code if code.removeprefix("n") in _FLAG or code in (*_SIGNED, *_UNSIGNED) else ""
    return ""


def flags_of(first: int, second: int, size_bytes: int) -> int:
    """The status flags that a comparison of two numbers of this many bytes leaves."""
    bits = 8 * size_bytes
    mask, sign = (1 << bits) - 1, 1 << bits - 1
    first, second = first & mask, second & mask
    result = first - second & mask
    flags = {
        CARRY: first < second,
        PARITY: (result & 0xFF).bit_count() % 2 == 0,
        ZERO: result == 0,
        SIGN: bool(result & sign),
        OVERFLOW: bool((first ^ second) & (first ^ result) & sign),
    }
    return sum(flag for flag, is_set in flags.items() if is_set)


def observed(trace: Trace, sites: Container[int]) -> set[tuple[int, int]]:
    """(address, status flags) of every execution of the instructions at the addresses `sites`."""
    view = memoryview(trace.data).cast("Q")
    return {(rip, flags & STATUS) for rip, flags in set(zip(view[::18], view[1::18], strict=True)) if rip in sites}


def _relations(flags: int) -> tuple[int, int]:
    """-1, 0 or 1: how a comparison's sides are related when it leaves these flags, as signed and as unsigned numbers."""
    less = bool(flags & SIGN) != bool(flags & OVERFLOW)
    signed = 0 if flags & ZERO else -1 if less else 1
    return signed, -1 if flags & CARRY else 0 if flags & ZERO else 1
