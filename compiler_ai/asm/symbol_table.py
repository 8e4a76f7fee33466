"""An ELF symbol table's entries, unpacked all at once: tables of assembled listings hold tens of thousands of labels."""

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
