"""gmon.out's histogram (BFD format: glibc's <sys/gmon_out.h>; binutils, gprof manual, "Profiling Data File Format").

Addresses in it are link-time ones of the one module that was linked with -pg. Call counts and arcs say nothing of time: they are passed over.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from compiler_ai.profile.collect import RawSample
from compiler_ai.profile.errors import ProfileError

MAGIC = b"gmon"
_VERSION = 1
_HEADER_BYTES = 20
_HISTOGRAM, _ARC, _BLOCKS = 0, 1, 2
_POINTS = 8  # a bin is attributed at this many addresses, so one that spans two functions is shared between them


@dataclass(frozen=True)
class Histogram:
    """Counts of equally wide bins over [low, high)."""

    low: int
    high: int
    rate_hz: int
    counts: tuple[int, ...]


def read(path: Path, pointer_bytes: int = 8, order: str = "<") -> list[Histogram]:
    """The histograms in `path`; pointer size and byte order (of `struct`) are the module's. Raises ProfileError."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ProfileError(f"{path}: cannot be read: {error.strerror}") from error
    if not data.startswith(MAGIC) or len(data) < _HEADER_BYTES:
        raise ProfileError(f"{path}: not a gmon.out, or it ends in its header: run the program again to its end")
    version = struct.unpack_from(order + "I", data, 4)[0]
    if version != _VERSION:
        raise ProfileError(f"{path}: gmon.out version {version}, known is {_VERSION}: link with this system's gcc -pg")
    found = []
    try:
        at = _HEADER_BYTES
        while at < len(data):
            tag, at = data[at], at + 1
            if tag == _HISTOGRAM:
                histogram, at = _histogram(data, at, pointer_bytes, order)
                found.append(histogram)
            elif tag == _ARC:
                at += 2 * pointer_bytes + 4
            elif tag == _BLOCKS:
                at += 4 + 2 * pointer_bytes * struct.unpack_from(order + "I", data, at)[0]
            else:
                raise ValueError(f"record of unknown kind {tag} at byte {at - 1}")
        if at > len(data):
            raise ValueError("it ends in the middle")
    except (ValueError, struct.error) as error:
        why = "it ends in the middle" if isinstance(error, struct.error) else error
        raise ProfileError(f"{path}: damaged gmon.out ({why}): run the program again to its end") from error
    if not found:
        raise ProfileError(f"{path}: no histogram in it, only calls: the program was linked without -pg")
    return found


def _histogram(data: bytes, at: int, pointer_bytes: int, order: str) -> tuple[Histogram, int]:
    layout = struct.Struct(order + ("QQ" if pointer_bytes == 8 else "II") + "II15sc")
    low, high, count, rate_hz, _, _ = layout.unpack_from(data, at)
    at += layout.size
    if high <= low or not count:
        raise ValueError(f"histogram over {low:#x} to {high:#x} in {count} bins")
    counts = struct.unpack_from(f"{order}{count}H", data, at)
    return Histogram(low, high, rate_hz, counts), at + 2 * count


def samples(histogram: Histogram, module: str) -> Iterator[RawSample]:
    """The histogram's counts at link-time addresses of `module`."""
    span = histogram.high - histogram.low
    bins = len(histogram.counts)
    for index, count in enumerate(histogram.counts):
        if not count:
            continue
        start = histogram.low + span * index // bins
        width = max(1, histogram.low + span * (index + 1) // bins - start)
        points = sorted({start + width * point // _POINTS for point in range(_POINTS)})
        for address in points:
            yield RawSample(module, address, count / len(points))
