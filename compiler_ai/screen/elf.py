"""A relocatable object as plain data: sections with their relocations, symbols, and where its functions lie."""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass, field
from typing import Any

from compiler_ai.elf_tables import entries, relocation_entries
from compiler_ai.screen.rules import Refused

OBJECT = "screen.object"
_SHN_XINDEX = 0xFFFF
_SPECIAL = {0: "SHN_UNDEF", 0xFFF1: "SHN_ABS", 0xFFF2: "SHN_COMMON"}
_TYPES = dict(
    enumerate(("STT_NOTYPE", "STT_OBJECT", "STT_FUNC", "STT_SECTION", "STT_FILE", "STT_COMMON", "STT_TLS"))
) | {10: "STT_GNU_IFUNC"}
_BINDINGS = {0: "STB_LOCAL", 1: "STB_GLOBAL", 2: "STB_WEAK", 10: "STB_GNU_UNIQUE"}
_VISIBILITIES = ("STV_DEFAULT", "STV_INTERNAL", "STV_HIDDEN", "STV_PROTECTED")
_SKIPPED = (".debug_", ".gnu.debuglto_", ".zdebug_")  # nothing of these is loaded


@dataclass(frozen=True)
class Symbol:
    """One entry of the symbol table; `section` is an index, or "SHN_UNDEF", "SHN_ABS", "SHN_COMMON"."""

    name: str
    section: int | str
    offset: int
    size_bytes: int
    type: str  # "STT_FUNC" ...
    binding: str  # "STB_LOCAL" ...
    visibility: str

    @property
    def is_defined(self) -> bool:
        return isinstance(self.section, int)


@dataclass(frozen=True)
class Relocation:
    offset: int
    type: str
    symbol: Symbol
    addend: int


@dataclass(frozen=True)
class Section:
    index: int
    name: str
    type: str
    flags: int
    entry_bytes: int
    alignment_bytes: int
    size_bytes: int
    data: bytes
    relocations: tuple[Relocation, ...] = ()

    @property
    def is_loaded(self) -> bool:
        return bool(self.flags & 2)

    @property
    def is_writable(self) -> bool:
        return bool(self.flags & 1)

    @property
    def is_code(self) -> bool:
        return bool(self.flags & 4)

    @property
    def is_merged(self) -> bool:
        """Whether the linker keeps one of equal entries of all objects, which are of `entry_bytes` or, when it `is_text`, end with a 0."""
        return bool(self.flags & 0x10) and self.entry_bytes > 0

    @property
    def is_text(self) -> bool:
        return bool(self.flags & 0x20)


@dataclass(frozen=True)
class ObjectFile:
    """`sections` by index; relocation sections are folded into the sections they apply to."""

    machine: str
    header: tuple[int, ...]
    sections: dict[int, Section]
    symbols: tuple[Symbol, ...]
    by_name: dict[str, Symbol] = field(default_factory=dict)

    def section_named(self, name: str) -> list[Section]:
        return [section for section in self.sections.values() if section.name == name]


def read(data: bytes) -> ObjectFile:
    """Parse a relocatable ELF object. Raises Refused when it is none or damaged."""
    from elftools.common.exceptions import ELFError
    from elftools.construct.core import ConstructError
    from elftools.elf.elffile import ELFFile

    try:
        return _read(ELFFile(io.BytesIO(data)))
    except (ELFError, ConstructError, KeyError, ValueError, IndexError, AttributeError, struct.error) as error:
        raise Refused(OBJECT, f"the assembler's output cannot be read as an object: {error}") from error


def _read(elf: Any) -> ObjectFile:
    from elftools.elf.enums import (
        ENUM_RELOC_TYPE_AARCH64,
        ENUM_RELOC_TYPE_ARM,
        ENUM_RELOC_TYPE_i386,
        ENUM_RELOC_TYPE_x64,
    )
    from elftools.elf.relocation import RelocationSection
    from elftools.elf.sections import SymbolTableSection

    enums = {
        "EM_X86_64": ENUM_RELOC_TYPE_x64, "EM_AARCH64": ENUM_RELOC_TYPE_AARCH64, "EM_ARM": ENUM_RELOC_TYPE_ARM,
        "EM_386": ENUM_RELOC_TYPE_i386,
    }  # fmt: skip
    machine = elf["e_machine"]
    types = {number: name for name, number in enums.get(machine, {}).items() if isinstance(number, int)}
    raw = list(elf.iter_sections())
    tables = [section for section in raw if isinstance(section, SymbolTableSection)]
    symbols = _symbols(elf, tables[0], raw) if tables else ()
    relocations: dict[int, tuple[Relocation, ...]] = {}
    for section in raw:
        if isinstance(section, RelocationSection):
            target = int(section["sh_info"])
            if raw[target].name.startswith(_SKIPPED):
                continue
            found = tuple(
                Relocation(entry.offset, types.get(entry.type, str(entry.type)), symbols[entry.symbol], entry.addend)
                for entry in relocation_entries(elf, section)
            )
            relocations[target] = tuple(sorted(relocations.get(target, ()) + found, key=lambda entry: entry.offset))
    sections = {
        index: Section(
            index, section.name, str(section["sh_type"]), int(section["sh_flags"]), int(section["sh_entsize"]),
            int(section["sh_addralign"]), int(section["sh_size"]),
            b"" if section["sh_type"] == "SHT_NOBITS" or section.name.startswith(_SKIPPED) else bytes(section.data()),
            relocations.get(index, ()),
        )
        for index, section in enumerate(raw)
        if section["sh_type"] not in ("SHT_NULL", "SHT_RELA", "SHT_REL", "SHT_SYMTAB", "SHT_STRTAB", "SHT_SYMTAB_SHNDX")
    }  # fmt: skip
    header = (elf.elfclass, int(elf["e_flags"]), int(elf.little_endian))
    if elf["e_type"] != "ET_REL":
        raise Refused(OBJECT, f"the assembler made {elf['e_type']} and no relocatable object")
    by_name: dict[str, Symbol] = {}
    for symbol in symbols:
        if symbol.name and symbol.type not in ("STT_FILE", "STT_SECTION"):
            by_name.setdefault(symbol.name, symbol)
    return ObjectFile(machine, header, sections, symbols, by_name)


def _symbols(elf: Any, table: Any, raw: list[Any]) -> tuple[Symbol, ...]:
    found = []
    for entry in entries(elf, table):
        kind = _TYPES.get(entry.info & 15, str(entry.info & 15))
        if entry.section == _SHN_XINDEX:
            raise Refused(OBJECT, "the object has more sections than are accepted")
        section: int | str = _SPECIAL.get(entry.section, entry.section)
        name = raw[section].name if kind == "STT_SECTION" and isinstance(section, int) else entry.name
        binding = _BINDINGS.get(entry.info >> 4, str(entry.info >> 4))
        visibility = _VISIBILITIES[entry.other & 3]
        found.append(Symbol(name, section, entry.value, entry.size_bytes, kind, binding, visibility))
    return tuple(found)
