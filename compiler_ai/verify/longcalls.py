"""Calls on buffers between unmapped pages that hold every byte there is, or one number again and again.

A body that is wrong for one byte is wrong in the former, whatever it walks over; one that cuts the longest run elsewhere, or counts in
too few bits, in the latter. Deterministic.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from random import Random

from compiler_ai.sandbox.pages import PageSet, Region
from compiler_ai.verify.generate import Base, buffer_at
from compiler_ai.verify.prototype import Prototype, Type
from compiler_ai.verify.state import ARRAY_BYTES, EntryState, integer_parameters, passed, stack_parameters

_BYTES = 256
_WALKED = (2 * _BYTES, _BYTES)  # elements: all bytes, and in all lanes of a vector
_SHUFFLES = 4
# Around what a byte and its double count, deflate's longest match, powers of two that loops are unrolled to, and what two bytes count.
_RUNS = (127, 128, 129, *range(255, 261), 511, 512, 513, 1023, 1024, 1025)
_LONGEST_RUNS = (4_095, 4_097, 65_535, 65_536, 65_537)
_REPEATED = (0xFF, 0x61, 0x80, 0x01, 0x00)
_REPEATED_LONGEST = _REPEATED[::-1]  # what is added up of the largest byte is largest in the longest run
_LARGEST_ELEMENT_BYTES = 2  # of the longest runs
_ROOM_BYTES = 4_096  # what is written may be more than what is read
_WIDE_BYTES = 4
_START = 0x2AA8_0000_0000
_STEP = 1 << 24


@dataclass(frozen=True)
class Contents:
    """What the arrays of one call hold: `length` numbers, of which the one at `hole`, if any, is another in the first array;
    `number` is passed where a byte is."""

    name: str
    length: int
    number: int
    numbers: Callable[[int], bytes]  # by the size of an element in bytes
    hole: int = -1
    others: Callable[[int], bytes] | None = None  # what every second array holds, when that is something else


def every_byte(turn: int) -> Iterator[Contents]:
    """All bytes in order, in the opposite order and shuffled, with 0, which ends a text, last."""
    orders = [list(range(1, _BYTES)), list(range(_BYTES - 1, 0, -1))]
    orders += [
        Random(f"every byte {turn} {number}").sample(range(1, _BYTES), _BYTES - 1) for number in range(_SHUFFLES)
    ]
    for number, order in enumerate(orders):
        length = _WALKED[number % len(_WALKED)]
        values = (order * 2 + [0])[:length] if length > _BYTES else [*order, 0]
        others = order[7 * number + 1 :] + order[: 7 * number + 1]

        def numbers(width: int, values: Sequence[int] = values, others: Sequence[int] = others) -> bytes:
            upper = others if width == 2 else [0]
            parts = ((value | upper[at % len(upper)] << 8) & (1 << 8 * width) - 1 for at, value in enumerate(values))
            return b"".join(part.to_bytes(width, "little") for part in parts)

        yield Contents(f"all bytes, order {number}", length, others[0], numbers)


def long_runs(longest: bool = False) -> Iterator[Contents]:
    """One number again and again, to the end and up to one place where there is another."""
    for turn, length in enumerate(_LONGEST_RUNS if longest else _RUNS):
        repeated = _REPEATED_LONGEST if longest else _REPEATED
        value = repeated[turn % len(repeated)]

        def numbers(width: int, value: int = value, length: int = length) -> bytes:
            return value.to_bytes(width, "little") * length

        holes = (length - 1, 0, length // 2)
        for hole in (-1, holes[turn % len(holes)]):
            where = f" but at {hole}" if hole >= 0 else ""
            yield Contents(f"{length} times {value:#x}{where}", length, value, numbers, hole)


def all_pairs() -> Iterator[Contents]:
    """Each byte in one array beside each in the next: a product of two may be wrong for a few of them alone."""

    def repeated(values: Sequence[int], width: int) -> bytes:
        return b"".join(bytes([value]) * width for value in values)

    pairs = range(_BYTES * _BYTES)
    upper, lower = [pair // _BYTES for pair in pairs], [pair % _BYTES for pair in pairs]
    yield Contents("all pairs", len(pairs), 0xFF, partial(repeated, upper), others=partial(repeated, lower))


def calls_with(base: Base, prototype: Prototype, contents: Contents, number: int) -> list[EntryState]:
    """The call with these contents, on buffers just large enough, and on larger ones; [] for functions that get no arrays of numbers, or of
    which the arguments' places are uncertain. `number` decides what differs between calls besides: whether a second pointer is the
    first one's end, and which of several numbers is no length."""
    parameters: list[tuple[str | int, Type]] = [*integer_parameters(prototype), *stack_parameters(prototype)]
    wanted = sum(kind.kind in ("integer", "pointer") for _, kind in prototype.parameters)
    arrays = [kind for _, kind in parameters if _is_array(kind)]
    too_large = contents.length > _RUNS[-1] and any(kind.target_bytes > _LARGEST_ELEMENT_BYTES for kind in arrays)
    if prototype.variadic or len(parameters) < wanted or not arrays or too_large:
        return []
    return [_call(base, parameters, contents, number, room) for room in (0, _ROOM_BYTES + contents.length)]


def _is_array(kind: Type) -> bool:
    return kind.kind == "pointer" and kind.target_kind in ("integer", "void") and kind.target_bytes in (1, 2, 4, 8)


def _call(
    base: Base, parameters: Sequence[tuple[str | int, Type]], contents: Contents, number: int, room_bytes: int
) -> EntryState:
    registers = base.state.registers
    general, patches = dict(registers.general), {}
    regions: list[Region] = []
    begun: list[tuple[Type, int, int]] = []  # arrays: type, captured address, address
    wide = [place for place, kind in parameters if kind.kind == "integer" and kind.size_bytes >= _WIDE_BYTES]
    no_length = wide[number // 2 % len(wide)] if len(wide) > 1 and number % 2 else None
    for place, kind in parameters:
        at = registers["rsp"] + place if isinstance(place, int) else 0
        captured = int.from_bytes(base.memory(at, 8), "little") if at else registers[str(place)]
        value = captured
        if kind.kind == "integer":
            is_number = kind.size_bytes == 1 or place == no_length
            value = passed(contents.number if is_number else contents.length, kind)
        elif _is_array(kind):
            ended = [one for like, start, one in begun if like == kind and 0 < captured - start < ARRAY_BYTES]
            if ended and number % 2:
                value = ended[0] + contents.length * kind.target_bytes
            else:
                data = _data(kind, contents, room_bytes, len(begun))
                value, region = buffer_at(_START + len(begun) * _STEP, data, kind.target_alignment_bytes)
                regions.append(region)
                begun.append((kind, captured, value))
        if at:
            patches[at] = value.to_bytes(8, "little")
        else:
            general[str(place)] = value
    name = f"long call {number} ({contents.name}{', with room' if room_bytes else ''})"
    called = replace(registers, general=general)
    size = contents.length
    return EntryState(name, "generated", base.state.image, called, patches, (PageSet(tuple(regions)),), size)


def _data(kind: Type, contents: Contents, room_bytes: int, before: int) -> bytes:
    """What an array of this type holds that comes behind so many; behind characters comes a 0."""
    width = kind.target_bytes
    numbers = contents.others if contents.others is not None and before % 2 else contents.numbers
    data = bytearray(numbers(width))
    if not before and contents.hole >= 0:
        data[contents.hole * width] ^= 1
    return bytes(data) + bytes(width == 1) + bytes(room_bytes * width)
