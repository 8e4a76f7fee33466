"""Debug information of relocatable objects, in a form that pyelftools reads."""

from __future__ import annotations

import io
import struct

from elftools.elf.elffile import ELFFile
from elftools.elf.relocation import RelocationSection

_ENTRY = struct.Struct("<QIIq")  # Elf64_Rela: offset, type, symbol, addend
_NONE, _OFFSET_IN_THREAD_BLOCK = 0, 21  # R_X86_64_NONE, R_X86_64_DTPOFF64 (System V ABI AMD64, table 4.9)


def with_known_relocations(object_bytes: bytes) -> bytes:
    """The object with the places of thread-local variables in its debug sections left at 0: pyelftools reads none of it otherwise."""
    data = bytearray(object_bytes)
    for section in ELFFile(io.BytesIO(object_bytes)).iter_sections():
        if not isinstance(section, RelocationSection) or not section.name.startswith(".rela.debug"):
            continue
        first = section["sh_offset"]
        for at in range(first, first + section["sh_size"], _ENTRY.size):
            offset, kind, symbol, addend = _ENTRY.unpack_from(data, at)
            if kind == _OFFSET_IN_THREAD_BLOCK:
                _ENTRY.pack_into(data, at, offset, _NONE, symbol, addend)
    return bytes(data)
