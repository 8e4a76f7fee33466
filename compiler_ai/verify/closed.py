"""A capture's image in which no call can leave the unit: what lies outside cannot be executed, so that the runner notices.

Transparent callees (calls.TRANSPARENT) are really called. Where a file holds one, its code stays executable, with a trap at
every other place where a function starts. Variables of the unit's module that the captured call did not touch are there as the
module's file has them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from compiler_ai.capture.format import Capture
from compiler_ai.sandbox.events import Answers, Callee
from compiler_ai.sandbox.image import CaptureImage
from compiler_ai.sandbox.pages import PAGE_BYTES, PageSet, Prot, Region, coalesce, page_ceil, page_floor
from compiler_ai.verify.state import Answering

_TRAP = 0xCC
_SLOT_BYTES = 1 << 16
_SLOTS = 8
_VARIABLE_BYTES = 1 << 21
_CALLABLE = ("STT_FUNC", "STT_LOOS", "STT_NOTYPE")  # chosen at run time (STT_GNU_IFUNC); written in assembly


@dataclass(frozen=True)
class ClosedWorld:
    """The image's pages with nothing executable outside but transparent callees and traps, memory for the pointers that
    callees return, the module's variables that the image lacks, and what answers to the callees look like."""

    pages: PageSet
    arena: PageSet
    variables: PageSet
    callees: Mapping[int, Callee]

    def answers(self, how: Answering) -> Answers:
        return Answers(
            how.seed, self.callees, self.arena.regions[0].address, _SLOT_BYTES, _SLOTS,
            max_events=how.max_events, effects=how.effects, chosen=how.chosen, written=how.written,
        )  # fmt: skip


def close(
    capture: Capture, image: CaptureImage, transparent: Iterable[int], callees: Mapping[int, Callee]
) -> ClosedWorld:
    """`transparent` are the addresses of what is really called, `callees` describe those that are answered."""
    really, answered = frozenset(transparent), frozenset(callees)
    open_files = {m.file for m in capture.mappings if any(m.start <= at < m.end for at in really)}
    traps: dict[str, frozenset[int]] = {}
    for file in open_files:
        first = min(m.start for m in capture.mappings if m.file == file)
        starts = frozenset(first + at for at in _function_starts(file)) if file.startswith("/") else frozenset()
        traps[file] = (starts | answered) - really
    regions = []
    for region in image.pages.regions:
        if not region.prot & Prot.EXEC:
            regions.append(region)
            continue
        file = next((m.file for m in capture.mappings if m.start <= region.address < m.end), "")
        regions.append(_trapped(region, traps[file]) if file in traps else _unexecutable(region))
    arena = Region(image.bases[1], Prot.READ | Prot.WRITE, bytes(_SLOT_BYTES * _SLOTS))
    return ClosedWorld(PageSet(tuple(regions)), PageSet((arena,)), _variables(capture, image), callees)


def _variables(capture: Capture, image: CaptureImage) -> PageSet:
    """The pages of the module's writable segment that the image does not hold; what only exists in memory is zero."""
    pages = []
    for address, data in _writable_pages(capture.module.path).items():
        at = address + capture.module.load_bias
        if image.pages.find(at) is None and any(m.start <= at < m.end and m.prot & 2 for m in capture.mappings):
            pages.append((at, Prot.READ | Prot.WRITE, data))
    return PageSet(coalesce(pages))


@cache
def _writable_pages(path: str) -> dict[int, bytes]:
    """Link-time address -> first contents of the pages of an ELF module's writable segments, up to `_VARIABLE_BYTES`; {} when it
    cannot be read."""
    from elftools.common.exceptions import ELFError
    from elftools.elf.elffile import ELFFile

    found: dict[int, bytes] = {}
    try:
        with Path(path).open("rb") as file:
            for segment in ELFFile(file).iter_segments():
                if segment["p_type"] != "PT_LOAD" or not segment["p_flags"] & 2:
                    continue
                start = page_floor(segment["p_vaddr"])
                data = bytes(segment["p_vaddr"] - start) + segment.data()
                size = min(page_ceil(segment["p_vaddr"] - start + segment["p_memsz"]), _VARIABLE_BYTES)
                data = data[:size].ljust(size, b"\0")
                found |= {start + at: data[at : at + PAGE_BYTES] for at in range(0, size, PAGE_BYTES)}
    except (OSError, ELFError, ValueError, KeyError):
        return {}
    return found


def _unexecutable(region: Region) -> Region:
    return Region(region.address, region.prot & ~Prot.EXEC, region.data, region.path, region.offset, region.file_bytes)


def _trapped(region: Region, traps: frozenset[int]) -> Region:
    data = bytearray(region.data)
    if region.path:
        with Path(region.path).open("rb") as file:
            file.seek(region.offset)
            data = bytearray(file.read(region.file_bytes).ljust(region.file_bytes, b"\0"))
    for address in traps:
        if region.address <= address < region.end:
            data[address - region.address] = _TRAP
    return Region(region.address, region.prot, bytes(data))


def may_be_called(capture: Capture, address: int) -> bool:
    """Whether a function may start at an address: code of the process, of a module that was not stripped where its symbols say so."""
    found = next((m for m in capture.mappings if m.start <= address < m.end and m.prot & Prot.EXEC), None)
    if found is None or not found.file.startswith("/"):
        return found is not None
    first = min(m.start for m in capture.mappings if m.file == found.file)
    starts = _function_starts(found.file, whole=True)
    return not starts or address - first in starts


@cache
def _function_starts(path: str, whole: bool = False) -> frozenset[int]:
    """Where functions start in an ELF module, from its first page; the empty set when it cannot be read. `whole`: all that may be
    called, stubs that stand for other modules' functions among them, or the empty set where not all have symbols."""
    from elftools.common.exceptions import ELFError
    from elftools.elf.elffile import ELFFile
    from elftools.elf.sections import SymbolTableSection

    found = set()
    try:
        with Path(path).open("rb") as file:
            elf = ELFFile(file)
            if whole and elf.get_section_by_name(".symtab") is None:
                return frozenset()
            first = page_floor(min(s["p_vaddr"] for s in elf.iter_segments() if s["p_type"] == "PT_LOAD"))
            for section in elf.iter_sections():
                if isinstance(section, SymbolTableSection):
                    is_one = _may_be_called if whole else _is_function
                    found |= {one["st_value"] - first for one in section.iter_symbols() if is_one(one)}
    except (OSError, ELFError, ValueError, KeyError):
        return frozenset()
    return frozenset(found)


def _is_function(symbol: Any) -> bool:
    return bool(symbol["st_info"]["type"] == "STT_FUNC" and symbol["st_shndx"] != "SHN_UNDEF")


def _may_be_called(symbol: Any) -> bool:
    return bool(symbol["st_info"]["type"] in _CALLABLE and symbol["st_value"])
