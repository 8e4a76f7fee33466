"""The arguments that a printf format takes (ISO C 7.21.6.1)."""

from __future__ import annotations

import re

from compiler_ai.verify.prototype import Type

_POSITIONS = {
    "printf": 0, "fprintf": 1, "dprintf": 1, "sprintf": 1, "snprintf": 2, "syslog": 1, "warn": 0, "warnx": 0, "err": 1,
    "errx": 1, "__printf_chk": 1, "__fprintf_chk": 2, "__sprintf_chk": 3, "__snprintf_chk": 4,
}  # fmt: skip
_CONVERSION = re.compile(rb"%[-+ #0']*(\*|\d+)?(?:\.(\*|-?\d*))?(hh|h|ll|l|j|z|t|L|q)?(.)", re.DOTALL)
_TEXT = Type("pointer", 8, target_bytes=1, target_kind="integer", target_const=True)
_POINTER = Type("pointer", 8, target_bytes=1, target_kind="void")


def format_position(name: str) -> int | None:
    """Which argument of the function is a printf format, None when none is."""
    return _POSITIONS.get(name.partition("@")[0])


def conversions(text: bytes) -> list[Type]:
    """The promoted types of what the format takes, up to the first conversion that is not understood; integers are
    taken for signed ones, so that none is taken for the size of an object."""
    found: list[Type] = []
    for width, precision, length, letter in _CONVERSION.findall(text):
        found += [Type("integer", 4, True)] * [width, precision].count(b"*")
        if letter in b"diouxXc":
            found.append(Type("integer", 8 if length in (b"l", b"ll", b"j", b"z", b"t", b"q") else 4, True))
        elif letter in b"eEfFgGaA" and length != b"L":
            found.append(Type("float", 8))
        elif letter == b"s":
            found.append(_TEXT)
        elif letter in b"pn":
            found.append(_POINTER)
        elif letter not in b"%m":
            break
    return found
