"""What an object's debug information says of each function, in a form that does not depend on where the function lies."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from elftools.dwarf.compileunit import CompileUnit
from elftools.dwarf.die import DIE
from elftools.dwarf.dwarfinfo import DWARFInfo
from elftools.dwarf.locationlists import BaseAddressEntry, LocationExpr, LocationParser
from elftools.elf.elffile import ELFFile

Described = dict[str, tuple[list[object], list[object]]]


def described(path: Path) -> Described:
    """function -> its rows of the line table, and where its parameters and variables are."""
    result: Described = {}
    with open(path, "rb") as file:
        dwarf = ELFFile(file).get_dwarf_info()
        for unit in dwarf.iter_CUs():
            for die in unit.iter_DIEs():
                if die.tag == "DW_TAG_subprogram" and "DW_AT_low_pc" in die.attributes:
                    low = die.attributes["DW_AT_low_pc"].value
                    high = low + die.attributes["DW_AT_high_pc"].value
                    name = die.attributes["DW_AT_name"].value.decode()
                    result[name] = list(_rows(dwarf, unit, low, high)), list(_variables(dwarf, unit, die, low))
    return result


def _rows(dwarf: DWARFInfo, unit: CompileUnit, low: int, high: int) -> Iterator[object]:
    for entry in dwarf.line_program_for_CU(unit).get_entries():
        state = entry.state
        if state is not None and low <= state.address < high and not state.end_sequence:
            yield state.address - low, state.file, state.line, state.column, state.is_stmt


def _variables(dwarf: DWARFInfo, unit: CompileUnit, parent: DIE, low: int) -> Iterator[object]:
    parser = LocationParser(dwarf.location_lists())
    base = unit.get_top_DIE().attributes["DW_AT_low_pc"].value if _has_base(unit) else 0
    for die in parent.iter_children():
        location = die.attributes.get("DW_AT_location")
        if location is not None and parser.attribute_has_location(location, unit["version"]):
            found = parser.parse_from_attribute(location, unit["version"], die)
            yield die.tag, _name(die), list(_places(found, base, low))
        yield from _variables(dwarf, unit, die, low)


def _places(found: object, base: int, low: int) -> Iterator[object]:
    if isinstance(found, LocationExpr):
        yield tuple(found.loc_expr)
        return
    assert isinstance(found, list)
    for one in found:
        if isinstance(one, BaseAddressEntry):
            base = one.base_address
        elif hasattr(one, "begin_offset"):
            start = 0 if one.is_absolute else base
            yield start + one.begin_offset - low, start + one.end_offset - low, tuple(one.loc_expr)


def _has_base(unit: CompileUnit) -> bool:
    return "DW_AT_low_pc" in unit.get_top_DIE().attributes


def _name(die: DIE) -> str:
    while "DW_AT_name" not in die.attributes and "DW_AT_abstract_origin" in die.attributes:
        die = die.get_DIE_from_attribute("DW_AT_abstract_origin")
    return die.attributes["DW_AT_name"].value.decode() if "DW_AT_name" in die.attributes else ""
