"""How often the arcs of a unit's control-flow graphs are taken, from GCC's own counters to the .gcda file that GCC compiles by.

A listing of -fprofile-generate holds all that libgcov would write the file from (struct gcov_info in libgcov.h of GCC 12 and later);
the format of the file is in gcov-io.h, with lengths in bytes since GCC 12.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

# Counters of arcs alone, each in memory after every step, so that a call that breaks off is counted up to there. The functions keep
# their names and types: passes behind the one that puts the counters in would change both.
COUNTING = (
    "-fprofile-generate", "-fno-profile-values", "-fno-profile-reorder-functions", "-fprofile-update=atomic",
    "-fno-ipa-sra", "-fno-ipa-cp", "-fkeep-static-functions",
)  # fmt: skip
_MAGIC = 0x67636461
_FIRST_VERSION = b"B20*"  # GCC 12, which counts lengths in bytes
_SUMMARY, _FUNCTION, _ARCS = 0xA100_0000, 0x0100_0000, 0x01A1_0000
_COUNTER_BYTES = 8
_DESCRIBED = re.compile(
    r"^__gcov_\.(?P<name>\S+):\n\t\.quad\t\.LPBX0\n\t\.long\t(-?\d+)\n\t\.long\t(-?\d+)\n\t\.long\t(-?\d+)\n\t\.zero\t4\n"
    r"\t\.long\t(?P<count>\d+)\n\t\.zero\t4\n\t\.quad\t(?P<counters>__gcov0\.\S+)$",
    re.MULTILINE,
)
_UNIT = re.compile(
    r"^\.LPBX0:\n\t\.long\t(-?\d+)\n\t\.zero\t4\n\t\.quad\t0\n\t\.long\t(-?\d+)\n\t\.long\t(-?\d+)$", re.MULTILINE
)
_DEFINED = re.compile(r"^\t\.(?:local\t__gcov0\.\S+|comm\t__gcov0\.\S+,\d+,\d+)\n", re.MULTILINE)


class ArcsError(Exception):
    """The listing does not count as is expected of it; the message says how it differs."""


@dataclass(frozen=True)
class CountedFunction:
    """`marks` are GCC's: who it is, its place in the source and the shape of its graph; `counters` names its `count` counters."""

    marks: tuple[int, int, int]
    counters: str
    count: int


@dataclass(frozen=True)
class CountedUnit:
    """`text` is the listing without the definitions of its counters; `head` is version, stamp and checksum."""

    text: str
    head: tuple[int, int, int]
    functions: tuple[CountedFunction, ...]

    def sizes_bytes(self) -> dict[str, int]:
        """What is to be defined for `text`."""
        return {one.counters: one.count * _COUNTER_BYTES for one in self.functions}


def profile_in(directory: Path) -> tuple[Path, tuple[str, ...]]:
    """Where GCC looks for the file, given these arguments. To name static functions in it GCC uses its place, so that they are
    to be given to both compiles."""
    return directory / "unit.gcda", ("-dumpdir", f"{directory}/", "-dumpbase", "unit")


def counted_unit(listing_text: str) -> CountedUnit:
    """Of a listing that was compiled with `COUNTING`. Raises ArcsError."""
    unit = _UNIT.search(listing_text)
    if unit is None:
        raise ArcsError("the listing describes no counters")
    head = tuple(int(value) & 0xFFFF_FFFF for value in unit.groups())
    if not _FIRST_VERSION <= head[0].to_bytes(4, "big") < b"Z":
        raise ArcsError("this GCC's profiles have another format")
    functions = tuple(
        CountedFunction(
            (int(found[2]) & 0xFFFF_FFFF, int(found[3]) & 0xFFFF_FFFF, int(found[4]) & 0xFFFF_FFFF),
            found["counters"], int(found["count"]),
        )
        for found in _DESCRIBED.finditer(listing_text)
    )  # fmt: skip
    text = _DEFINED.sub("", listing_text)
    if any(f"\n{one.counters}:" in text for one in functions):
        raise ArcsError("the counters are not common symbols")
    return CountedUnit(text, (head[0], head[1], head[2]), functions)


def gcda(unit: CountedUnit, values: Mapping[str, bytes]) -> bytes:
    """The file, with `values` by the counters' name; of a function without, GCC is told nothing."""
    counters = {name: struct.unpack(f"<{len(held) // _COUNTER_BYTES}Q", held) for name, held in values.items()}
    most = max((max(held, default=0) for held in counters.values()), default=0)
    pieces = [struct.pack("<4I", _MAGIC, *unit.head), struct.pack("<4I", _SUMMARY, 8, 1, min(most, 0xFFFF_FFFF))]
    for one in unit.functions:
        held = counters.get(one.counters)
        if held is None or len(held) != one.count:
            continue
        pieces.append(struct.pack("<5I", _FUNCTION, 12, *one.marks))
        size_bytes = len(held) * _COUNTER_BYTES
        if any(held):
            pieces.append(struct.pack(f"<Ii{len(held)}Q", _ARCS, size_bytes, *held))
        else:
            pieces.append(struct.pack("<Ii", _ARCS, -size_bytes))  # all of them are 0
    return b"".join([*pieces, bytes(4)])
