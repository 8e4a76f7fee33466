"""The functions of a unit's object, so that they can be found again in a linked program."""

from __future__ import annotations

import io
from bisect import bisect_left
from dataclasses import dataclass
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile
from elftools.elf.relocation import RelocationSection
from elftools.elf.sections import Section, SymbolTableSection

_BROKEN = (OSError, ELFError, ValueError, KeyError, AttributeError, TypeError, IndexError, OverflowError)
# What the linker may change around a relocation's offset: the field itself, and the instruction it relaxes
# (x86-64 psABI, B.2 "Optimize GOTPCRELX Relocations"; ELF Handling for Thread-Local Storage, 4.4).
_BEFORE_BYTES, _BEHIND_BYTES = 4, 8
_RETURNS_TWICE = frozenset({"setjmp", "_setjmp", "sigsetjmp", "__sigsetjmp", "savectx", "vfork", "getcontext"})
_INSTRUMENTED = (
    "__asan_",
    "__tsan_",
    "__msan_",
    "__ubsan_",
    "__hwasan_",
    "__sanitizer_cov",
    "__gcov_",
    "__cyg_profile_",
)
_COUNTERS = frozenset({"mcount", "_mcount", "__fentry__"})


@dataclass(frozen=True)
class ObjectFunction:
    """One function of an object: its bytes as assembled, where relocations are in them, and the symbols these name."""

    name: str
    data: bytes
    relocated: tuple[int, ...]
    references: frozenset[str]

    def is_code_of(self, linked: bytes) -> bool:
        """Whether `linked`, the bytes of a function of a program, are this function, relocated."""
        if len(linked) != len(self.data):
            return False
        mine, theirs = bytearray(self.data), bytearray(linked)
        for offset in self.relocated:
            start, end = max(0, offset - _BEFORE_BYTES), min(len(mine), offset + _BEHIND_BYTES)
            mine[start:end] = theirs[start:end] = bytes(end - start)
        return mine == theirs

    @property
    def compared_bytes(self) -> int:
        """How many of its bytes `is_code_of` compares, at least."""
        return len(self.data) - (_BEFORE_BYTES + _BEHIND_BYTES) * len(self.relocated)

    @property
    def never(self) -> str:
        """Why this function is never rewritten, as far as the symbols that it refers to tell; else ""."""
        if self.references & _RETURNS_TWICE:
            return "never rewritten: it calls a function that returns twice (setjmp)"
        if self.is_instrumented:
            return "never rewritten: its unit is compiled for sanitizers, coverage or profiling"
        return ""

    @property
    def is_instrumented(self) -> bool:
        return bool(self.references & _COUNTERS) or any(name.startswith(_INSTRUMENTED) for name in self.references)


def functions_of(object_path: str) -> dict[str, ObjectFunction]:
    """By name; empty when the file cannot be read or holds no code (link-time optimisation)."""
    try:
        return functions_in(Path(object_path).read_bytes())
    except OSError:
        return {}


def functions_in(data: bytes) -> dict[str, ObjectFunction]:
    """The same of an object's bytes."""
    try:
        return _read(ELFFile(io.BytesIO(data)))
    except _BROKEN:
        return {}


def _read(elf: ELFFile) -> dict[str, ObjectFunction]:
    table = elf.get_section_by_name(".symtab")
    if not isinstance(table, SymbolTableSection):
        return {}
    relocations: dict[int, list[tuple[int, str]]] = {}
    for section in elf.iter_sections():
        if isinstance(section, RelocationSection):
            found = relocations.setdefault(section["sh_info"], [])
            for relocation in section.iter_relocations():
                found.append((relocation["r_offset"], table.get_symbol(relocation["r_info_sym"]).name))
    for found in relocations.values():
        found.sort()
    sections: dict[int, tuple[Section, bytes]] = {}
    functions: dict[str, ObjectFunction] = {}
    for symbol in table.iter_symbols():
        index = symbol["st_shndx"]
        if symbol["st_info"]["type"] != "STT_FUNC" or not isinstance(index, int):
            continue
        if index not in sections:
            section = elf.get_section(index)
            sections[index] = section, section.data() if section["sh_type"] == "SHT_PROGBITS" else b""
        start, size_bytes = symbol["st_value"], symbol["st_size"]
        places = relocations.get(index, [])
        inside = places[bisect_left(places, (start, "")) : bisect_left(places, (start + size_bytes, ""))]
        functions[symbol.name] = ObjectFunction(
            symbol.name,
            sections[index][1][start : start + size_bytes],
            tuple(offset - start for offset, _ in inside),
            frozenset(name for _, name in inside),
        )
    return functions
