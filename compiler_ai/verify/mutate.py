"""Variations of one call whose reads are known. Deterministic from a seed."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice

from compiler_ai.sandbox.pages import Prot
from compiler_ai.verify.prototype import Prototype, Type
from compiler_ai.verify.scalars import Argument, arguments_of, other_value, value_of, with_arguments
from compiler_ai.verify.state import ARRAY_BYTES, EntryState
from compiler_ai.verify.values import (
    float_bytes,
    float_element_bytes,
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
    floating-point numbers, the bytes at an address, and the body's own floating-point constants."""

    state: EntryState
    reads: Sequence[tuple[int, int]]
    memory: Callable[[int, int], bytes]
    floats: Container[tuple[int, int]] = ()
    reals: Sequence[float] = ()

    @cached_property
    def _values(self) -> dict[tuple[int, int], bytes]:
        return {span: self.memory(span[0], span[1] - span[0]) for span in self.reads}

    def value(self, span: tuple[int, int]) -> bytes:
        """The bytes of one of the `reads`."""
        return self._values[span]

    def arguments(self, prototype: Prototype | None) -> dict[Argument, int]:
        """The scalars that the call passes, with their values."""
        registers = self.state.registers
        return {one: value_of(one, registers, self.memory) for one in arguments_of(prototype)}


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
    passed = seed.arguments(prototype)
    movable = _movable(passed)
    pointers = [span for span in seed.reads if is_pointer(seed, span)]
    scalars = [span for span in seed.reads if span not in set(pointers)]
    code = [span for span in pointers if _leads_to_code(seed, span)]
    data = [span for span in pointers if span not in set(code)]
    element = float_element_bytes(prototype)
    number = 0
    while True:
        number += 1
        values: dict[Argument, int] = {}
        patches: dict[int, bytes] = {}
        kinds = ["bytes", "bytes", "bytes", "region", "copy"] if scalars else []
        kinds += ["argument", "argument"] if movable else []
        kinds += ["pointer"] if pointers else []
        if not kinds:
            return
        for _ in range(chance.choice((1, 1, 2, 4))):
            kind = chance.choice(kinds)
            if kind == "argument":
                one = chance.choice(movable)
                values[one] = other_value(one, {**passed, **values}, constants, seed.reals, chance)
            elif kind == "pointer":
                to = chance.choice(pointers)
                others = code if to in code else data
                patches[to[0]] = chance.choice((bytes(8), seed.value(chance.choice(others))))
            elif kind == "bytes":
                for _ in range(chance.choice((1, 2, 8, 32))):
                    span = chance.choice(scalars)
                    patches[span[0]] = _mutated(seed, span, constants, chance)
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
        yield _patched_at(with_arguments(seed.state, values), f"mutation {number}", patches)


def _mutated(seed: Seed, span: tuple[int, int], constants: Sequence[int], chance: random.Random) -> bytes:
    """Another number for the one at a span; of floating-point ones every fourth is what the body compares or computes with."""
    size = span[1] - span[0]
    if span in seed.floats and size in (4, 8) and seed.reals and not chance.randrange(4):
        return float_bytes(chance.choice(seed.reals), size)
    return mutated_number(seed.value(span), chance, constants)


def granted(seed: Seed, prototype: Prototype | None, wish: Wish, most: int = 6) -> Iterator[tuple[int, EntryState]]:
    """The seed with every place that may be where the compared value came from set to the wanted one, a state a place, with how
    far-fetched that is: 0 for places of its size with that very value, 1 for those with that value in more or fewer bytes or
    further left, 2 for those with its lowest bytes and what was loaded just before, and pointers beside another one into the same array,
    changed by the difference. At most `most` states;
    none for places read as floating-point numbers: what is compared are whole numbers."""
    return islice(_granted(seed, prototype, wish, most // 2), most)


def _granted(seed: Seed, prototype: Prototype | None, wish: Wish, each: int) -> Iterator[tuple[int, EntryState]]:
    """`granted`, with at most `each` states for values like the compared one in memory, further left there, or in an argument."""
    passed = {one: value for one, value in seed.arguments(prototype).items() if _is_compared(one)}
    apart = signed_difference(wish.wanted, wish.seen, wish.size_bytes)
    ends = [
        one
        for one in reversed(passed)  # the end is mostly passed behind the beginning
        if _is_end(one, passed, wish) and not _misaligns(one.type, apart)
    ]
    moved = ((2, with_one(seed.state, one, passed[one] + apart)) for one in (ends if apart else ()))
    if wish.size_bytes == 8:
        yield from moved  # as many bytes as pointers have: most likely one was compared
    yield from ((0, state) for state in _looked_up(seed, wish))
    for one, value in passed.items():
        if one.on_stack:
            continue  # it is among the reads
        is_same = (value ^ wish.seen) & _mask(one.type.size_bytes) & _mask(wish.size_bytes) == 0
        if is_same and not _misaligns(one.type, wish.wanted - wish.seen):
            yield 0, with_one(seed.state, one, wish.wanted)
        shift = _shift(value, wish.seen) if one.type.kind == "integer" else 0
        if shift:
            yield 1, with_one(seed.state, one, wish.wanted << shift | value & _low(shift))
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
    for one, value in passed.items():
        # A pointer that is no end, as far as addresses tell, may be one that is computed with.
        is_near = one not in ends and abs(difference) < _NEAR_BYTES and not _misaligns(one.type, difference)
        if not one.on_stack and (one.type.kind == "integer" or is_near):
            yield 2, with_one(seed.state, one, value + difference)


def _is_end(one: Argument, passed: Mapping[Argument, int], wish: Wish) -> bool:
    """Whether an argument is a pointer beside another one of its type that leads into the same array, as far as addresses tell, or
    is compared with that one."""
    twins = [value for other, value in passed.items() if other.type == one.type and other != one]
    apart = [passed[one] - twin for twin in twins] if one.type.kind == "pointer" else []
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
    numbers = {one: value for one, value in seed.arguments(prototype).items() if _is_number(one)}
    spans = [
        span
        for span in seed.reads
        if span[1] - span[0] in (2, 4, 8) and span not in seed.floats and not is_pointer(seed, span)
    ]
    for ones in (True, False):
        for one, value in numbers.items():
            for part in _parts(one.type.size_bytes):
                yield with_one(seed.state, one, value | part if ones else value & ~part)
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
        yield _patched_at(seed.state, f"floating-point numbers {how}", patches)


def _is_compared(one: Argument) -> bool:
    return one.type.kind in ("integer", "pointer") and not one.type.leads_to_code


def _is_number(one: Argument) -> bool:
    return one.type.kind == "integer" and not one.type.boolean and not one.on_stack


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
    return _patched_at(seed.state, f"{span[0]:#x} to {value & _mask(size):#x}", {span[0]: data})


def _patched_at(state: EntryState, how: str, patches: Mapping[int, bytes]) -> EntryState:
    return changed(state, how, state.registers.general, patches)


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


def with_values(base: EntryState, values: Mapping[Argument, int]) -> EntryState:
    """`base` with other arguments, which its name tells."""
    how = ", ".join(f"{one} to {value & _mask(one.type.size_bytes):#x}" for one, value in values.items())
    return _patched_at(with_arguments(base, values), how, {})


def with_one(base: EntryState, one: Argument, value: int) -> EntryState:
    """`base` with one other argument."""
    return with_values(base, {one: value})


def is_pointer(seed: Seed, span: tuple[int, int]) -> bool:
    """Whether a span of 8 bytes holds the address of memory that the state has."""
    if span[1] - span[0] != 8:
        return False
    value = int.from_bytes(seed.value(span), "little")
    pages = (seed.state.image.pages, *seed.state.extra)
    return value > 0xFFFF and any(page_set.find(value) is not None for page_set in pages)


def _movable(passed: Iterable[Argument]) -> list[Argument]:
    """Those that may have another value: beside what holds pointers to functions lie other functions, or none."""
    return [one for one in passed if not one.type.leads_to_code]


def _leads_to_code(seed: Seed, span: tuple[int, int]) -> bool:
    value = int.from_bytes(seed.value(span), "little")
    region = seed.state.image.pages.find(value)
    return region is not None and bool(region.prot & Prot.EXEC)


def other_argument(
    state: EntryState,
    prototype: Prototype | None,
    constants: Sequence[int],
    chance: random.Random,
    memory: Callable[[int, int], bytes],
    reals: Sequence[float] = (),
) -> EntryState | None:
    """The state with one of its arguments changed; None when it has none. `memory` gives the bytes at an address."""
    passed = {one: value_of(one, state.registers, memory) for one in arguments_of(prototype)}
    movable = _movable(passed)
    if not movable:
        return None
    one = chance.choice(movable)
    return with_one(state, one, other_value(one, passed, constants, reals, chance))
