"""Interesting values: edges of ranges, floating-point specials, and contents of memory for a C type."""

from __future__ import annotations

import math
import random
import struct
from collections.abc import Sequence

from compiler_ai.verify.prototype import Prototype, Type

LENGTHS = (0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, 127, 128, 255, 256)
WILD = (
    *(-1, -2, -128, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFF),
    *(0x7FFFFFFF, 0x80000000, 0x80000001, 0xFFFFFFFF, 0x100000000, 0x100000005, 1 << 62, 1 << 63, (1 << 64) - 1),
)
# The one NaN is the processor's default NaN (sign set, Intel SDM volume 1, 4.8.3.7): with a single bit pattern around, the
# order of operands, which C leaves open, does not decide the result's bits.
_NAN = struct.unpack("<d", bytes.fromhex("000000000000f8ff"))[0]
FLOATS = (
    *(0.0, -0.0, 1.0, -1.0, 0.5, 1e-310, -5e-324, 1e300, -1e300, float("inf"), float("-inf"), _NAN),
    *(1e-3, 3.0, 123456.789),
)
_TEXT = b"abcdefghijxyzABCXYZ  ,;:+-*/=_0123456789\t\n\"\\'%<>&"


def contents(kind: Type, size: int, chance: random.Random, constants: Sequence[int]) -> bytes:
    """`size` bytes of memory that a pointer of type `kind` may point to."""
    style = chance.random()
    if kind.target_kind == "float" and kind.target_bytes in (4, 8):
        return _floats(kind.target_bytes, size, style < 0.3, chance)
    if style < 0.12:
        return bytes(size)
    width = kind.target_bytes
    if kind.target_kind == "integer" and width in (1, 2, 4, 8):
        if width == 1 and style < 0.45:
            return text(size, chance, constants)
        if style < 0.65:
            return numbers(width, size, chance, constants)
    return chance.randbytes(size)


def text(size: int, chance: random.Random, constants: Sequence[int]) -> bytes:
    """Printable bytes without NUL, with the code's own constants among them, in runs of a few repetitions."""
    own = bytes(value & 0xFF for value in constants if value & 0xFF > 0 and -129 < value < 256)
    alphabet = chance.choice((_TEXT, own or _TEXT, _TEXT + own * 4, b"0123456789", b"ab"))
    out = bytearray()
    while len(out) < size:
        out += bytes([chance.choice(alphabet)]) * chance.choice((1, 1, 1, 2, 5))
    return bytes(out[:size])


def numbers(width: int, size: int, chance: random.Random, constants: Sequence[int]) -> bytes:
    """Integers of `width` bytes: small ones, the code's own constants and their neighbours, ascending ones."""
    mask = (1 << 8 * width) - 1
    style = chance.random()
    pool = [chance.randrange(-20, 200) for _ in range(64)]
    if style < 0.4 and constants:
        pool = [chance.choice(constants) + chance.choice((-1, 0, 0, 1)) for _ in range(48)] + pool[:16]
    elif style < 0.6:
        pool = [chance.choice((*WILD, 0, 1, 2)) for _ in range(64)]
    elif style < 0.75:
        pool = sorted(pool)
    elif style < 0.85:
        pool = [chance.randrange(3) for _ in range(64)]
    block = b"".join((value & mask).to_bytes(width, "little") for value in pool)
    return (block * (size // len(block) + 1))[:size]


def float_bytes(value: float, size: int) -> bytes:
    """A float or double in memory."""
    if size == 4:
        return struct.pack("<f", _to_single(value))
    return struct.pack("<d", value)


def one_nan(data: bytes, element: int) -> bytes:
    """`data`, an array of floats of `element` bytes, with every NaN in it replaced by the default NaN."""
    if len(data) % element:
        return data
    letter, default = ("f", "0000c0ff") if element == 4 else ("d", "000000000000f8ff")
    parts = []
    for at in range(0, len(data), element):
        (value,) = struct.unpack_from(f"<{letter}", data, at)
        parts.append(bytes.fromhex(default) if value != value else data[at : at + element])
    return b"".join(parts)


def float_element_bytes(prototype: Prototype | None) -> int:
    """The size of the floating-point elements that a parameter points to, 0 for none."""
    kinds = [kind for _, kind in (prototype.parameters if prototype else ())]
    return next((kind.target_bytes for kind in kinds if kind.target_kind == "float" and kind.target_bytes in (4, 8)), 0)


def mutated_number(data: bytes, chance: random.Random, constants: Sequence[int]) -> bytes:
    """Another little-endian number of the same size."""
    number, bits = int.from_bytes(data, "little"), 8 * len(data)
    changed = chance.choice(
        (
            number ^ (1 << chance.randrange(bits)),
            number + 1,
            number - 1,
            0,
            (1 << bits) - 1,
            1 << (bits - 1),
            chance.getrandbits(bits),
            chance.randrange(64),
            (chance.choice(constants) if constants else 1) + chance.choice((-1, 0, 0, 1)),
            (chance.choice(constants) if constants else 1),
        )
    )
    return (changed & ((1 << bits) - 1)).to_bytes(len(data), "little")


def _floats(width: int, size: int, special: bool, chance: random.Random) -> bytes:
    pool = [chance.choice(FLOATS) if special else chance.uniform(-100, 100) for _ in range(64)]
    return b"".join(chance.choices([float_bytes(value, width) for value in pool], k=size // width + 1))[:size]


def _to_single(value: float) -> float:
    return max(-3e38, min(3e38, value)) if math.isfinite(value) else value


__all__ = [
    *("FLOATS", "LENGTHS", "PAGE_BYTES", "WILD", "contents", "float_bytes", "float_element_bytes", "mutated_number"),
    *("numbers", "one_nan", "text"),
]
