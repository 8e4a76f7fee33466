"""Arguments that were the same in all tests of a function: a body that takes such a one for a constant is not known to be right."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from compiler_ai.verify.argumentuse import Used
from compiler_ai.verify.scalars import Argument, value_of
from compiler_ai.verify.state import EntryState

_BEHIND_BYTES = 4096  # that are looked at behind a pointer
_MOST_LOOKED_AT = 64  # tests
Memory = Callable[[EntryState, int, int], bytes]


def never_moved(arguments: Sequence[Argument], states: Iterable[EntryState], memory: Memory) -> list[Argument]:
    """The arguments that have one value in all of these entry states; a pointer to data has another one as soon as what it points to is other.
    `memory` gives the bytes at an address in a state."""
    left = list(arguments)
    first: dict[Argument, int] = {}
    looked: list[EntryState] = []
    for state in states:
        if not left:
            return []
        values = {one: _value(one, state, memory) for one in left}
        left = [one for one, value in values.items() if value == first.setdefault(one, value)]
        if len(looked) < _MOST_LOOKED_AT:
            looked.append(state)
    return [
        one
        for one in left
        if one.type.kind != "pointer"
        or one.type.target_kind == "function"
        or len({memory(state, first[one], _BEHIND_BYTES) for state in looked}) == 1
    ]


def _value(one: Argument, state: EntryState, memory: Memory) -> int:
    return value_of(one, state.registers, lambda at, size_bytes: memory(state, at, size_bytes))


def may_read(used: Used, one: Argument) -> bool:
    """Whether a body that reads this may read the argument."""
    if one.on_stack:
        first = int(one.place) + one.offset_bytes
        read = any(
            isinstance(at, int) and at < first + one.type.size_bytes and first < at + size
            for at, size in used.places.items()
        )
        return read or not used.knows_stack
    return one.offset_bytes < used.places.get(one.place, 0) or not used.knows_registers
