"""The arguments that a printf or scanf format takes (ISO C 7.21.6.1 and 7.21.6.2), and how many other variadic functions of POSIX take."""

from __future__ import annotations

import re
from collections.abc import Iterator

from compiler_ai.verify.prototype import Type

_PRINTING = {
    "printf": 0, "fprintf": 1, "dprintf": 1, "sprintf": 1, "snprintf": 2, "asprintf": 1, "syslog": 1, "warn": 0, "warnx": 0,
    "err": 1, "errx": 1, "error": 2, "__printf_chk": 1, "__fprintf_chk": 2, "__dprintf_chk": 2, "__sprintf_chk": 3,
    "__snprintf_chk": 4, "__asprintf_chk": 2, "__syslog_chk": 2,
}  # fmt: skip
_SCANNING = {
    **{prefix + "scanf": 0 for prefix in ("", "__isoc99_", "__isoc23_")},
    **{prefix + name: 1 for prefix in ("", "__isoc99_", "__isoc23_") for name in ("fscanf", "sscanf")},
}
_MOST_ARGUMENTS = {
    "open": 3, "open64": 3, "openat": 4, "openat64": 4, "fcntl": 3, "fcntl64": 3, "ioctl": 3, "prctl": 5, "ptrace": 4,
    "sem_open": 4, "mq_open": 4, "semctl": 4,
}  # fmt: skip
_CONVERSION = re.compile(rb"%[-+ #0'I]*(\*|\d+)?(?:\.(\*|-?\d*))?(hh|h|ll|l|j|z|t|L|q)?(.)", re.DOTALL)
_SCAN = re.compile(rb"%(\*)?'?\d*m?(?:hh|h|ll|l|j|z|t|L|q)?(?:\[\^?\]?[^]]*\]|(.))", re.DOTALL)
_TEXT = Type("pointer", 8, target_bytes=1, target_kind="integer", target_const=True, target_signed=True)
_POINTER = Type("pointer", 8, target_bytes=1, target_kind="void")
_LONG_DOUBLE = Type("float", 16)


def format_position(name: str) -> int | None:
    """Which argument of the function is a format, None when none is."""
    plain = name.partition("@")[0]
    return _PRINTING.get(plain, _SCANNING.get(plain))


def most_arguments(name: str) -> int | None:
    """How many arguments, all of them whole numbers or pointers, a variadic function without a format takes at most; None when that
    is not known."""
    return _MOST_ARGUMENTS.get(name.partition("@")[0])


def conversions(name: str, text: bytes) -> tuple[list[Type], bool]:
    """The promoted types of what the function takes by this format, and whether that is all it takes: not when a conversion is not
    understood, nor when the text has none and nothing but its place says that it is a format. Integers are taken for signed ones, so
    that none is taken for the size of an object."""
    if name.partition("@")[0] in _SCANNING:
        return [_POINTER for suppressed, letter in _SCAN.findall(text) if not suppressed and letter != b"%"], True
    found: list[Type] = []
    for width, precision, length, letter in _CONVERSION.findall(text):
        kinds = list(_converted(length, letter))
        if not kinds and letter not in b"%m":
            return found, False
        found += [*[Type("integer", 4, True)] * [width, precision].count(b"*"), *kinds]
    return found, b"%" in text or format_position(name) is not None


def _converted(length: bytes, letter: bytes) -> Iterator[Type]:
    if letter in b"diouxXc":
        yield Type("integer", 8 if length in (b"l", b"ll", b"j", b"z", b"t", b"q") and letter != b"c" else 4, True)
    elif letter in b"C":
        yield Type("integer", 4, True)
    elif letter in b"eEfFgGaA":
        yield _LONG_DOUBLE if length == b"L" else Type("float", 8)
    elif letter == b"s" and length != b"l":
        yield _TEXT
    elif letter in b"pnsS":
        yield _POINTER
