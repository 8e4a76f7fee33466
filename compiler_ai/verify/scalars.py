"""The scalars that a call passes, read and changed wherever they lie: parts of registers, and of the stack."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from compiler_ai.sandbox.state import Registers
from compiler_ai.verify.passing import VECTOR_ARGUMENTS, passing
from compiler_ai.verify.prototype import Prototype, Type
from compiler_ai.verify.state import EntryState, passed
from compiler_ai.verify.values import FLOATS, LENGTHS, float_bytes, integer, number

_VECTORS_AT, _PRESENT_AT, _MXCSR_AT, _LEGACY_BYTES = 160, 512, 24, 576  # in an XSAVE area (Intel SDM volume 1, 13.4)
_SSE_PRESENT, _DEFAULT_MXCSR = 2, 0x1F80
Memory = Callable[[int, int], bytes]


@dataclass(frozen=True)
class Argument:
    """A scalar in an argument: `offset_bytes` into a register, or into what lies `place` bytes from the stack pointer at entry. One that
    `is_whole` is a parameter itself, which callers extend."""

    place: str | int
    offset_bytes: int
    type: Type
    is_whole: bool = True

    @property
    def on_stack(self) -> bool:
        return isinstance(self.place, int)

    def __str__(self) -> str:
        where = self.place if isinstance(self.place, str) else f"the argument at rsp+{self.place}"
        return f"{where}, byte {self.offset_bytes}" if self.offset_bytes else where


@lru_cache(maxsize=256)
def arguments_of(prototype: Prototype | None) -> tuple[Argument, ...]:
    """All that a prototype's named parameters are made of, in order, of unions every alternative; () when their places are not known."""
    found = passing(prototype) if prototype is not None else None
    return tuple(
        Argument(part.place, offset, kind, parameter.type.kind not in ("aggregate", "vector", "complex"))
        for parameter in (found.parameters if found is not None else ())
        for part in parameter.parts
        for offset, kind in part.members
        if kind.size_bytes
    )


def value_of(argument: Argument, registers: Registers, memory: Memory) -> int:
    """The argument's bytes as a number; `memory` gives those of the call's memory."""
    size = argument.type.size_bytes
    if isinstance(argument.place, int):
        data = memory(registers["rsp"] + argument.place + argument.offset_bytes, size)
        return int.from_bytes(data, "little")
    if argument.place in VECTOR_ARGUMENTS:
        vector = vector_of(registers.xstate, VECTOR_ARGUMENTS.index(argument.place))
        return int.from_bytes(vector[argument.offset_bytes : argument.offset_bytes + size], "little")
    return registers[argument.place] >> 8 * argument.offset_bytes & (1 << 8 * size) - 1


def with_arguments(state: EntryState, values: Mapping[Argument, int]) -> EntryState:
    """The call with other arguments. Whole ones are passed as callers do."""
    general, patches = dict(state.registers.general), dict(state.patches)
    vectors: dict[int, bytearray] = {}
    for one, value in values.items():
        size = one.type.size_bytes
        if one.is_whole and one.type.kind == "integer" and size < 4:
            value, size = passed(value, one.type), 4
        elif one.type.boolean:
            value &= 1
        data = (value & (1 << 8 * size) - 1).to_bytes(size, "little")
        if isinstance(one.place, int):
            patches.pop(at := state.registers["rsp"] + one.place + one.offset_bytes, None)
            patches[at] = data
        elif one.place in VECTOR_ARGUMENTS:
            index = VECTOR_ARGUMENTS.index(one.place)
            vector = vectors.setdefault(index, bytearray(vector_of(state.registers.xstate, index)))
            vector[one.offset_bytes : one.offset_bytes + size] = data
        elif one.is_whole and one.type.size_bytes <= 8:
            general[one.place] = int.from_bytes(data, "little")
        else:
            shift = 8 * one.offset_bytes
            rest = general.get(one.place, 0) & ~((1 << 8 * size) - 1 << shift)
            general[one.place] = rest | int.from_bytes(data, "little") << shift
    xstate = with_vectors(state.registers.xstate, {index: bytes(value) for index, value in vectors.items()})
    return replace(state, registers=replace(state.registers, general=general, xstate=xstate), patches=patches)


def vector_of(xstate: bytes, index: int) -> bytes:
    """The lowest 16 bytes of a vector register in an XSAVE area."""
    if len(xstate) < _LEGACY_BYTES or not struct.unpack_from("<Q", xstate, _PRESENT_AT)[0] & _SSE_PRESENT:
        return bytes(16)
    return xstate[_VECTORS_AT + 16 * index : _VECTORS_AT + 16 * index + 16]


def with_vectors(xstate: bytes, vectors: Mapping[int, bytes]) -> bytes:
    """An XSAVE area, if it is one, with the lowest 16 bytes of vector registers set."""
    if not vectors or len(xstate) < _LEGACY_BYTES:
        return xstate
    area = bytearray(xstate)
    present = struct.unpack_from("<Q", area, _PRESENT_AT)[0]
    if not present & _SSE_PRESENT:
        area[_VECTORS_AT : _VECTORS_AT + 256] = bytes(256)
    for index, value in vectors.items():
        area[_VECTORS_AT + 16 * index : _VECTORS_AT + 16 * index + 16] = value
    struct.pack_into("<Q", area, _PRESENT_AT, present | _SSE_PRESENT)
    struct.pack_into("<I", area, _MXCSR_AT, struct.unpack_from("<I", area, _MXCSR_AT)[0] or _DEFAULT_MXCSR)
    return bytes(area)


def other_value(
    argument: Argument,
    values: Mapping[Argument, int],
    constants: Sequence[int],
    reals: Sequence[float],
    chance: random.Random,
) -> int:
    """Another value for one of the arguments that have these: a pointer by a few elements farther or to a few behind another one, a
    number that is special, near, or what another argument or the code (`constants` and `reals`) has, or next to it. Pointers to functions stay."""
    kind, value = argument.type, values[argument]
    if kind.target_kind == "function":
        return value
    return _other_value(argument, values, constants, reals, chance) & (1 << 8 * kind.size_bytes) - 1


def _other_value(
    argument: Argument,
    values: Mapping[Argument, int],
    constants: Sequence[int],
    reals: Sequence[float],
    chance: random.Random,
) -> int:
    kind, value = argument.type, values[argument]
    if kind.kind == "pointer":
        step = max(1, kind.target_bytes)
        others = [values[one] for one in values if one.type.kind == "pointer" and one != argument]
        if others and chance.random() < 0.4:
            return chance.choice(others) + chance.randrange(0, 21) * step
        return value + chance.choice((1, -1, 2, 4, 8)) * step
    if kind.kind == "float":
        return _other_float(argument, values, constants, reals, chance)
    if kind.kind != "integer":
        return value ^ chance.choice(
            (1 << chance.randrange(8 * kind.size_bytes), chance.getrandbits(8 * kind.size_bytes))
        )
    return chance.choice(
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


def _other_float(
    argument: Argument,
    values: Mapping[Argument, int],
    constants: Sequence[int],
    reals: Sequence[float],
    chance: random.Random,
) -> int:
    size = argument.type.size_bytes
    value = values[argument]
    if chance.random() < 0.2:
        return value + chance.choice((1, -1)) if value not in (0, 1 << 8 * size - 1) else value ^ 1  # the next number
    like = [one for one in values if one.type.kind == "float" and one.type.size_bytes == size]
    now = number(value.to_bytes(size, "little"))
    other = chance.choice(
        (
            chance.choice(FLOATS),
            chance.choice(FLOATS),
            chance.uniform(-100, 100),
            -now,
            now * chance.choice((0.5, 2.0, 1e6)),
            number(values[chance.choice(like)].to_bytes(size, "little")),
            float(chance.choice(constants) if constants else 1) + chance.choice((-1, 0, 0.5)),
            chance.choice(reals or (0.25,)),
            chance.choice(reals or (0.25,)),
        )
    )
    return int.from_bytes(float_bytes(other, size), "little")
