"""The functions of a module by address, each with its source file's name; parts (`.cold`, and GCC's own body behind a CPU check)
belong to their function."""

from __future__ import annotations

import bisect
import re
from dataclasses import dataclass
from functools import cached_property

from elftools.common.exceptions import ELFError
from elftools.elf.dynamic import DynamicSegment
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from compiler_ai.profile import dwarf

_PART = re.compile(r"(\.aicc_baseline(\.aicc\.[0-9a-f]+)?)?(\.cold)?$")  # emit.dispatch, emit.companion; GCC
_CLONE = re.compile(r"(\.(constprop|isra|part|cold|lto_priv|localalias|clone)(\.\d+)?)+$")
_DF_1_PIE = 0x08000000
# What code compiled by gcc -pg and gcc --coverage refers to.
_INSTRUMENTATION = frozenset({"mcount", "_mcount", "__fentry__", "__gcov_init", "__gcov_merge_add"})


@dataclass(frozen=True)
class FunctionSymbol:
    """One function symbol. `source` is the STT_FILE name that its symbol stands behind, for local symbols only; `unit` numbers
    those entries, since two units may have files of the same name."""

    name: str
    source: str
    address: int
    size_bytes: int
    is_local: bool
    unit: int = 0

    @property
    def owner(self) -> str:
        """The name of the function that this is, or is a part of."""
        return _PART.sub("", self.name, count=1)


class ModuleSymbols:
    """The symbol table of one ELF file. An unreadable or stripped file has no functions; `is_elf` tells the two apart."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.segments: list[tuple[int, int, int]] = []  # file offset, size, address
        self.functions: list[FunctionSymbol] = []
        self.is_elf = False
        self.is_program = False  # and no shared library
        self.sources: set[str] = set()  # STT_FILE names: of all units whose symbols are there
        self.names: set[str] = set()  # every symbol, defined or not, without its version
        self.pointer_bytes, self.order = 8, "<"
        try:
            with open(path, "rb") as file:
                self._read(ELFFile(file))
        except (OSError, ELFError, ValueError, KeyError, AttributeError, TypeError, OverflowError):
            self.functions = []
        self._starts = [function.address for function in self.functions]
        self._by_address = {function.address: function for function in self.functions}

    def _read(self, elf: ELFFile) -> None:
        self.is_elf = True
        self.pointer_bytes, self.order = elf.elfclass // 8, "<" if elf.little_endian else ">"
        self.is_program = elf["e_type"] == "ET_EXEC"
        for segment in elf.iter_segments():
            if isinstance(segment, DynamicSegment):
                flags = (tag["d_val"] for tag in segment.iter_tags("DT_FLAGS_1"))
                self.is_program |= any(value & _DF_1_PIE for value in flags)
            if segment["p_type"] == "PT_LOAD":
                self.segments.append((segment["p_offset"], segment["p_filesz"], segment["p_vaddr"]))
        table = elf.get_section_by_name(".symtab") or elf.get_section_by_name(".dynsym")
        if not isinstance(table, SymbolTableSection):
            return
        source, unit = "", 0
        found: dict[int, FunctionSymbol] = {}
        for symbol in table.iter_symbols():
            kind, local = symbol["st_info"]["type"], symbol["st_info"]["bind"] == "STB_LOCAL"
            self.names.add(symbol.name.split("@")[0])
            if kind == "STT_FILE":
                source, unit = symbol.name, unit + 1
                self.sources.add(source)
            elif (
                kind in ("STT_FUNC", "STT_GNU_IFUNC")
                and symbol["st_size"]
                and isinstance(symbol["st_shndx"], int)
                and is_plain(symbol.name)
            ):
                where = (source, unit) if local else ("", 0)
                entry = FunctionSymbol(symbol.name, where[0], symbol["st_value"], symbol["st_size"], local, where[1])
                known = found.get(entry.address)
                if known is None or (known.is_local and not local):
                    found[entry.address] = entry
        self.functions = [found[address] for address in sorted(found)]

    @cached_property
    def debug(self) -> dwarf.Debug:
        return dwarf.read(self.path)

    @property
    def is_instrumented(self) -> bool:
        """Whether code in it was compiled by -pg or --coverage, so that its functions are not the ones that are shipped."""
        return bool(self.names & _INSTRUMENTATION)

    def address_of(self, file_offset: int) -> int | None:
        """The link-time address of a file offset, or None when no segment holds it."""
        for offset, size, address in self.segments:
            if offset <= file_offset < offset + size:
                return address + file_offset - offset
        return None

    def at(self, address: int) -> FunctionSymbol | None:
        """The function that covers a link-time address."""
        index = bisect.bisect_right(self._starts, address) - 1
        if index < 0:
            return None
        function = self.functions[index]
        return function if address < function.address + function.size_bytes else None

    def named(self, name: str) -> list[FunctionSymbol]:
        return self._by_name.get(name, [])

    @cached_property
    def _by_name(self) -> dict[str, list[FunctionSymbol]]:
        found: dict[str, list[FunctionSymbol]] = {}
        for function in self.functions:
            found.setdefault(function.name, []).append(function)
        return found

    def code(self, function: FunctionSymbol) -> bytes:
        """The function's bytes in the file; empty when they cannot be read."""
        for offset, size, address in self.segments:
            if address <= function.address < address + size:
                try:
                    with open(self.path, "rb") as file:
                        file.seek(offset + function.address - address)
                        return file.read(function.size_bytes)
                except OSError:
                    return b""
        return b""

    def owner(self, part: FunctionSymbol) -> FunctionSymbol:
        """The function that a part belongs to: what DWARF says, else the one of that name in the same unit, else the
        only one of that name; the part itself when that does not tell."""
        if part.owner == part.name:
            return part
        named = self.named(part.owner)
        if len(named) == 1:
            return named[0]
        told = self._by_address.get(self.debug.parts.get(part.address, -1))
        if told is not None:
            return told
        own_unit = [function for function in named if function.is_local and function.unit == part.unit]
        if len(own_unit) == 1:
            return own_unit[0]
        # A part whose unit has no such local function belongs to the global one.
        others = [function for function in named if not function.is_local]
        return others[0] if len(others) == 1 and not own_unit else part

    def source_of(self, function: FunctionSymbol) -> str:
        """The basename of the unit's source, "" when neither the symbol table nor DWARF says."""
        return function.source or self.debug.sources.get(function.address, "")


def is_plain(name: str) -> bool:
    """Whether a symbol's name can be printed on a line and be part of a file's name; what has none such is not looked at."""
    return name.isprintable() and "/" not in name and 0 < len(name) < 200


def base_name(symbol: str) -> str:
    """The name in the source of an assembled one: `f` for `f.constprop.0.isra.0`."""
    return _CLONE.sub("", _PART.sub("", symbol, count=1))
