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
    # Next to halfway between two doubles and two floats: rounded twice, or without their last bit, they come out otherwise.
    *((1 << 63) + (1 << 10) + 1, (1 << 63) + (1 << 39) + 1, (1 << 62) + (1 << 38) + 1),
    *(0x7FFFFFFF, 0x80000000, 0x80000001, 0xFFFFFFFF, 0x100000000, 0x100000005, 1 << 62, 1 << 63, (1 << 64) - 1),
)
# The one NaN is the processor's default NaN (sign set, Intel SDM volume 1, 4.8.3.7): with a single bit pattern around, the
# order of operands, which C leaves open, does not decide the result's bits.
_NAN = struct.unpack("<d", bytes.fromhex("000000000000f8ff"))[0]
_DEFAULT_NAN = {
    **{size: bytes(size - 2) + top for size, top in ((2, b"\0\xfe"), (4, b"\xc0\xff"), (8, b"\xf8\xff"))},
    16: bytes(7) + b"\xc0\xff\xff" + bytes(6),
}
FLOATS = (
    *(0.0, -0.0, 1.0, -1.0, 0.5, 1e-310, -5e-324, 1e300, -1e300, float("inf"), float("-inf"), _NAN),
    *(1e-3, 3.0, 123456.789),
)
# RFC 3629: the first and last code points of each length, around the surrogates, and of each second byte behind F1 to F3; then sequences that are invalid.
_POINTS = (
    *(1, 0x7F, 0x80, 0x7FF, 0x800, 0xD7FF, 0xE000, 0xFFFF, 0x10000, 0x40000, 0x50000, 0xBFFFF, 0x10FFFF),
    *(0xE9, 0x20AC, 0x1F600, 0x61, 0x20),
)
_UTF8 = tuple(chr(point).encode() for point in _POINTS)
_UTF8_CONSTANTS = frozenset({-128, -64, -32, -16, 0x80, 0xC0, 0xE0, 0xF0, 0x1F, 0x3F, 0x800, 0x10FFFF})
_NOT_UTF8 = (
    *(b"\xc0\x80", b"\xc1\xbf", b"\xe0\x80\x80", b"\xe0\x9f\xbf", b"\xf0\x80\x80\x80", b"\xf0\x8f\xbf\xbf"),
    *(b"\xed\xa0\x80", b"\xed\xbf\xbf", b"\xf4\x90\x80\x80", b"\xf7\xbf\xbf\xbf", b"\xf8\x88\x80\x80\x80", b"\x80", b"\xff"),
)  # fmt: skip
_FRESH_TEXT_BYTES = 2_048
_TEXT = b"abcdefghijxyzABCXYZ  ,;:+-*/=_0123456789\t\n\"\\'%<>&"


def contents(kind: Type, size: int, chance: random.Random, constants: Sequence[int]) -> bytes:
    """`size` bytes of memory that a pointer of type `kind` may point to."""
    style = chance.random()
    if kind.target_kind == "float" and kind.target_bytes in (4, 8):
        return some_floats(kind.target_bytes, size, style < 0.3, chance)
    if style < 0.12:
        return bytes(size)
    width = kind.target_bytes
    if kind.target_kind == "integer" and width in (1, 2, 4, 8):
        if width == 1 and style < 0.52:
            return text(size, chance, constants)
        if style < 0.8:
            return numbers(width, size, chance, constants)
    return chance.randbytes(size)


def text(size: int, chance: random.Random, constants: Sequence[int]) -> bytes:
    """Bytes without NUL: words with the code's own constants among them, numerals, UTF-8 at the edges of its ranges, or
    stretches of one class of bytes. A long text repeats its beginning: making every byte of it anew would take a tuning's time."""
    if size > _FRESH_TEXT_BYTES:
        block = text(_FRESH_TEXT_BYTES, chance, constants)
        return block * (size // len(block)) + text(size % len(block), chance, constants)
    style = chance.random()
    if len(_UTF8_CONSTANTS & set(constants)) >= 3 and chance.random() < 0.7:
        out = _utf8(size, chance)  # by its constants, the code takes UTF-8 apart
    elif style < 0.25:
        out = _numeral(chance, constants)
    elif style < 0.55:
        out = _utf8(size, chance)
    elif style < 0.68:
        out = b"".join(_stretch(chance) for _ in range(size // 4 + 1))
    else:
        own = bytes(value & 0xFF for value in constants if value & 0xFF and -129 < value < 256)
        alphabet = chance.choice((_TEXT, own or _TEXT, _TEXT + own * 4, b"ab"))
        out = b"".join(bytes([chance.choice(alphabet)]) * chance.choice((1, 1, 1, 2, 5)) for _ in range(size))
    return out[:size].ljust(size, chance.choice((b" ", b"0", b"x", b"\x80")))


def _utf8(size: int, chance: random.Random) -> bytes:
    """`size` bytes of UTF-8, in every other case with one sequence in it that is not."""
    parts, room = [], size
    if chance.random() < 0.5:
        parts.append(chance.choice([part for part in _NOT_UTF8 if len(part) <= room] or [b""]))
        room -= len(parts[0])
    while room:
        parts.append(chance.choice([part for part in _UTF8 if len(part) <= room]))
        room -= len(parts[-1])
    chance.shuffle(parts)
    return b"".join(parts)


def _numeral(chance: random.Random, constants: Sequence[int]) -> bytes:
    digits = chance.choice((chance.randrange(1, 25), chance.choice([n for n in constants if 0 < n < 40] or [1])))
    number = chance.choice(
        (str(chance.getrandbits(80))[:digits], str(abs(chance.choice(constants or (7,)))), "0" * digits)
    )
    tail = chance.choice(("", "", " ", ".5", "e3", "x", "abc"))
    return f"{chance.choice(('', '', ' ', chr(9)))}{chance.choice(('', '-', '+'))}{number}{tail}".encode()


def _stretch(chance: random.Random) -> bytes:
    low, high = chance.choice(((1, 31), (48, 57), (65, 90), (97, 122), (128, 255), (128, 255), (255, 255)))
    return bytes(chance.randint(low, high) for _ in range(chance.choice((1, 3, 8, 10, 20))))


def integer(chance: random.Random) -> int:
    """An extreme integer: an edge of some type, a power of two or next to one, or anything."""
    power = 1 << chance.randrange(65)
    near = (power - 1, power - 1, power - 1, power, power + 1, -power)
    return chance.choice((*near, chance.choice(WILD), chance.choice(WILD), chance.getrandbits(64)))


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
    elif style < 0.9:
        most = chance.choice((3, 10, *(value + 1 for value in constants if 2 <= value < 64)))  # such as operation codes
        pool = [chance.randrange(most) for _ in range(64)]
    block = b"".join((value & mask).to_bytes(width, "little") for value in pool)
    return (block * (size // len(block) + 1))[:size]


def float_bytes(value: float, size: int) -> bytes:
    """A number in memory: a half, a float, a double, or x87's 80 bits in 16 bytes. Every NaN is the default one."""
    if value != value:
        return _DEFAULT_NAN[size]
    if size == 16:
        return _extended_bytes(value)
    if size == 2:
        return struct.pack("<e", max(-65504.0, min(65504.0, value)) if math.isfinite(value) else value)
    if size == 4:
        return struct.pack("<f", _to_single(value))
    return struct.pack("<d", value)


def _extended_bytes(value: float) -> bytes:
    """Source: Intel SDM volume 1, 4.2.2."""
    fraction, exponent = math.frexp(abs(value))
    if math.isinf(value):
        exponent, digits = 0x7FFF, 1 << 63
    else:
        exponent, digits = (exponent + 16382 if value else 0), int(fraction * 2.0**64)
    sign = 0x8000 if math.copysign(1, value) < 0 else 0
    return struct.pack("<QH6x", digits, sign | exponent)


def number(data: bytes) -> float:
    """The half, float, double or 80 bits of x87 in 16 that these bytes are; of the latter, as near as a double comes."""
    if len(data) < 16:
        return float(struct.unpack({2: "<e", 4: "<f"}.get(len(data), "<d"), data)[0])
    digits, exponent = struct.unpack_from("<QH", data)
    sign = -1.0 if exponent & 0x8000 else 1.0
    exponent &= 0x7FFF
    if exponent == 0x7FFF:
        return sign * math.inf if not digits << 1 & (1 << 64) - 1 else math.nan
    try:
        return sign * math.ldexp(digits, exponent - 16383 - 63)
    except OverflowError:
        return sign * math.inf


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


def some_floats(width: int, size: int, special: bool, chance: random.Random) -> bytes:
    """`size` bytes of floating-point numbers of `width` bytes each, `special` ones or any between -100 and 100."""
    pool = [chance.choice(FLOATS) if special else chance.uniform(-100, 100) for _ in range(64)]
    by_byte = [float_bytes(value, width) for value in pool] * 4
    return b"".join(map(by_byte.__getitem__, chance.randbytes(size // width + 1)))[:size]


def _to_single(value: float) -> float:
    return max(-3e38, min(3e38, value)) if math.isfinite(value) else value


def signed_difference(first: int, second: int, size_bytes: int) -> int:
    """first - second as a number that may be negative."""
    bits = 8 * size_bytes
    difference = (first - second) & ((1 << bits) - 1)
    return difference - (1 << bits) if difference >> (bits - 1) else difference
