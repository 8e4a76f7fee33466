"""The functions of a module by address, each with its source file's name (STT_FILE); `.cold` parts belong to their function."""

from __future__ import annotations

import bisect
from dataclasses import dataclass
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection


@dataclass(frozen=True)
class FunctionSymbol:
    """One function symbol; for a `.cold` part `owner` names the function it belongs to."""

    name: str
    source: str
    address: int
    size_bytes: int
    is_local: bool

    @property
    def owner(self) -> str:
        return self.name.removesuffix(".cold")


class ModuleSymbols:
    """The symbol table of one ELF file. An unreadable or stripped file has no functions."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.segments: list[tuple[int, int, int]] = []  # file offset, size, address
        self.functions: list[FunctionSymbol] = []
        try:
            with open(path, "rb") as file:
                self._read(ELFFile(file))
        except (OSError, ELFError, ValueError, KeyError, AttributeError):
            self.functions = []
        self._starts = [function.address for function in self.functions]

    def _read(self, elf: ELFFile) -> None:
        for segment in elf.iter_segments():
            if segment["p_type"] == "PT_LOAD":
                self.segments.append((segment["p_offset"], segment["p_filesz"], segment["p_vaddr"]))
        table = elf.get_section_by_name(".symtab") or elf.get_section_by_name(".dynsym")
        if not isinstance(table, SymbolTableSection):
            return
        source = ""
        found: dict[int, FunctionSymbol] = {}
        for symbol in table.iter_symbols():
            kind, local = symbol["st_info"]["type"], symbol["st_info"]["bind"] == "STB_LOCAL"
            if kind == "STT_FILE":
                source = symbol.name
            elif kind in ("STT_FUNC", "STT_GNU_IFUNC") and symbol["st_size"] and isinstance(symbol["st_shndx"], int):
                entry = FunctionSymbol(
                    symbol.name, source if local else "", symbol["st_value"], symbol["st_size"], local
                )
                known = found.get(entry.address)
                if known is None or (known.is_local and not local):
                    found[entry.address] = entry
        self.functions = [found[address] for address in sorted(found)]

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

    def owner(self, part: FunctionSymbol) -> FunctionSymbol:
        """The function that a `.cold` part belongs to: the one of that name in the same source; else the part itself."""
        if part.owner == part.name:
            return part
        matching = [f for f in self.functions if f.name == part.owner and (f.source in ("", part.source))]
        return matching[0] if len(matching) == 1 else part


def source_names(path: str) -> dict[int, str]:
    """Address -> source file name from DWARF's line programs' units, for global functions, which STT_FILE does not cover."""
    names: dict[int, str] = {}
    try:
        with Path(path).open("rb") as file:
            elf = ELFFile(file)
            if not elf.has_dwarf_info():
                return names
            for unit in elf.get_dwarf_info().iter_CUs():
                top = unit.get_top_DIE()
                name = top.attributes.get("DW_AT_name")
                if name is None:
                    continue
                source = Path(name.value.decode(errors="replace")).name
                for entry in top.iter_children():
                    low = entry.attributes.get("DW_AT_low_pc")
                    if entry.tag == "DW_TAG_subprogram" and low is not None:
                        names[low.value] = source
    except (OSError, ELFError, ValueError, KeyError, AttributeError):
        return names
    return names
