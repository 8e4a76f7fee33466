"""System calls by name, from the C library's headers; without them a number has to do."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from pathlib import Path

_DEFINED = re.compile(r"^#define __NR_(\w+) (\d+)$", re.MULTILINE)


def named(number: int, headers: Iterable[str]) -> str:
    """The name of a system call where one of the target's `headers` is there and has it, else "number N"."""
    return next((names[number] for names in map(_names, headers) if number in names), f"number {number}")


@functools.cache
def _names(header: str) -> dict[int, str]:
    try:
        text = Path(header).read_text(encoding="ascii", errors="replace")
    except OSError:
        return {}
    return {int(number): name for name, number in _DEFINED.findall(text)}
