"""Which calls run into the safety limit, as far as it can be told from those that did: a count in an argument that is larger still
takes no less time."""

from __future__ import annotations

from compiler_ai.verify.prototype import Prototype
from compiler_ai.verify.state import EntryState, integer_parameters

_ENOUGH = 5  # calls with no larger arguments that ran into the limit


class TooLong:
    """Knows a function's calls by the numbers that they pass in registers; without a prototype, or without any, it expects nothing."""

    def __init__(self, prototype: Prototype | None) -> None:
        parameters = integer_parameters(prototype) if prototype is not None else []
        self._numbers = [(name, kind) for name, kind in parameters if kind.kind == "integer" and not kind.boolean]
        self._too_long: list[tuple[int, ...]] = []
        self._short: set[tuple[int, ...]] = set()

    def note(self, state: EntryState, is_too_long: bool) -> None:
        """Takes in how a call from `state` went. When a short one has the same numbers or larger ones, they are not to blame."""
        numbers = self._of(state)
        if not numbers:
            return
        if not is_too_long:
            self._short.add(numbers)
            self._too_long = [known for known in self._too_long if not _is_within(known, numbers)]
        elif not any(_is_within(numbers, short) for short in self._short):
            self._too_long.append(numbers)

    def is_expected(self, state: EntryState) -> bool:
        """Whether a call from `state` is not worth waiting for."""
        if len(self._too_long) < _ENOUGH:
            return False
        numbers = self._of(state)
        return sum(_is_within(known, numbers) for known in self._too_long) >= _ENOUGH

    def _of(self, state: EntryState) -> tuple[int, ...]:
        found = []
        for name, kind in self._numbers:
            bits = 8 * min(8, kind.size_bytes)
            value = state.registers[name] & (1 << bits) - 1
            found.append(value - (1 << bits) if kind.signed and value >> bits - 1 else value)
        return tuple(found)


def _is_within(numbers: tuple[int, ...], others: tuple[int, ...]) -> bool:
    """Whether each number is the same as the other one, or counts to no more than that."""
    return all(one == other or 0 < one < other for one, other in zip(numbers, others, strict=True))
