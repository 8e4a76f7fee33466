"""States in which a byte that a run loads, or is passed, has every value: a table or a range may be wrong for one of them alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterator, Mapping, Sequence
from itertools import takewhile
from random import Random

from compiler_ai.sandbox.pages import PAGE_BYTES, page_floor
from compiler_ai.sandbox.process import Trace
from compiler_ai.verify.accesses import Decoder
from compiler_ai.verify.footprint import Bits
from compiler_ai.verify.mutate import Seed, changed
from compiler_ai.verify.prototype import Prototype, Type
from compiler_ai.verify.state import EntryState, integer_parameters, passed
from compiler_ai.verify.values import signed_difference

_BYTES = 256
_EXTREMES = (0x7FFF, 0x8000, 0xFFFF, 0)  # of two bytes
_MOST_MISSED = 4  # states after another in which a load is not executed
Span = tuple[int, int]


def byte_places(trace: Trace, decoder: Decoder, readable: Sequence[Span]) -> dict[int, list[Span]]:
    """By address of the instruction, what a run loads as one byte or as two of what can be varied, each place once, in the order of the
    run."""
    spans = {span for span in readable if span[1] - span[0] <= 2}
    found: dict[int, dict[Span, None]] = {}
    for step in trace if spans else ():
        for operand in decoder.decoded(step.rip).operands:
            if operand.reads and operand.size_bytes <= 2:
                start = decoder.address(operand, step.general)
                span = start, start + operand.size_bytes
                if span in spans:
                    found.setdefault(step.rip, {})[span] = None
    return {site: list(places) for site, places in found.items()}


def apart(places: Mapping[int, Sequence[Span]]) -> dict[int, Sequence[Span]]:
    """Those of `byte_places` that share nothing with earlier ones, whose values they have."""
    taken: set[int] = set()
    found = {}
    for site, spans in places.items():
        addresses = {address for span in spans for address in range(*span)}
        if taken.isdisjoint(addresses):
            taken |= addresses
            found[site] = spans
    return found


class Sweep:
    """Goes through the values of what some instructions load in a seed's run, all of these at once: as many values in one state as an
    instruction loads places. One that the others' values lead the run away from goes through its own alone afterwards.

    `places` are `byte_places` that lie `apart`. After each `state`, `note` is to be called.
    """

    def __init__(self, seed: Seed, places: Mapping[int, Sequence[Span]], chance: Random) -> None:
        self._seed = seed
        self._places = places
        self._left = {site: values_of(spans[0][1] - spans[0][0], chance) for site, spans in places.items()}
        self._missed: Counter[int] = Counter()
        self._is_alone = False
        self._laid: dict[int, dict[Span, int]] = {}

    @property
    def is_walking(self) -> bool:
        """Whether some instruction loads more than one value in the latest state: `note` is to be told what was read."""
        return any(len(laid) > 1 for laid in self._laid.values())

    def state(self) -> EntryState | None:
        """The next one; None when there is nothing left to try."""
        sites = self._wanted()
        if not sites and not self._is_alone:
            self._is_alone = True
            self._missed.clear()
            sites = self._wanted()
        sites = sites[:1] if self._is_alone else sites
        if not sites:
            return None
        self._laid = {site: dict(zip(self._places[site], self._left[site], strict=False)) for site in sites}
        patches = {
            start: value.to_bytes(end - start, "little")
            for laid in self._laid.values()
            for (start, end), value in laid.items()
        }
        left = sum(map(len, self._left.values()))
        return changed(
            self._seed.state, f"{len(patches)} of {left} values", dict(self._seed.state.registers.general), patches
        )

    def note(self, executed: Container[int], read: Bits | None) -> None:
        """Takes in which of the instructions were executed in the latest state, and what was read (page -> bits), as far as that is
        known."""
        for site, laid in self._laid.items():
            got = set()
            if site in executed and read is None:
                got = {next(iter(laid.values()))}
            elif site in executed and read is not None:
                came_to = takewhile(lambda place: _is_in(place[0][0], read), laid.items())  # others read farther ones
                got = {value for _, value in came_to}
            self._left[site] = [value for value in self._left[site] if value not in got]
            self._missed[site] = 0 if got else self._missed[site] + 1

    def _wanted(self) -> list[int]:
        return [site for site, left in self._left.items() if left and self._missed[site] < _MOST_MISSED]


def values_of(size_bytes: int, chance: Random) -> list[int]:
    """All bytes in any order, with 0, which ends a text, last; of two bytes, all for each half, and the extremes."""
    order = [*chance.sample(range(1, _BYTES), _BYTES - 1), 0]
    if size_bytes == 1:
        return order
    return [low | high << 8 for low, high in zip(order, chance.sample(order, _BYTES), strict=True)] + list(_EXTREMES)


def _is_in(address: int, read: Bits) -> bool:
    return bool(read.get(page_floor(address), 0) >> address % PAGE_BYTES & 1)


def swept_arguments(bases: Sequence[EntryState], prototype: Prototype) -> Iterator[EntryState]:
    """The calls in turn with all values of each argument that is one byte, two, an enumeration, or, in a function that gets
    no pointers, a number that never was anything but a byte or -1, as of characters."""
    parameters = integer_parameters(prototype)
    for name, kind in parameters if bases else ():
        values: Sequence[int] = ()
        is_alone = all(other.kind == "integer" for _, other in prototype.parameters)
        passed_before = [signed_difference(base.registers[name], 0, kind.size_bytes or 8) for base in bases]
        if kind.kind != "integer" or kind.boolean:
            continue
        if kind.size_bytes <= 2:
            values = values_of(kind.size_bytes, Random(name))
        elif kind.largest:
            values = range(min(kind.largest + 2, _BYTES))
        elif is_alone and all(-1 <= value < _BYTES for value in passed_before):
            values = range(-1, _BYTES)
        yield from (_with(bases[number % len(bases)], name, kind, value) for number, value in enumerate(values))


def _with(base: EntryState, name: str, kind: Type, value: int) -> EntryState:
    value = passed(value, kind)
    return changed(base, f"{name} to {value:#x}", {**base.registers.general, name: value}, {})
