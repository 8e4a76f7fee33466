"""A relocatable object (ET_REL, x86-64) read into plain data."""

from __future__ import annotations

import io
import struct
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from typing import Any

from compiler_ai.elf_tables import relocation_entries
from compiler_ai.sandbox.errors import LoadError
from compiler_ai.sandbox.symbols import SymbolKind, Unit

_KINDS = {
    "STT_FUNC": SymbolKind.FUNCTION,
    "STT_OBJECT": SymbolKind.DATA,
    "STT_COMMON": SymbolKind.DATA,
    "STT_TLS": SymbolKind.TLS,
}
SHF_WRITE, SHF_ALLOC, SHF_EXECINSTR, SHF_MERGE, SHF_TLS = 1, 2, 4, 0x10, 0x400
COMMON = -1
UNDEFINED = 0
_GRP_COMDAT = 1


@dataclass(frozen=True)
class ObjectSymbol:
    """``section`` is a section index, UNDEFINED or COMMON; a section symbol has ``is_section`` and its section's name. One that
    ``is_replaceable`` is weak, and no unit's of many that have the same (COMDAT): the linker may take another definition."""

    name: str
    kind: SymbolKind
    section: int
    value: int
    size_bytes: int
    is_local: bool
    is_section: bool
    is_replaceable: bool = False


@dataclass(frozen=True)
class Relocation:
    """``kind`` is the ELF name, such as R_X86_64_PC32; ``offset`` and ``addend`` are in bytes."""

    offset: int
    kind: str
    symbol: ObjectSymbol
    addend: int


@dataclass(frozen=True)
class Section:
    """One allocatable section; ``data`` is empty for SHT_NOBITS."""

    index: int
    name: str
    flags: int
    align: int
    size_bytes: int
    data: bytes
    relocations: tuple[Relocation, ...]

    @property
    def is_text(self) -> bool:
        return bool(self.flags & SHF_EXECINSTR)

    @property
    def is_tls(self) -> bool:
        return bool(self.flags & SHF_TLS)

    @property
    def is_copied(self) -> bool:
        """Whether a load makes a copy: text and what is read-only once relocated. Other data is the module's own."""
        return not self.flags & SHF_WRITE or self.name.startswith(".data.rel.ro")

    def is_relocated(self, start: int, end: int) -> bool:
        """Whether a relocation's field begins in these bytes of the section, half-open."""
        at = bisect_left(self._relocated, start)
        return at < len(self._relocated) and self._relocated[at] < end

    @cached_property
    def _relocated(self) -> list[int]:
        return sorted(relocation.offset for relocation in self.relocations)


@dataclass(frozen=True)
class RelocatableObject:
    """Sections by index, and every symbol."""

    sections: dict[int, Section]
    symbols: tuple[ObjectSymbol, ...]
    unit: Unit

    def function(self, name: str) -> ObjectSymbol:
        """The function symbol ``name``; raises LoadError when there is none."""
        for symbol in self.symbols:
            if symbol.name == name and symbol.kind is SymbolKind.FUNCTION and symbol.section in self.sections:
                return symbol
        raise LoadError(f"the object defines no function {name}")

    @cached_property
    def functions_at(self) -> Mapping[tuple[int, int], tuple[ObjectSymbol, ...]]:
        """(section, offset) -> the functions that begin there."""
        found = defaultdict(list)
        for symbol in self.symbols:
            if symbol.kind is SymbolKind.FUNCTION:
                found[symbol.section, symbol.value].append(symbol)
        return {place: tuple(symbols) for place, symbols in found.items()}

    @cached_property
    def variables_in(self) -> Mapping[int, tuple[ObjectSymbol, ...]]:
        """Section -> the variables and constants in it that have a name."""
        found = defaultdict(list)
        for symbol in self.symbols:
            if symbol.kind is SymbolKind.DATA and not symbol.is_section:
                found[symbol.section].append(symbol)
        return {section: tuple(symbols) for section, symbols in found.items()}


@lru_cache(maxsize=64)
def read_object(data: bytes) -> RelocatableObject:
    """Parses ``data``; raises LoadError when it is not a well-formed x86-64 relocatable object.

    Kept: one object is loaded at dozens of places, and parsing takes several times as long as placing."""
    from elftools.common.exceptions import ELFError
    from elftools.construct.core import ConstructError
    from elftools.elf.elffile import ELFFile

    try:
        elf = ELFFile(io.BytesIO(data))
        if elf["e_type"] != "ET_REL" or elf["e_machine"] != "EM_X86_64":
            raise LoadError("not an x86-64 relocatable object")
        return _read(elf)
    except (
        ELFError,
        ConstructError,
        ValueError,
        KeyError,
        IndexError,
        TypeError,
        AttributeError,
        UnicodeError,
        struct.error,
    ) as error:
        raise LoadError(f"malformed object: {error}") from error


def _read(elf: Any) -> RelocatableObject:
    from elftools.elf.relocation import RelocationSection

    table = elf.get_section_by_name(".symtab")
    if table is None:
        raise LoadError("the object has no symbol table")
    grouped = _grouped(elf)
    symbols = tuple(_symbol(elf, entry, grouped) for entry in table.iter_symbols())
    relocations: dict[int, tuple[Relocation, ...]] = {}
    for section in elf.iter_sections():
        if isinstance(section, RelocationSection) and section.is_RELA():
            relocations[section["sh_info"]] = tuple(
                Relocation(entry.offset, _kind(entry.type), symbols[entry.symbol], entry.addend)
                for entry in relocation_entries(elf, section)
            )
    sections = {}
    for index, section in enumerate(elf.iter_sections()):
        if not section["sh_flags"] & SHF_ALLOC:
            continue
        data = b"" if section["sh_type"] == "SHT_NOBITS" else section.data()
        sections[index] = Section(
            index, section.name, section["sh_flags"], max(1, section["sh_addralign"]), section["sh_size"], data,
            relocations.get(index, ()),
        )  # fmt: skip
    source = next((e.name for e in table.iter_symbols() if e["st_info"]["type"] == "STT_FILE" and e.name), "")
    names = frozenset(s.name for s in symbols if s.is_local and s.name and not s.is_section)
    return RelocatableObject(sections, symbols, _unit(source, names - {source}))


@lru_cache(maxsize=64)
def _unit(source: str, local_names: frozenset[str]) -> Unit:
    """One for all objects of a unit: resolvers keep what they know of it, and comparing names one by one takes its time."""
    return Unit(source, local_names)


def _grouped(elf: Any) -> frozenset[int]:
    """The sections that belong to a COMDAT group."""
    groups = (section for section in elf.iter_sections() if section["sh_type"] == "SHT_GROUP")
    words = [memoryview(section.data()).cast("I") for section in groups]
    return frozenset(index for group in words if group[0] & _GRP_COMDAT for index in group[1:])


def _symbol(elf: Any, entry: Any, grouped: frozenset[int]) -> ObjectSymbol:
    index = entry["st_shndx"]
    section = {"SHN_UNDEF": UNDEFINED, "SHN_COMMON": COMMON}.get(index, index) if isinstance(index, str) else index
    is_section = entry["st_info"]["type"] == "STT_SECTION"
    name = elf.get_section(section).name if is_section else entry.name
    return ObjectSymbol(
        name,
        _KINDS.get(entry["st_info"]["type"], SymbolKind.UNKNOWN),
        section if isinstance(section, int) else -2,
        entry["st_value"],
        entry["st_size"],
        entry["st_info"]["bind"] == "STB_LOCAL",
        is_section,
        entry["st_info"]["bind"] == "STB_WEAK" and section != UNDEFINED and section not in grouped,
    )


@cache
def _kind(number: int) -> str:
    from elftools.elf.enums import ENUM_RELOC_TYPE_x64

    for name, value in ENUM_RELOC_TYPE_x64.items():
        if value == number:
            return str(name)
    return f"relocation type {number}"
