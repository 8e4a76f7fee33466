"""What DWARF says of a module's functions: their source files, the function that a detached part belongs to, what is inlined where."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from elftools.common.exceptions import DWARFError, ELFError
from elftools.dwarf.compileunit import CompileUnit
from elftools.dwarf.die import DIE
from elftools.dwarf.ranges import BaseAddressEntry
from elftools.elf.elffile import ELFFile

_BROKEN = (OSError, ELFError, DWARFError, ValueError, KeyError, AttributeError, TypeError, IndexError, RecursionError)
Range = tuple[int, int]


@dataclass
class Debug:
    """By link-time address of a function: `sources`, its unit's file name (a basename), which covers global functions too.

    `parts` maps the address of a part that lies apart (`.cold`) to its function's address.
    """

    sources: dict[int, str] = field(default_factory=dict)
    parts: dict[int, int] = field(default_factory=dict)


def read(path: str) -> Debug:
    """Empty for a module without debug information, and as far as it could be read for one that is damaged."""
    found = Debug()
    try:
        with Path(path).open("rb") as file:
            for unit, top in _units(file):
                name = _name(top)
                for entry in top.iter_children():
                    if entry.tag != "DW_TAG_subprogram":
                        continue
                    starts = [low for low, _ in _ranges(unit, entry)]
                    for start in starts:
                        found.sources[start] = name
                        if start != starts[0]:
                            found.parts[start] = starts[0]
    except _BROKEN:
        return found
    return found


def inlined(path: str, addresses: Collection[int]) -> dict[int, dict[str, list[Range]]]:
    """For each function whose address is asked for: the functions inlined into it, with the address ranges of their code."""
    found: dict[int, dict[str, list[Range]]] = {}
    try:
        with Path(path).open("rb") as file:
            for unit, top in _units(file):
                for entry in top.iter_children():
                    if entry.tag != "DW_TAG_subprogram":
                        continue
                    starts = [low for low, _ in _ranges(unit, entry)]
                    if starts and starts[0] in addresses:
                        _collect(unit, entry, found.setdefault(starts[0], {}))
    except _BROKEN:
        return found
    return found


def line_addresses(path: str, wanted: Collection[tuple[str, int]]) -> dict[tuple[str, int], set[int]]:
    """Where the code of source lines (a file's basename, a line) begins, each place once."""
    found: dict[tuple[str, int], set[int]] = {}
    try:
        with Path(path).open("rb") as file:
            for unit, _ in _units(file) if wanted else ():
                program = unit.dwarfinfo.line_program_for_CU(unit)
                if program is None:
                    continue
                files = program["file_entry"]
                first = 0 if program["version"] >= 5 else 1
                for entry in program.get_entries():
                    state = entry.state
                    if state is None or state.end_sequence or not first <= state.file < len(files) + first:
                        continue
                    name = Path(files[state.file - first].name.decode(errors="replace")).name
                    if (name, state.line) in wanted:
                        found.setdefault((name, state.line), set()).add(state.address)
    except _BROKEN:
        return found
    return found


def _units(file: IO[bytes]) -> Iterator[tuple[CompileUnit, DIE]]:
    elf = ELFFile(file)
    if not elf.has_dwarf_info():
        return
    for unit in elf.get_dwarf_info().iter_CUs():
        yield unit, unit.get_top_DIE()


def _collect(unit: CompileUnit, entry: DIE, into: dict[str, list[Range]]) -> None:
    for child in entry.iter_children():
        if child.tag == "DW_TAG_inlined_subroutine":
            origin = child.get_DIE_from_attribute("DW_AT_abstract_origin")
            into.setdefault(_function_name(origin), []).extend(_ranges(unit, child))
        if child.tag in ("DW_TAG_inlined_subroutine", "DW_TAG_lexical_block"):
            _collect(unit, child, into)


def _function_name(entry: DIE) -> str:
    name = entry.attributes.get("DW_AT_linkage_name") or entry.attributes.get("DW_AT_name")
    return name.value.decode(errors="replace") if name is not None else ""


def _name(top: DIE) -> str:
    name = top.attributes.get("DW_AT_name")
    return Path(name.value.decode(errors="replace")).name if name is not None else ""


def _ranges(unit: CompileUnit, entry: DIE) -> list[Range]:
    """The entry's code, its first range first (DWARF 5, 2.17)."""
    low, high = entry.attributes.get("DW_AT_low_pc"), entry.attributes.get("DW_AT_high_pc")
    if low is not None:
        end = low.value if high is None else high.value if high.form == "DW_FORM_addr" else low.value + high.value
        return [(low.value, end)]
    ranges = entry.attributes.get("DW_AT_ranges")
    lists = unit.dwarfinfo.range_lists()
    if ranges is None or lists is None:
        return []
    base = unit.get_top_DIE().attributes.get("DW_AT_low_pc")
    origin = base.value if base is not None else 0
    found: list[Range] = []
    for item in lists.get_range_list_at_offset(ranges.value, unit):
        if isinstance(item, BaseAddressEntry):
            origin = item.base_address
            continue
        bias = 0 if getattr(item, "is_absolute", False) else origin
        found.append((bias + item.begin_offset, bias + item.end_offset))
    return found
