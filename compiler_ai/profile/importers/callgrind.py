"""callgrind.out (Valgrind manual, "Callgrind Format Specification"), written with --dump-instr=yes."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path

from compiler_ai.profile.collect import RawSample
from compiler_ai.profile.errors import ProfileError

_OBJECT = re.compile(r"^(c?)ob=\((\d+)\)(?: (.*))?$")


def read(path: Path) -> Iterator[RawSample]:
    """Self cost by instruction address. Raises ProfileError when the file is damaged or has no instruction addresses."""
    objects: dict[str, str] = {}
    module, address, skip = "", 0, 0
    columns = 0
    by_instruction = False
    ended = False
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise ProfileError(f"{path}: cannot be read: {error.strerror}") from error
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("positions:"):
            by_instruction = "instr" in line
            columns = len(line.split()) - 1
            if not by_instruction:
                break
        elif match := _OBJECT.match(line):
            if match[3]:
                objects[match[2]] = match[3]
            if not match[1]:  # a callee's object shares the numbers, and costs below are the caller's
                module = objects.get(match[2], "")
        elif line.startswith("calls="):
            skip = 1  # the next line's cost is inclusive, not self cost
        elif line[:1] in ("0", "+", "-", "*") or line[:1].isdigit():
            fields = line.split()
            try:
                address = _position(fields[0], address)
                cost = float(fields[columns]) if len(fields) > columns else 0.0
                if not math.isfinite(cost) or cost < 0:
                    raise ValueError(fields[columns])
            except ValueError:
                raise ProfileError(f"{path}:{number}: damaged line: record again") from None
            if skip:
                skip = 0
            elif cost:
                yield RawSample(module if module.startswith("/") else "[unknown]", address, cost)
        elif line.startswith(("totals:", "summary:")):
            ended = True
    if not by_instruction:
        raise ProfileError(f"{path}: no instruction addresses: run callgrind with --dump-instr=yes")
    if not ended:
        raise ProfileError(f"{path}: it ends in the middle: record again")


def _position(text: str, last: int) -> int:
    if text == "*":
        return last
    if text[0] in "+-":
        return last + int(text, 0 if "x" in text else 10)
    return int(text, 0)
