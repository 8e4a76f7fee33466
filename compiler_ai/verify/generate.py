"""Calls on fresh buffers between unmapped pages, made from the parameters' C types. Deterministic from a seed."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from compiler_ai.sandbox.pages import PAGE_BYTES, PageSet, Prot, Region, page_ceil
from compiler_ai.verify.prototype import Prototype, Type
from compiler_ai.verify.scalars import Argument, arguments_of, value_of, with_arguments
from compiler_ai.verify.state import ARRAY_BYTES, EntryState
from compiler_ai.verify.values import (
    FLOATS,
    LENGTHS,
    contents,
    float_bytes,
    integer,
    mutated_number,
    some_floats,
    text,
)

_ARENA = 0x2AAA_0000_0000  # from here on there is no mapping of a process without address space randomisation
_ARENAS = 1 << 12  # steps among which a call's buffers begin, so that all bits of their addresses vary
_EXTREME = 4  # every so many calls has one integer of an extreme value, the others being ordinary
_ARENA_STEP = 1 << 24
_SLOTS = 64  # steps among which a call's buffers are spread, so that each may lie before or behind each other
_BUFFER_PAGES = 16
_SCALES = 5
_OPAQUE = ("aggregate", "pointer", "unknown", "void")  # what is behind such a pointer is best taken from a real call
_REPLICA = 5  # every so many calls is a captured one on buffers of its own, so that what it reads can be varied
_REPLICA_BYTES = (64, 256, 1024, 4096, 65536, 1 << 20)
# Of what has no type, or is the beginning of something larger, all replicas but every fourth one have plenty.
_ROOMY_SCALE, _TIGHT = 3, 4
_LARGE_REPLICAS = (
    12  # the first few may have the largest buffers: for arrays of fixed size, which nothing else is made for
)
_BLOCK_BYTES = 64  # a replica's pointer is at all places in an aligned block of so many bytes (a cache line) in turn
_UNKNOWN_ALIGNMENT_BYTES = 16  # malloc's
_NEAR = (0, *(sign * n for n in range(1, 21) for sign in (1, -1)))  # distances of aliasing pointers, in elements


@dataclass(frozen=True)
class Base:
    """A captured call that what cannot be made up is taken from: registers, image, and bytes at an address; `reals` are the body's
    floating-point constants."""

    state: EntryState
    memory: Callable[[int, int], bytes]
    reals: Sequence[float] = ()


@dataclass
class _Call:
    """One call in the making."""

    base: Base
    chance: random.Random
    number: int
    length: int
    scale: int
    at_end: bool
    constants: Sequence[int]
    buffers: list[tuple[int, int]]
    regions: list[Region]
    arena: int
    slots: Sequence[int]
    origins: list[tuple[int, int, int]] = field(default_factory=list)  # of replicas: (captured address, bytes, address)

    @property
    def is_replica(self) -> bool:
        return self.number % _REPLICA == 3

    @property
    def is_apart(self) -> bool:
        """Whether no two pointers are taken to lead into the same array: arrays of fixed size may lie as close to each other."""
        return self.is_replica and self.number // _REPLICA < _LARGE_REPLICAS and self.number // _REPLICA % 2 == 1


def generated(
    bases: Sequence[Base], prototype: Prototype, constants: Sequence[int], seed: int
) -> Iterator[list[EntryState]]:
    """An endless stream of groups of states; none when the parameters' places are uncertain.

    The states of one group differ in nothing but the size of their buffers, smallest first: the first on which the baseline
    does not fault is the test, so that an access just beyond what the baseline needs meets an unmapped page.
    """
    arguments = arguments_of(prototype)
    if not bases or prototype.variadic:
        return
    number = 0
    while arguments:
        shape = random.Random(f"{seed} {number}")
        lengths = LENGTHS if number % 4 == 0 else LENGTHS[:20] if number % 4 < 3 else LENGTHS[:10]
        length, at_end, arena = shape.choice(lengths), shape.random() < 0.8, shape.randrange(_ARENAS)
        slots = shape.sample(range(_SLOTS), _SLOTS)
        group = []
        is_large = number % _REPLICA == 3 and number // _REPLICA < _LARGE_REPLICAS
        for scale in range(_SCALES + is_large):
            chance = random.Random(f"{seed} {number} values")
            base = bases[(number // _REPLICA if number % _REPLICA == 3 else number) % len(bases)]
            group.append(
                _generate(
                    _Call(base, chance, number, length, scale, at_end, constants, [], [], arena, slots),
                    arguments,
                )
            )
        yield group
        number += 1


def _generate(call: _Call, arguments: Sequence[Argument]) -> EntryState:
    registers = call.base.state.registers
    captured = {one: value_of(one, registers, call.base.memory) for one in arguments}
    integers = [one for one in arguments if one.type.kind == "integer"]
    is_extreme = integers and call.number % _EXTREME == 2
    extreme = integers[call.number // _EXTREME % len(integers)] if is_extreme else None
    values: dict[Argument, int] = {}
    for one in arguments:
        kind = one.type
        if kind.kind == "pointer" and call.is_replica:
            others = [captured[like] for like in arguments if like.type == kind and like != one and not call.is_apart]
            values[one] = _replica(call, kind, captured[one], others)
        elif kind.kind == "pointer":
            values[one] = _pointer(call, kind, captured[one])
        elif kind.kind == "integer" and not call.is_replica:
            values[one] = integer(call.chance) if one == extreme else _integer(call)
    for one in arguments:
        if one.type.kind == "float":
            values[one] = int.from_bytes(float_bytes(_float(call), one.type.size_bytes), "little")
        elif one.type.kind not in ("integer", "pointer"):
            values[one] = call.chance.getrandbits(8 * one.type.size_bytes)
    if call.number % 2:
        values = dict(reversed(values.items()))  # of a union the other alternative counts
    what = "a captured call elsewhere" if call.is_replica else f"length {call.length}"
    state = with_arguments(call.base.state, values)
    return EntryState(
        f"generated {call.number} ({what}, scale {call.scale})",
        "generated",
        state.image,
        state.registers,
        state.patches,
        (PageSet(tuple(call.regions)),) if call.regions else (),
        call.length,
    )


def _float(call: _Call) -> float:
    chance, style = call.chance, call.number % 4
    if style == 1 and call.base.reals:
        return chance.choice(call.base.reals)
    return chance.uniform(-100, 100) if style == 3 else chance.choice(FLOATS)


def _integer(call: _Call) -> int:
    chance, length = call.chance, call.length
    if chance.random() < 0.05:
        return integer(chance)
    style = chance.random()
    if style < 0.72:
        return length
    if style < 0.8:
        return chance.choice((length - 1, length + 1, length // 2, 2 * length))
    if style < 0.9 and call.constants:
        return chance.choice(call.constants) + chance.choice((-1, 0, 0, 1))
    return chance.choice(LENGTHS)


def _pointer(call: _Call, kind: Type, captured: int) -> int:
    chance = call.chance
    if kind.target_kind == "function" or (kind.target_kind in _OPAQUE and chance.random() < 0.4):
        return captured
    element = kind.target_bytes if kind.target_kind != "void" else 1
    if call.buffers and call.number % 3 == 1:
        # Every near distance in turn, and one buffer right behind the other; the later pointer may be lower.
        index = call.number // 3
        distance = _NEAR[index % len(_NEAR)] if index % 5 else chance.choice((call.length, -call.length))
        return chance.choice(call.buffers)[0] + distance * element
    if call.buffers and chance.random() < 0.08:
        return chance.choice(call.buffers)[0] + call.length * element  # an end pointer
    size = _buffer_bytes(call.length, element, call.scale)
    if kind.target_kind == "integer" and element == 1 and chance.random() < (0.7 if kind.target_signed else 0.2):
        data = text(chance.choice((call.length, chance.randrange(26))), chance, call.constants) + b"\0"
        size = len(data) if call.scale == 0 else max(size, len(data))
        data = data.ljust(size, chance.choice((b"\0", b"x")))
    elif kind.target_kind in _OPAQUE:
        data = _like_captured(call, captured, size, kind)
    else:
        data = contents(kind, size, chance, call.constants)
    return _buffer(call, data, kind)


def _replica(call: _Call, kind: Type, captured: int, others: Sequence[int]) -> int:
    """A buffer that holds what is behind a captured pointer; functions and null pointers stay. `others` are the call's other pointers
    of the type: one that leads into the same array, or to its end, goes on doing so, though there be less of it."""
    if kind.target_kind == "function" or captured < PAGE_BYTES:
        return captured
    for start, size_bytes, address in call.origins:
        if start in others and 0 <= captured - start <= ARRAY_BYTES:
            return address + min(captured - start, size_bytes)
    step = kind.target_alignment_bytes if kind.target_kind != "void" else _UNKNOWN_ALIGNMENT_BYTES
    shift = call.chance.randrange(0, _BLOCK_BYTES, min(step, _BLOCK_BYTES))
    behind = [other - captured for other in others if 0 < other - captured <= ARRAY_BYTES]
    roomy = _ROOMY_SCALE if kind.target_kind in _OPAQUE and call.number // _REPLICA % _TIGHT else 0
    size = _REPLICA_BYTES[max(call.scale, roomy)] + shift
    reach = min(max(behind, default=0), size)
    size = reach if behind and call.scale == 0 else size
    data = call.base.memory(captured, size)
    if kind.target_kind == "integer" and kind.target_bytes == 1 and b"\0" in data and call.scale == 0:
        data = data[: max(reach, data.index(b"\0") + 1)]
    address = _buffer(call, data, kind)
    call.origins.append((captured, len(data), address))
    return address


def _like_captured(call: _Call, captured: int, size: int, kind: Type) -> bytes:
    """The bytes behind a captured pointer, some of them changed, so that the pointers in them lead somewhere."""
    element = max(1, kind.target_bytes)
    known = call.base.memory(captured, min(size, 64 * element)) if captured > 0xFFFF else b""
    if not any(known):
        return contents(kind, size, call.chance, call.constants)
    data = bytearray(known)
    for _ in range(call.chance.choice((0, 1, 2, 6))):
        width = call.chance.choice((1, 2, 4, 4))
        at = call.chance.randrange(0, max(1, len(data) - width), width) if len(data) > width else 0
        data[at : at + width] = mutated_number(bytes(data[at : at + width]), call.chance, call.constants)
    return bytes((data * (size // len(data) + 1))[:size])


def _buffer(call: _Call, data: bytes, kind: Type) -> int:
    """A buffer that ends (or starts) at an unmapped page, aligned as its elements are; its pages' other bytes are random, but no NaNs where
    its elements are floating-point numbers: which of two NaNs comes out is nobody's business."""
    start = _ARENA + (call.arena + call.slots[len(call.buffers) % _SLOTS]) * _ARENA_STEP
    if kind.target_kind == "float" and kind.target_bytes in (4, 8):
        filler = some_floats(kind.target_bytes, PAGE_BYTES, False, call.chance)
    else:
        filler = call.chance.randbytes(PAGE_BYTES)
    address, region = buffer_at(start, data, kind.target_alignment_bytes, call.at_end, filler)
    call.buffers.append((address, len(data)))
    call.regions.append(region)
    return address


def buffer_at(
    start: int, data: bytes, alignment: int, at_end: bool = True, filler: bytes = bytes(PAGE_BYTES)
) -> tuple[int, Region]:
    """The address of a buffer that ends or starts at an unmapped page, and its pages from `start` on, filled up with a page of
    bytes."""
    total = page_ceil(len(data)) + PAGE_BYTES
    at = (total - len(data)) // alignment * alignment if at_end else 0
    page = bytearray(filler * (total // PAGE_BYTES))
    page[at : at + len(data)] = data
    return start + at, Region(start, Prot.READ | Prot.WRITE, bytes(page[:total]))


def _buffer_bytes(length: int, element: int, scale: int) -> int:
    """Sizes to try: n elements, one more, n times n, and plenty."""
    wanted = (
        length * element,
        (length + 1) * element,
        length * length * element,
        (length + 2) * (length + 2) * element,
        _BUFFER_PAGES * PAGE_BYTES,
    )[scale]
    return max(element, min(wanted, _BUFFER_PAGES * PAGE_BYTES))
