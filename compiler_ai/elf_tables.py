"""The entries of ELF symbol tables and relocation sections, unpacked all at once: those of assembled listings hold tens of thousands."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry as it stands in the file (gABI, "Symbol Table")."""

    name: str
    info: int
    other: int
    section: int
    value: int
    size_bytes: int


def entries(elf: Any, table: Any) -> Iterator[Entry]:
    """The entries of `table`, a SymbolTableSection of pyelftools' `elf`, in order. Raises ValueError, struct.error for a damaged one."""
    wide = elf.elfclass == 64
    names = table.stringtable.data()
    layout = ("<" if elf.little_endian else ">") + ("IBBHQQ" if wide else "IIIBBH")
    for fields in struct.iter_unpack(layout, table.data()):
        name_at, info, other, section, value, size = fields if wide else (fields[0], *fields[3:], *fields[1:3])
        name = names[name_at : names.index(b"\0", name_at)].decode(errors="replace")
        yield Entry(name, info, other, section, value, size)


@dataclass(frozen=True, slots=True)
class RelocationEntry:
    """One entry of a relocation section (gABI, "Relocation"); `addend` is 0 where the section has none."""

    offset: int
    symbol: int  # index into the symbol table
    type: int
    addend: int


def relocation_entries(elf: Any, section: Any) -> Iterator[RelocationEntry]:
    """The entries of `section`, a RelocationSection of pyelftools' `elf`, in order. Raises struct.error for a damaged one."""
    wide, order = elf.elfclass == 64, "<" if elf.little_endian else ">"
    shift, word = (32, "Q") if wide else (8, "I")
    layout = order + 2 * word + (word.lower() if section.is_RELA() else "")
    for offset, info, *addend in struct.iter_unpack(layout, section.data()):
        yield RelocationEntry(offset, info >> shift, info & (1 << shift) - 1, addend[0] if addend else 0)
