"""Where a traced process has the C library functions that a compiler may call on its own, and the data that they read.

A candidate may call memset where its baseline does not, so that no GOT slot of the hot function's module tells its address.
The library chooses an implementation at start-up (STT_GNU_IFUNC) and keeps it in a slot of its own, which an
R_X86_64_IRELATIVE relocation with the resolver as addend names (System V ABI, AMD64 supplement, "Relocation Types").
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile
from elftools.elf.relocation import RelocationSection
from elftools.elf.sections import SymbolTableSection

from compiler_ai.capture.format import Mapping

_C_LIBRARY = re.compile(r"(libc\.so\.6|libc-2\.\d+\.so|ld-musl-\w+\.so\.1|libc\.musl-\w+\.so\.1)$")
_IRELATIVE = 37
_IFUNC = "STT_LOOS"  # pyelftools' name of type 10, which is STT_GNU_IFUNC under the GNU OS ABI
_PAGE_BYTES = 4096


@dataclass(frozen=True)
class LibraryFile:
    """Link-time facts of a C library: functions, the slots of those that are chosen at start-up, and its writable data."""

    functions: dict[str, int]
    slots: dict[str, int]
    data: tuple[int, int]  # [start, end) of the pages with file contents in the writable segment


def of(mappings: Sequence[Mapping], names: frozenset[str]) -> tuple[LibraryFile, int] | None:
    """What the C library among a process's mappings says of the functions `names`, and its load bias; None for a static
    program and for a library that cannot be read."""
    starts = [m for m in mappings if m.file.startswith("/") and _C_LIBRARY.search(m.file)]
    if not starts:
        return None
    first = min(starts, key=lambda mapping: mapping.start - mapping.offset)
    known = _read(first.file, names)
    return (known, first.start - first.offset) if known else None


@cache
def _read(path: str, names: frozenset[str]) -> LibraryFile | None:
    """What the library at `path` says of the functions `names`; None when it cannot be read."""
    try:
        with Path(path).open("rb") as file:
            elf = ELFFile(file)
            table = elf.get_section_by_name(".dynsym")
            functions: dict[str, int] = {}
            chosen: dict[str, int] = {}
            if isinstance(table, SymbolTableSection):
                for symbol in table.iter_symbols():
                    if symbol.name in names and symbol["st_value"]:
                        into = chosen if symbol["st_info"]["type"] in (_IFUNC, "STT_GNU_IFUNC") else functions
                        into[symbol.name] = symbol["st_value"]
            resolved = _slots(elf)
            segment = next(s for s in elf.iter_segments() if s["p_type"] == "PT_LOAD" and s["p_flags"] & 2)
            start, size = segment["p_vaddr"], segment["p_filesz"]
            data = (start & -_PAGE_BYTES, (start + size + 2 * _PAGE_BYTES - 1) & -_PAGE_BYTES)
    except (OSError, ELFError, ValueError, KeyError, StopIteration):
        return None
    slots = {name: resolved[value] for name, value in chosen.items() if value in resolved}
    return LibraryFile({name: at for name, at in functions.items() if name not in chosen}, slots, data)


def _slots(elf: ELFFile) -> dict[int, int]:
    """Resolver -> slot of every IRELATIVE relocation."""
    return {
        relocation["r_addend"]: relocation["r_offset"]
        for section in elf.iter_sections()
        if isinstance(section, RelocationSection)
        for relocation in section.iter_relocations()
        if relocation["r_info_type"] == _IRELATIVE
    }
