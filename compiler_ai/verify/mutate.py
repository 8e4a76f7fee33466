"""Variations of one call whose reads are known. Deterministic from a seed."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice

from compiler_ai.sandbox.state import Registers
from compiler_ai.verify.prototype import Prototype, Type
from compiler_ai.verify.state import ARRAY_BYTES, EntryState, integer_parameters, passed
from compiler_ai.verify.values import (
    LENGTHS,
    float_bytes,
    float_element_bytes,
    integer,
    mutated_number,
    number,
    one_nan,
    signed_difference,
)

_MOST_EXTREME_SPANS = 6
_FAR = 2.0**30
_MOST_APART = (
    255  # of what a table holds and what is compared: how far a code subtracts from it what a range begins with
)
_NEAR_BYTES = 4096


@dataclass(frozen=True)
class Seed:
    """A call to vary: the byte spans that the baseline reads of writable memory, those of them that it reads as nothing but
    floating-point numbers, and the bytes at an address."""

    state: EntryState
    reads: Sequence[tuple[int, int]]
    memory: Callable[[int, int], bytes]
    floats: Container[tuple[int, int]] = ()

    @cached_property
    def _values(self) -> dict[tuple[int, int], bytes]:
        return {span: self.memory(span[0], span[1] - span[0]) for span in self.reads}

    def value(self, span: tuple[int, int]) -> bytes:
        """The bytes of one of the `reads`."""
        return self._values[span]


@dataclass(frozen=True)
class Lookup:
    """A `value` of so many bytes that was loaded from a table, at an index that had been loaded from the byte at `index`; `indices`
    says for each value in the table where it is: in the middle of such places, for callees may make an exception of the first or last."""

    value: int
    size_bytes: int
    index: int
    indices: Mapping[int, int]


@dataclass(frozen=True)
class Wish:
    """A compared value, one that it should be instead, the spans that were loaded just before, and what was looked up there."""

    seen: int
    wanted: int
    size_bytes: int
    near: tuple[tuple[int, int], ...] = ()
    lookups: tuple[Lookup, ...] = ()


def mutations(seed: Seed, prototype: Prototype | None, constants: Sequence[int], name: str) -> Iterator[EntryState]:
    """An endless stream of variations; `name` seeds the choices."""
    chance = random.Random(name)
    parameters = integer_parameters(prototype) if prototype is not None else []
    pointers = [span for span in seed.reads if is_pointer(seed, span)]
    scalars = [span for span in seed.reads if span not in set(pointers)]
    element = float_element_bytes(prototype)
    number = 0
    while True:
        number += 1
        general = dict(seed.state.registers.general)
        patches: dict[int, bytes] = {}
        kinds = ["bytes", "bytes", "bytes", "region", "copy"] if scalars else []
        kinds += ["integer", "integer"] if parameters else []
        kinds += ["pointer"] if pointers else []
        if not kinds:
            return
        for _ in range(chance.choice((1, 1, 2, 4))):
            kind = chance.choice(kinds)
            if kind == "integer":
                _mutate_argument(general, parameters, constants, chance)
            elif kind == "pointer":
                to = chance.choice(pointers)
                patches[to[0]] = chance.choice((bytes(8), seed.value(chance.choice(pointers))))
            elif kind == "bytes":
                for _ in range(chance.choice((1, 2, 8, 32))):
                    span = chance.choice(scalars)
                    patches[span[0]] = mutated_number(seed.value(span), chance, constants)
            elif kind == "copy":
                to, from_ = chance.choice(scalars), chance.choice(scalars)
                if to[1] - to[0] == from_[1] - from_[0]:
                    patches[to[0]] = seed.value(from_)
            else:
                at = chance.randrange(len(scalars))
                fill = chance.choice((0, 0xFF, None, None))
                for start, end in scalars[at : at + chance.choice((4, 16, 64, 256))]:
                    patches[start] = (
                        bytes([fill]) * (end - start) if fill is not None else chance.randbytes(end - start)
                    )
        if element:
            patches = {address: one_nan(data, element) for address, data in patches.items()}
        yield changed(seed.state, f"mutation {number}", general, patches)


def granted(seed: Seed, prototype: Prototype | None, wish: Wish, most: int = 6) -> Iterator[tuple[int, EntryState]]:
    """The seed with every place that may be where the compared value came from set to the wanted one, a state a place, with how
    far-fetched that is: 0 for places of its size with that very value, 1 for those with that value in more or fewer bytes or
    further left, 2 for those with its lowest bytes and what was loaded just before, and pointers beside another one into the same array,
    changed by the difference. At most `most` states;
    none for places read as floating-point numbers: what is compared are whole numbers."""
    return islice(_granted(seed, prototype, wish, most // 2), most)


def _granted(seed: Seed, prototype: Prototype | None, wish: Wish, each: int) -> Iterator[tuple[int, EntryState]]:
    """`granted`, with at most `each` states for values like the compared one in memory, further left there, or in an argument."""
    registers = seed.state.registers
    parameters = integer_parameters(prototype) if prototype is not None else []
    apart = signed_difference(wish.wanted, wish.seen, wish.size_bytes)
    ends = [
        name
        for name, kind in reversed(parameters)  # the end is mostly passed behind the beginning
        if _is_end(name, kind, parameters, registers, wish) and not _misaligns(kind, apart)
    ]
    moved = (
        (2, changed(seed.state, f"{name} to {value:#x}", {**registers.general, name: value}, {}))
        for name in (ends if apart else ())
        for value in [registers[name] + apart & _mask(8)]
    )
    if wish.size_bytes == 8:
        yield from moved  # as many bytes as pointers have: most likely one was compared
    yield from ((0, state) for state in _looked_up(seed, wish))
    for name, kind in parameters:
        mask = _mask(min(8, kind.size_bytes))
        is_same = (registers[name] ^ wish.seen) & mask & _mask(wish.size_bytes) == 0
        if is_same and not _misaligns(kind, wish.wanted - wish.seen):
            value = passed(wish.wanted, kind) if kind.kind == "integer" else wish.wanted & _mask(8)
            yield 0, changed(seed.state, f"{name} to {value:#x}", {**registers.general, name: value}, {})
        shift = _shift(registers[name] & mask, wish.seen) if kind.kind == "integer" else 0
        if shift:
            value = passed(wish.wanted << shift | registers[name] & _low(shift), kind)
            yield 1, changed(seed.state, f"{name} to {value:#x}", {**registers.general, name: value}, {})
    yield from moved
    spans = [span for span in seed.reads if span[1] - span[0] <= 8 and span not in seed.floats]
    values = {span: int.from_bytes(seed.value(span), "little") for span in spans}
    same = [s for s in spans if (values[s] ^ wish.seen) & _mask(s[1] - s[0]) & _mask(wish.size_bytes) == 0]
    for span in sorted(same, key=lambda span: _likeness(span, wish))[:each]:
        yield _likeness(span, wish), _patched(seed, span, wish.wanted)
    shifted = [span for span in spans if _shift(values[span], wish.seen) and not is_pointer(seed, span)]
    for span in shifted[:each]:
        shift = _shift(values[span], wish.seen)
        yield 1, _patched(seed, span, wish.wanted << shift | values[span] & _low(shift))
    difference = wish.wanted - wish.seen
    for span in wish.near:
        if span in values:
            yield 2, _patched(seed, span, values[span] + difference)
    for name, kind in parameters:
        if kind.kind == "integer":
            value = passed(registers[name] + difference, kind)
        elif name not in ends and abs(difference) < _NEAR_BYTES and not _misaligns(kind, difference):
            value = (registers[name] + difference) & _mask(8)  # an end that is computed with
        else:
            continue
        yield 2, changed(seed.state, f"{name} to {value:#x}", {**registers.general, name: value}, {})


def _is_end(name: str, kind: Type, parameters: Sequence[tuple[str, Type]], registers: Registers, wish: Wish) -> bool:
    """Whether a parameter is a pointer beside another one of its type that leads into the same array, as far as addresses tell, or
    is compared with that one."""
    twins = [registers[other] for other, like in parameters if like == kind and other != name]
    apart = [registers[name] - twin for twin in twins] if kind.kind == "pointer" else []
    seen = signed_difference(wish.seen, 0, wish.size_bytes) if wish.size_bytes == 8 else 0
    return any(abs(distance) < ARRAY_BYTES or abs(distance - seen) < ARRAY_BYTES for distance in apart)


def _shift(value: int, seen: int) -> int:
    """By how many bits `value` is `seen` further left, 0 when it is not."""
    shift = value.bit_length() - seen.bit_length()
    return shift if seen and shift > 0 and value >> shift == seen else 0


def _low(bits: int) -> int:
    return (1 << bits) - 1


def _likeness(span: tuple[int, int], wish: Wish) -> int:
    """0 for a span of the compared value's size, 1 for one that holds it whole, 2 for one that holds its lowest bytes."""
    size = span[1] - span[0]
    return 0 if size == wish.size_bytes else 1 if wish.seen <= _mask(size) else 2


def extremes(seed: Seed, prototype: Prototype | None) -> Iterator[EntryState]:
    """The seed with each part of each number that it gets, the whole, a half or a quarter, of ones or of zeros alone: what
    several of them make up together is largest and smallest there."""
    parameters = integer_parameters(prototype) if prototype is not None else []
    numbers = [(name, kind) for name, kind in parameters if kind.kind == "integer" and not kind.boolean]
    spans = [
        span
        for span in seed.reads
        if span[1] - span[0] in (2, 4, 8) and span not in seed.floats and not is_pointer(seed, span)
    ]
    general = seed.state.registers.general
    for ones in (True, False):
        for name, kind in numbers:
            for part in _parts(min(8, kind.size_bytes)):
                value = passed(general[name] | part if ones else general[name] & ~part, kind)
                yield changed(seed.state, f"{name} to {value:#x}", {**general, name: value}, {})
        for span in spans[:_MOST_EXTREME_SPANS]:
            for part in _parts(span[1] - span[0]):
                number = int.from_bytes(seed.value(span), "little")
                yield _patched(seed, span, number | part if ones else number & ~part)


def magnitudes(seed: Seed) -> Iterator[EntryState]:
    """The seed with all floating-point numbers that it reads negated, all the same, none, far smaller and far greater: what is computed
    of many of them has another sign or magnitude for no less."""
    read = {
        span: number(seed.value(span)) for span in seed.reads if span in seed.floats and span[1] - span[0] in (4, 8)
    }
    finite = {span: value for span, value in read.items() if math.isfinite(value)}
    first = next(iter(finite.values()), 0.0)
    ways: dict[str, Callable[[float], float]] = {
        "negated": lambda value: -value,
        "all the same": lambda _: first,
        "zero": lambda _: 0.0,
        "far smaller": lambda value: value * _FAR**-1,
        "far greater": lambda value: value * _FAR,
    }
    for how, way in ways.items() if finite else ():
        patches = {start: float_bytes(way(value), end - start) for (start, end), value in finite.items()}
        yield changed(seed.state, f"floating-point numbers {how}", {**seed.state.registers.general}, patches)


def _parts(size_bytes: int) -> Iterator[int]:
    """The bits of a number's halves, of the whole number, and of its quarters."""
    for count in (2, 1, 4):
        bits = 8 * size_bytes // count
        yield from (_low(bits) << bits * index for index in reversed(range(count)))


def _misaligns(kind: Type, difference: int) -> bool:
    """Whether a pointer that is moved by so many bytes points to no whole element any more."""
    return kind.kind == "pointer" and bool(difference % kind.target_alignment_bytes)


def exact(seed: Seed, wish: Wish) -> Iterator[EntryState]:
    """The seed with what was loaded just before a comparison set to the wanted value, if it was the compared one, or with the index
    at which it was looked up."""
    readable = set(seed.reads)
    for span in wish.near:
        size = span[1] - span[0]
        if span in readable and int.from_bytes(seed.value(span), "little") == wish.seen & _mask(size):
            yield _patched(seed, span, wish.wanted)
    yield from _looked_up(seed, wish)


def _looked_up(seed: Seed, wish: Wish) -> Iterator[EntryState]:
    """The seed with another index where the table holds a value that is as far from the one there as the wanted one from the seen."""
    for one in wish.lookups:
        wanted = (one.value + wish.wanted - wish.seen) & _mask(one.size_bytes)
        span = one.index, one.index + 1
        far = abs(one.value - wish.seen) > _MOST_APART  # what is compared is something else
        if wanted in one.indices and span in seed.reads and not far:
            yield _patched(seed, span, one.indices[wanted])


def agreeing(first: int, second: int, size: int, memory: Callable[[int, int], bytes]) -> bytes:
    """What makes the `size` bytes at `second` the same as those at `first`, which may overlap them."""
    if abs(second - first) >= size:
        return memory(first, size)
    low, high = min(first, second), max(first, second)
    data = bytearray(memory(low, high - low + size))
    steps = range(size) if first < second else range(size - 1, -1, -1)
    for at in steps:
        data[second - low + at] = data[first - low + at]
    return bytes(data[second - low : second - low + size])


def _patched(seed: Seed, span: tuple[int, int], value: int) -> EntryState:
    size = span[1] - span[0]
    data = (value & _mask(size)).to_bytes(size, "little")
    return changed(
        seed.state, f"{span[0]:#x} to {value & _mask(size):#x}", dict(seed.state.registers.general), {span[0]: data}
    )


def _mask(size: int) -> int:
    return (1 << 8 * size) - 1


def changed(base: EntryState, how: str, general: Mapping[str, int], patches: Mapping[int, bytes]) -> EntryState:
    """`base` with these general registers instead of its own and more bytes of memory changed; `how` ends its name."""
    return replace(
        base,
        name=f"{base.name}, {how}",
        origin="mutated" if base.origin == "captured" else base.origin,
        registers=replace(base.registers, general=general),
        patches={**base.patches, **patches},
    )


def is_pointer(seed: Seed, span: tuple[int, int]) -> bool:
    """Whether a span of 8 bytes holds the address of memory that the state has."""
    if span[1] - span[0] != 8:
        return False
    value = int.from_bytes(seed.value(span), "little")
    pages = (seed.state.image.pages, *seed.state.extra)
    return value > 0xFFFF and any(page_set.find(value) is not None for page_set in pages)


def other_argument(
    state: EntryState, prototype: Prototype | None, constants: Sequence[int], chance: random.Random
) -> EntryState | None:
    """The state with one of its arguments changed, a pointer by a few elements or to a few behind another one; None when it has no
    argument that may change."""
    parameters = integer_parameters(prototype) if prototype is not None else []
    if not parameters:
        return None
    general = dict(state.registers.general)
    _mutate_argument(general, parameters, constants, chance)
    names = [name for name, _ in parameters if general[name] != state.registers.general[name]]
    how = ", ".join(f"{name} to {general[name]:#x}" for name in names)
    return changed(state, how, general, {}) if names else None


def _mutate_argument(
    general: dict[str, int], parameters: Sequence[tuple[str, Type]], constants: Sequence[int], chance: random.Random
) -> None:
    name, kind = chance.choice(parameters)
    value = general[name]
    if kind.kind == "pointer":
        step = max(1, kind.target_bytes)
        others = [general[other] for other, another in parameters if other != name and another.kind == "pointer"]
        if others and chance.random() < 0.4:
            value = chance.choice(others) + chance.randrange(0, 21) * step
        else:
            value += chance.choice((1, -1, 2, 4, 8)) * step
        general[name] = value & _mask(8)
        return
    value = chance.choice(
        (
            value - 1,
            value + 1,
            value // 2,
            value - value % 4,
            chance.choice(LENGTHS),
            chance.choice(LENGTHS),
            chance.randrange(value + 1) if value < 1 << 40 else 0,
            integer(chance),
            (chance.choice(constants) if constants else 0) + chance.choice((-1, 0, 1)),
        )
    )
    general[name] = passed(value, kind)
