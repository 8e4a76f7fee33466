"""Memory as the sandbox is told about it: regions of whole pages, grouped into sets that are sent to the runner once."""

from __future__ import annotations

import enum
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, replace

PAGE_BYTES = 4096


class Prot(enum.IntFlag):
    """Page protection, with mmap(2)'s values."""

    NONE = 0
    READ = 1
    WRITE = 2
    EXEC = 4


@dataclass(frozen=True)
class Region:
    """Whole pages at ``address``: either ``data``, or ``size_bytes`` of the file ``path`` from ``offset``."""

    address: int
    prot: Prot
    data: bytes = b""
    path: str = ""
    offset: int = 0
    file_bytes: int = 0

    @property
    def size_bytes(self) -> int:
        return self.file_bytes if self.path else len(self.data)

    @property
    def end(self) -> int:
        return self.address + self.size_bytes


@dataclass(frozen=True, eq=False)
class PageSet:
    """Regions that belong together (a capture's image, a loaded object). Compared and cached by identity."""

    regions: tuple[Region, ...]

    def find(self, address: int) -> Region | None:
        """The region that holds ``address``."""
        return next((region for region in self.regions if region.address <= address < region.end), None)


def page_floor(address: int) -> int:
    """The start of the page that holds ``address``."""
    return address & -PAGE_BYTES


def page_ceil(address: int) -> int:
    """The first page boundary at or after ``address``."""
    return (address + PAGE_BYTES - 1) & -PAGE_BYTES


def whole_pages(address: int, data: bytes) -> tuple[int, bytes]:
    """``data`` at ``address``, padded with zeros on both sides to whole pages: (page address, bytes)."""
    start = page_floor(address)
    padded = bytes(address - start) + data
    return start, padded + bytes(page_ceil(len(padded)) - len(padded))


def coalesce(pages: Iterable[tuple[int, Prot, bytes]]) -> tuple[Region, ...]:
    """Joins adjacent pages of equal protection into regions, sorted by address."""
    runs: list[tuple[int, Prot, list[bytes], int]] = []
    for address, prot, data in sorted(pages, key=lambda page: page[0]):
        if runs and runs[-1][3] == address and runs[-1][1] == prot:
            start, _, parts, end = runs[-1]
            parts.append(data)
            runs[-1] = (start, prot, parts, end + len(data))
        else:
            runs.append((address, prot, [data], address + len(data)))
    return tuple(Region(address=start, prot=prot, data=b"".join(parts)) for start, prot, parts, _ in runs)


def without(region: Region, taken: Container[int]) -> Iterator[Region]:
    """The parts of a file's region in which none of the pages at the addresses ``taken`` lies."""
    start = region.address
    for address in range(region.address, region.end + PAGE_BYTES, PAGE_BYTES):
        if address < region.end and address not in taken:
            continue
        if address > start:
            offset = region.offset + start - region.address
            yield replace(region, address=start, offset=offset, file_bytes=address - start)
        start = address + PAGE_BYTES
