"""Variations of one call whose reads are known. Deterministic from a seed."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from compiler_ai.verify.prototype import Prototype, Type
from compiler_ai.verify.state import EntryState, integer_parameters, passed
from compiler_ai.verify.values import LENGTHS, float_element_bytes, integer, mutated_number, one_nan


@dataclass(frozen=True)
class Seed:
    """A call to vary: the byte spans that the baseline reads of writable memory, and the bytes at an address."""

    state: EntryState
    reads: Sequence[tuple[int, int]]
    memory: Callable[[int, int], bytes]

    def value(self, span: tuple[int, int]) -> bytes:
        return self.memory(span[0], span[1] - span[0])


@dataclass(frozen=True)
class Wish:
    """A compared value, one that it should be instead, and the spans that were loaded just before."""

    seen: int
    wanted: int
    size_bytes: int
    near: tuple[tuple[int, int], ...] = ()


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
        yield _changed(seed, f"mutation {number}", general, patches)


def granted(seed: Seed, prototype: Prototype | None, wish: Wish, most: int = 6) -> Iterator[EntryState]:
    """The seed with every place that may be where the compared value came from set to the wanted one, a state a place: places
    with that very value (or, in an argument, that value further left) first, then what was loaded just before, changed by the difference. At most `most` states."""
    mask, made = _mask(wish.size_bytes), 0
    registers = seed.state.registers
    parameters = integer_parameters(prototype) if prototype is not None else []
    for name, kind in parameters:
        size = min(8, kind.size_bytes)
        if (registers[name] ^ wish.seen) & mask & _mask(size) == 0 and not _misaligns(kind, wish.wanted - wish.seen):
            value = passed(wish.wanted, kind) if kind.kind == "integer" else wish.wanted & _mask(8)
            made += 1
            yield _changed(seed, f"{name} to {value:#x}", {**registers.general, name: value}, {})
        for shift in range(1, 64) if kind.kind == "integer" and wish.seen and made < most // 2 else ():
            if (registers[name] & _mask(size)) >> shift == wish.seen:
                value = passed(wish.wanted << shift | registers[name] & ((1 << shift) - 1), kind)
                made += 1
                yield _changed(seed, f"{name} to {value:#x}", {**registers.general, name: value}, {})
    spans = [span for span in seed.reads if span[1] - span[0] <= 8]
    same = [s for s in spans if (int.from_bytes(seed.value(s), "little") ^ wish.seen) & _mask(s[1] - s[0]) & mask == 0]
    readable = set(spans)
    for span in same[: most // 2]:
        made += 1
        yield _patched(seed, span, wish.wanted)
    difference = wish.wanted - wish.seen
    for span in wish.near:
        if span in readable and made < most:
            made += 1
            yield _patched(seed, span, int.from_bytes(seed.value(span), "little") + difference)
    for name, kind in parameters:
        if kind.kind == "integer" and made < most:
            made += 1
            value = passed(registers[name] + difference, kind)
            yield _changed(seed, f"{name} to {value:#x}", {**registers.general, name: value}, {})


def arranged(state: EntryState, prototype: Prototype) -> Iterator[EntryState]:
    """The same call with each two of its arrays exchanged, and with each of them one element behind where another begins: what a
    body asks of how its arrays lie to each other comes out either way."""
    registers = state.registers
    arrays = [(name, kind) for name, kind in integer_parameters(prototype) if kind.target_kind in ("integer", "float")]
    for (first, first_kind), (second, second_kind) in combinations(arrays, 2):
        places = {first: registers[second], second: registers[first]}
        if registers[first] == registers[second]:
            continue
        yield _rearranged(state, f"{first} and {second} exchanged", places)
        yield _rearranged(state, f"{first} in {second}", {first: registers[second] + first_kind.target_bytes})
        yield _rearranged(state, f"{second} in {first}", {second: registers[first] + second_kind.target_bytes})


def _rearranged(state: EntryState, how: str, places: Mapping[str, int]) -> EntryState:
    registers = replace(state.registers, general={**state.registers.general, **places})
    return replace(state, name=f"{state.name}, {how}", origin="mutated", registers=registers)


def _misaligns(kind: Type, difference: int) -> bool:
    """Whether a pointer that is moved by so many bytes points to no whole element any more."""
    return kind.kind == "pointer" and bool(difference % kind.target_alignment_bytes)


def exact(seed: Seed, wish: Wish) -> Iterator[EntryState]:
    """The seed with what was loaded just before a comparison set to the wanted value, if it was the compared one."""
    readable = set(seed.reads)
    for span in wish.near:
        size = span[1] - span[0]
        if span in readable and int.from_bytes(seed.value(span), "little") == wish.seen & _mask(size):
            yield _patched(seed, span, wish.wanted)


def _patched(seed: Seed, span: tuple[int, int], value: int) -> EntryState:
    size = span[1] - span[0]
    data = (value & _mask(size)).to_bytes(size, "little")
    return _changed(
        seed, f"{span[0]:#x} to {value & _mask(size):#x}", dict(seed.state.registers.general), {span[0]: data}
    )


def _mask(size: int) -> int:
    return (1 << 8 * size) - 1


def _changed(seed: Seed, how: str, general: dict[str, int], patches: dict[int, bytes]) -> EntryState:
    base = seed.state
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
