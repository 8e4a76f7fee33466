"""The code that a candidate answers for: its own ranges in a loaded object, their bytes, and where jump tables lead.

Its own is the function, its `.cold` part, and what it brought along: functions that the baseline's unit does not have.
Source: System V ABI AMD64, table 4.9 (relocations); GCC and Clang write a jump table's entry either as an address or as the
target's distance from the table.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from compiler_ai.sandbox.loader import LoadedObject
from compiler_ai.sandbox.object import RelocatableObject
from compiler_ai.sandbox.pages import PageSet, Prot
from compiler_ai.sandbox.symbols import SymbolKind

Range = tuple[int, int]
_NOT_TABLES = (".eh_frame", ".gcc_except_table", ".init_array", ".fini_array", "__")


@dataclass(frozen=True)
class OwnCode:
    """Half-open address ranges of the code (`function_ranges` those of the function and its cold part), the entry, and the
    targets that tables in the unit's data name."""

    entry: int
    ranges: tuple[Range, ...]
    function_ranges: tuple[Range, ...]
    table_targets: frozenset[int]
    code: Callable[[int], bytes]

    def holds(self, address: int) -> bool:
        return any(start <= address < end for start, end in self.ranges)


def own_code(unit: RelocatableObject, function: str, body: LoadedObject, shared: frozenset[str]) -> OwnCode:
    """`shared` are the functions of the baseline's unit, which are not the candidate's to answer for."""
    bases = section_bases(unit, body)
    ranges, parts = [], []
    for symbol in unit.symbols:
        if symbol.kind is not SymbolKind.FUNCTION or symbol.section not in bases or not symbol.size_bytes:
            continue
        start = bases[symbol.section] + symbol.value
        if symbol.name == function or symbol.name.startswith(f"{function}.cold"):
            parts.append((start, start + symbol.size_bytes))
        elif symbol.name not in shared:
            ranges.append((start, start + symbol.size_bytes))
    own = OwnCode(body.entry, (*parts, *ranges), tuple(parts), frozenset(), reader([body.pages]))
    return replace(own, table_targets=frozenset(at for at in table_targets(unit, bases) if own.holds(at)))


def functions_of(unit: RelocatableObject) -> frozenset[str]:
    """The functions that a unit defines."""
    return frozenset(s.name for s in unit.symbols if s.kind is SymbolKind.FUNCTION and s.section in unit.sections)


def section_bases(unit: RelocatableObject, body: LoadedObject) -> dict[int, int]:
    """Section index -> load address, for the text that holds a named function."""
    return {
        symbol.section: body.symbols[symbol.name] - symbol.value
        for symbol in unit.symbols
        if symbol.kind is SymbolKind.FUNCTION and symbol.section in unit.sections and symbol.name in body.symbols
    }


def table_targets(unit: RelocatableObject, bases: dict[int, int]) -> set[int]:
    """Addresses in text that relocated data names."""
    starts = _table_starts(unit)
    found = set()
    for section in unit.sections.values():
        if section.is_text or section.name.startswith(_NOT_TABLES):
            continue
        tables = starts.get(section.index, [])
        for relocation in section.relocations:
            base = bases.get(relocation.symbol.section)
            if base is None:
                continue
            offset = relocation.symbol.value + relocation.addend
            if relocation.kind == "R_X86_64_PC32":
                at = bisect_right(tables, relocation.offset)
                if not at:
                    continue
                offset -= relocation.offset - tables[at - 1]
            elif relocation.kind not in ("R_X86_64_64", "R_X86_64_32", "R_X86_64_32S"):
                continue
            found.add(base + offset)
    return found


def _table_starts(unit: RelocatableObject) -> dict[int, list[int]]:
    """Data section index -> sorted offsets that code takes the address of, where a table of distances can start."""
    starts: dict[int, set[int]] = {}
    for section in unit.sections.values():
        for relocation in section.relocations if section.is_text else ():
            target = unit.sections.get(relocation.symbol.section)
            if target is not None and not target.is_text and relocation.kind == "R_X86_64_PC32":
                starts.setdefault(target.index, set()).add(relocation.symbol.value + relocation.addend + 4)
    return {index: sorted(offsets) for index, offsets in starts.items()}


def reader(pages: Sequence[PageSet]) -> Callable[[int], bytes]:
    """Up to 16 bytes of code at an address, from page sets (files behind regions included); none where nothing can be executed: a
    stack's bytes, taken for a callee, would say which arguments it reads."""
    files: dict[str, bytes] = {}

    def read(address: int) -> bytes:
        for page_set in pages:
            region = page_set.find(address)
            if region is None or not region.prot & Prot.EXEC:
                continue
            if not region.path:
                return bytes(region.data[address - region.address : address - region.address + 16])
            if region.path not in files:
                with open(region.path, "rb") as file:
                    files[region.path] = file.read()
            at = region.offset + address - region.address
            return files[region.path][at : at + 16]
        return b""

    return read


def pointers(pages: PageSet) -> Callable[[int], int]:
    """The 8 bytes at an address as a number; 0 where the pages hold none."""

    def read(address: int) -> int:
        region = pages.find(address)
        if region is None or region.path or address + 8 > region.end:
            return 0
        return int.from_bytes(region.data[address - region.address : address - region.address + 8], "little")

    return read
