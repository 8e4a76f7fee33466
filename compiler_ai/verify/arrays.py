"""How the arrays that a call gets lie to each other: in any order, next to each other, and overlapping."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from compiler_ai.verify.mutate import changed
from compiler_ai.verify.prototype import Prototype, Type
from compiler_ai.verify.state import EntryState, integer_parameters, stack_parameters

ALL_OVERLAPS = (*range(1, 36), 47, 48, 63, 64, 127, 128)  # elements
NEAR_OVERLAPS = (1, 2, 3, 4, 8)
_MOST_PAIRS = 3  # of arrays
_POINTER_BYTES = 8
Place = str | int  # a register, or a distance from the stack pointer
Memory = Callable[[int, int], bytes]


@dataclass(frozen=True)
class _Array:
    """An argument that points to numbers, where it is passed and what it is."""

    place: Place
    kind: Type
    address: int

    def __str__(self) -> str:
        return self.place if isinstance(self.place, str) else f"the argument at rsp+{self.place}"


def arranged(state: EntryState, prototype: Prototype, memory: Memory) -> Iterator[EntryState]:
    """The same call with each two of its arrays exchanged, then with each of them one element behind or before where another begins: what a
    body asks of how its arrays lie to each other comes out either way. `memory` gives the bytes at an address."""
    pairs = [(one, other) for one, other in combinations(_arrays(state, prototype, memory), 2)]
    for one, other in pairs:
        if one.address != other.address:
            yield _moved(state, f"{one} and {other} exchanged", {one: other.address, other: one.address})
    for direction, way in ((1, "in"), (-1, "before")):
        for pair in pairs:
            for one, other in (pair, pair[::-1]):
                if one.address != other.address:
                    address = other.address + direction * one.kind.target_bytes
                    yield _moved(state, f"{one} {way} {other}", {one: address})


def overlapping(
    state: EntryState, prototype: Prototype, memory: Memory, counts: Sequence[int] = ALL_OVERLAPS
) -> Iterator[EntryState]:
    """The same call with each two of its arrays in one buffer, one so many elements before the other, either way: a body that works on
    several elements at a time may be wrong for one distance alone. The buffers end where their elements do."""
    arrays = _arrays(state, prototype, memory)
    pairs = [pair for pair in combinations(arrays, 2) if not all(one.kind.target_const for one in pair)]
    for count in counts:
        for pair in pairs[:_MOST_PAIRS]:
            step = max(one.kind.target_bytes for one in pair)
            for one, other in (pair, pair[::-1]):
                how = f"{one} {count} elements before the other array"
                yield _moved(state, how, {one: other.address - count * step})


def _arrays(state: EntryState, prototype: Prototype, memory: Memory) -> list[_Array]:
    stack = state.registers["rsp"]
    in_registers = [_Array(name, kind, state.registers[name]) for name, kind in integer_parameters(prototype)]
    on_stack = [
        _Array(at, kind, int.from_bytes(memory(stack + at, _POINTER_BYTES), "little"))
        for at, kind in stack_parameters(prototype)
        if kind.kind == "pointer"
    ]
    return [one for one in (*in_registers, *on_stack) if one.kind.target_kind in ("integer", "float")]


def _moved(state: EntryState, how: str, places: Mapping[_Array, int]) -> EntryState:
    general = {one.place: address for one, address in places.items() if isinstance(one.place, str)}
    stack = state.registers["rsp"]
    patches = {
        stack + one.place: address.to_bytes(_POINTER_BYTES, "little")
        for one, address in places.items()
        if isinstance(one.place, int)
    }
    return changed(state, how, {**state.registers.general, **general}, patches)
