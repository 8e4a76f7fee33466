"""Test inputs: captured calls mutated, and calls generated from the C type. Deterministic from a seed."""

from __future__ import annotations

import math
import random
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from compiler_ai.sandbox.image import CaptureImage
from compiler_ai.sandbox.pages import PAGE_BYTES, PageSet, Prot, Region, page_floor
from compiler_ai.verify.prototype import Prototype, Type
from compiler_ai.verify.state import EntryState, integer_places

_ARENA = 0x2AAA_0000_0000  # in no mapping of a process without address space randomisation
_ARENA_STEP = 1 << 24
_BUFFER_PAGES = 16
_EDGES = (0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, 127, 128, 255, 256)
_WILD = (
    -1,
    -2,
    -128,
    0x7F,
    0x80,
    0xFF,
    0x100,
    0x7FFF,
    0x8000,
    0xFFFF,
    0x7FFFFFFF,
    0x80000000,
    0xFFFFFFFF,
    1 << 62,
    1 << 63,
    (1 << 64) - 1,
)
# The one NaN is the processor's default NaN (sign set, Intel SDM volume 1, 4.8.3.7): with a single bit pattern around, the
# order of operands, which C leaves open, does not decide the result's bits.
_NAN = struct.unpack("<d", bytes.fromhex("000000000000f8ff"))[0]
_FLOATS = (
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    1e-310,
    -5e-324,
    1e300,
    -1e300,
    float("inf"),
    float("-inf"),
    _NAN,
    1e-3,
    3.0,
    123456.789,
)


@dataclass(frozen=True)
class Base:
    """A captured state to build on: its image, and the byte ranges that the baseline reads and writes from it."""

    name: str
    state: EntryState
    reads: Sequence[tuple[int, int]]
    initial: Mapping[int, bytes]


def mutated(base: Base, prototype: Prototype | None, seed: int) -> Iterator[EntryState]:
    """An endless stream of variations of one captured call."""
    chance = random.Random(f"{base.name} {seed}")
    spans = [span for span in base.reads if base.initial.get(page_floor(span[0])) is not None]
    places = integer_places(prototype) if prototype is not None else None
    number = 0
    while True:
        number += 1
        general = dict(base.state.registers.general)
        patches: dict[int, bytes] = {}
        kinds = ["bytes", "bytes", "region", "copy"] if spans else []
        kinds += ["integer", "integer"] if places else []
        if not kinds:
            return
        for _ in range(chance.choice((1, 1, 2, 4))):
            kind = chance.choice(kinds)
            if kind == "integer" and places:
                _mutate_integer(general, places, prototype, chance)
            elif kind == "bytes":
                for _ in range(chance.choice((1, 2, 8, 32))):
                    start, end = chance.choice(spans)
                    patches[start] = _mutated_value(_value(base.initial, start, end), chance)
            elif kind == "copy":
                (a, a_end), (b, b_end) = chance.choice(spans), chance.choice(spans)
                if a_end - a == b_end - b:
                    patches[a] = _value(base.initial, b, b_end)
            else:
                at = chance.randrange(len(spans))
                fill = chance.choice((0, 0xFF, None, None))
                for start, end in spans[at : at + chance.choice((4, 16, 64, 256))]:
                    size = end - start
                    patches[start] = bytes([fill]) * size if fill is not None else chance.randbytes(size)
        element = _float_bytes_of(prototype)
        if element:
            patches = {address: _one_nan(data, element) for address, data in patches.items()}
        registers = replace(base.state.registers, general=general)
        yield EntryState(f"{base.name}, mutation {number}", "mutated", base.state.image, registers, patches)


def generated(base: EntryState, prototype: Prototype, seed: int, count: int) -> Iterator[list[EntryState]]:
    """Groups of calls on fresh buffers between unmapped pages, made from the parameters' types.

    The states of one group differ in nothing but the size of their buffers, smallest first: the first on which the baseline
    does not fault is the test, so that an access just beyond what the baseline needs meets an unmapped page.
    """
    places = integer_places(prototype)
    if (
        places is None
        or prototype.variadic
        or len(places) < sum(k.kind in ("integer", "pointer") for _, k in prototype.parameters)
    ):
        return
    for number in range(count):
        chance = random.Random(f"{seed} {number}")
        yield [
            state
            for scale in (0, 1, 2, 3, 4)
            if (
                state := _generate(
                    base, prototype, random.Random(f"{seed} {number} values"), scale, number, chance.random() < 0.8
                )
            )
        ]


def _generate(
    base: EntryState, prototype: Prototype, chance: random.Random, scale: int, number: int, at_end: bool
) -> EntryState | None:
    general = dict(base.registers.general)
    places = dict(integer_places(prototype) or ())
    names = iter(places)
    length = chance.choice(_EDGES[:20]) if number % 4 else chance.choice(_EDGES)
    pointers = [kind for _, kind in prototype.parameters if kind.kind == "pointer"]
    buffers: list[tuple[int, int]] = []
    regions: list[Region] = []
    vectors: dict[int, bytes] = {}
    alias = chance.random() < 0.35 and len(pointers) > 1
    distance = chance.randrange(-20, 21)  # the later pointer above or below the earlier one
    wild = chance.random() < 0.15
    for _, kind in prototype.parameters:
        if kind.kind == "float":
            vectors[len(vectors)] = _float_bytes(chance.choice(_FLOATS), kind.size_bytes)
        elif kind.kind == "integer":
            value = (
                chance.choice(_WILD)
                if wild and chance.random() < 0.4
                else chance.choice((length, length, length, chance.choice(_EDGES)))
            )
            general[next(names)] = value & 0xFFFFFFFFFFFFFFFF
        elif kind.kind == "pointer":
            element = kind.target_bytes if kind.target_kind != "void" else 1
            if alias and buffers:
                address, _ = buffers[-1]
                general[next(names)] = address + distance * element
                continue
            size = _buffer_bytes(length, element, scale)
            address, region = _buffer(len(buffers), size, kind, chance, at_end)
            buffers.append((address, size))
            regions.append(region)
            general[next(names)] = address
    xstate = base.registers.xstate
    if vectors and len(xstate) >= 576:
        area = bytearray(xstate)
        for index, number_bytes in vectors.items():
            area[160 + 16 * index : 160 + 16 * index + len(number_bytes)] = number_bytes
        struct.pack_into("<Q", area, 512, struct.unpack_from("<Q", area, 512)[0] | 3)
        struct.pack_into("<I", area, 24, struct.unpack_from("<I", area, 24)[0] or 0x1F80)
        xstate = bytes(area)
    registers = replace(base.registers, general=general, xstate=xstate)
    extra = (PageSet(tuple(regions)),) if regions else ()
    return EntryState(
        f"generated {number} (length {length}, scale {scale})", "generated", base.image, registers, {}, extra
    )


def _buffer_bytes(length: int, element: int, scale: int) -> int:
    """Sizes to try: n elements, one more, n times n, and plenty."""
    wanted = (
        length * element,
        (length + 1) * element,
        length * length * element,
        (length + 2) * (length + 2) * element,
        16 * PAGE_BYTES,
    )[scale]
    return max(element, min(wanted, _BUFFER_PAGES * PAGE_BYTES))


def _buffer(index: int, size: int, kind: Type, chance: random.Random, at_end: bool) -> tuple[int, Region]:
    """A buffer that ends (or starts) at an unmapped page, aligned as its elements are; its page's other bytes are random."""
    start = _ARENA + index * _ARENA_STEP
    total = _BUFFER_PAGES * PAGE_BYTES
    alignment = 8 if kind.target_kind in ("aggregate", "pointer", "unknown") else min(kind.target_bytes, 8)
    alignment = 1 if kind.target_kind == "void" else max(1, alignment)
    address = start + total - size if at_end else start
    address -= address % alignment
    return address, Region(start, Prot.READ | Prot.WRITE, _contents(kind, total, chance))


def _contents(kind: Type, size: int, chance: random.Random) -> bytes:
    style = chance.random()
    if kind.target_kind == "float" and kind.target_bytes in (4, 8):
        count = size // kind.target_bytes
        letter = "f" if kind.target_bytes == 4 else "d"
        special = style < 0.3
        pool = [chance.choice(_FLOATS) if special else chance.uniform(-100, 100) for _ in range(64)]
        clipped = [value if letter == "d" else _to_single(value) for value in pool]
        words = [struct.pack(f"<{letter}", value) for value in clipped]
        return b"".join(chance.choices(words, k=count))
    if style < 0.15:
        return bytes(size)
    if style < 0.3:
        return bytes(chance.choice(b"abcdef ,;0123456789\n\0") for _ in range(PAGE_BYTES)) * (size // PAGE_BYTES)
    if style < 0.55 and kind.target_kind == "integer" and kind.target_bytes in (2, 4, 8):
        small = b"".join(
            chance.randrange(-20, 200).to_bytes(kind.target_bytes, "little", signed=True)
            if kind.target_bytes > 1
            else b"\0"
            for _ in range(PAGE_BYTES // kind.target_bytes)
        )
        return small * (size // PAGE_BYTES)
    return chance.randbytes(size)


def _mutate_integer(
    general: dict[str, int], places: Sequence[tuple[str, int]], prototype: Prototype | None, chance: random.Random
) -> None:
    kinds = [kind for _, kind in (prototype.parameters if prototype else ()) if kind.kind in ("integer", "pointer")]
    at = chance.randrange(len(places))
    name, _ = places[at]
    value = general[name]
    if at < len(kinds) and kinds[at].kind == "pointer":
        step = max(1, kinds[at].target_bytes)
        others = [general[other] for other, _ in places if other != name]
        if others and chance.random() < 0.4:
            value = chance.choice(others) + chance.randrange(0, 21) * step
        else:
            value += chance.choice((1, -1, 2, 4, 8)) * step
    else:
        value = chance.choice(
            (
                value - 1,
                value + 1,
                value // 2,
                value - value % 4,
                chance.choice(_EDGES),
                chance.choice(_EDGES),
                chance.randrange(value + 1) if value < 1 << 40 else 0,
                chance.choice(_WILD),
            )
        )
    general[name] = value & 0xFFFFFFFFFFFFFFFF


def _mutated_value(value: bytes, chance: random.Random) -> bytes:
    number = int.from_bytes(value, "little")
    bits = 8 * len(value)
    changed = chance.choice(
        (
            number ^ (1 << chance.randrange(bits)),
            number + 1,
            number - 1,
            0,
            (1 << bits) - 1,
            1 << (bits - 1),
            chance.getrandbits(bits),
        )
    )
    return (changed & ((1 << bits) - 1)).to_bytes(len(value), "little")


def _float_bytes_of(prototype: Prototype | None) -> int:
    """The size of the floating-point elements that a parameter points to, 0 for none."""
    kinds = [kind for _, kind in (prototype.parameters if prototype else ())]
    return next((kind.target_bytes for kind in kinds if kind.target_kind == "float" and kind.target_bytes in (4, 8)), 0)


def _one_nan(data: bytes, element: int) -> bytes:
    """`data` with every NaN in it replaced by the default NaN."""
    if len(data) % element:
        return data
    letter, default = ("f", "0000c0ff") if element == 4 else ("d", "000000000000f8ff")
    parts = []
    for at in range(0, len(data), element):
        (value,) = struct.unpack_from(f"<{letter}", data, at)
        parts.append(bytes.fromhex(default) if value != value else data[at : at + element])
    return b"".join(parts)


def _value(initial: Mapping[int, bytes], start: int, end: int) -> bytes:
    page = page_floor(start)
    data = initial.get(page, bytes(PAGE_BYTES))
    if end > page + PAGE_BYTES:
        data += initial.get(page + PAGE_BYTES, bytes(PAGE_BYTES))
    return data[start - page : end - page]


def _float_bytes(value: float, size: int) -> bytes:
    if size == 4:
        return struct.pack("<f", _to_single(value))
    return struct.pack("<d", value)


def _to_single(value: float) -> float:
    return max(-3e38, min(3e38, value)) if math.isfinite(value) else value


__all__ = ["Base", "CaptureImage", "generated", "mutated"]
