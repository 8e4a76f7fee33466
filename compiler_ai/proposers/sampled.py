"""A function's samples as a profile that Clang understands: how often which of its lines runs, as far as samples can tell.

Source: Clang's user manual, "Sample Profile Formats" (text: `name:total:head`, then ` line offset: count`); DWARF 4, 6.2.
"""

from __future__ import annotations

import io
from collections import Counter, defaultdict
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

from elftools.common.exceptions import DWARFError, ELFError
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from compiler_ai.artifacts import Sample
from compiler_ai.debug_information import with_known_relocations

LEAST_PLACES = 8  # samples at fewer instructions say nothing of the lines
_TOTAL = 1_000_000  # what the counts of a function add up to: Clang takes small ones for cold


def text_profile(debug_object: bytes, function: str, size_bytes: int, samples: Iterable[Sample]) -> str:
    """The profile of one function, from its unit's object with debug information; "" when the samples cannot be told apart by line.

    `size_bytes` is the size of the body that was sampled: an object whose function has another is of other code.
    """
    counts = {sample.offset: sample.count for sample in samples if 0 <= sample.offset < size_bytes}
    if len(counts) < LEAST_PLACES:
        return ""
    try:
        lines = _lines(ELFFile(io.BytesIO(with_known_relocations(debug_object))), function, size_bytes)
    except (ELFError, DWARFError, KeyError, ValueError, AttributeError, TypeError, IndexError):
        return ""
    # A line's count is that of its instructions on average: a slow one has more samples, but runs no more often.
    sampled: dict[int, float] = defaultdict(float)
    sizes: Counter[int] = Counter()
    for start, end, line in lines:
        sizes[line] += end - start
        sampled[line] += sum(count for offset, count in counts.items() if start <= offset < end)
    means = {line: sampled[line] / sizes[line] for line in sorted(sizes)}
    total = sum(means.values())
    if not total:
        return ""
    body = "".join(f" {line}: {round(_TOTAL * mean / total)}\n" for line, mean in means.items())
    return f"{function}:{_TOTAL}:1\n{body}"


def _lines(elf: Any, function: str, size_bytes: int) -> list[tuple[int, int, int]]:
    """(first offset, end, line counted from the function's first) of the function's own code."""
    table = elf.get_section_by_name(".symtab")
    found = table.get_symbol_by_name(function) if isinstance(table, SymbolTableSection) else None
    symbol = found[0] if found else None
    if symbol is None or symbol["st_size"] != size_bytes or not elf.has_dwarf_info():
        return []
    if elf.get_section(symbol["st_shndx"]).name != ".text":
        return []  # addresses of several sections cannot be told apart in an object
    start, end = symbol["st_value"], symbol["st_value"] + size_bytes
    for unit in elf.get_dwarf_info().iter_CUs():
        declared = _declared(unit, function)
        if declared is None:
            continue
        file, first, last = declared
        states = _sequence(unit, start, end)
        return [
            (one.address - start, following.address - start, one.line - first)
            for one, following in pairwise(states)
            if start <= one.address < following.address <= end and one.file == file and first <= one.line < last
        ]
    return []


def _sequence(unit: Any, start: int, end: int) -> list[Any]:
    """The rows of the line table's first sequence that covers the range: GCC begins with .text."""
    states: list[Any] = []
    for entry in unit.dwarfinfo.line_program_for_CU(unit).get_entries():
        if entry.state is None:
            continue
        states.append(entry.state)
        if entry.state.end_sequence:
            if states[0].address <= start and end <= entry.state.address:
                return states
            states = []
    return []


def _declared(unit: Any, function: str) -> tuple[int, int, int] | None:
    """The file (its number) that declares the function, its line, and the line where the next function begins."""
    begins: list[tuple[int, int]] = []
    own: tuple[int, int] | None = None
    for entry in unit.get_top_DIE().iter_children():
        if entry.tag != "DW_TAG_subprogram" or "DW_AT_decl_line" not in entry.attributes:
            continue
        place = (entry.attributes["DW_AT_decl_file"].value, entry.attributes["DW_AT_decl_line"].value)
        begins.append(place)
        name = entry.attributes.get("DW_AT_name")
        if name is not None and name.value.decode(errors="replace") == function:
            own = place
    if own is None:
        return None
    later = [line for file, line in begins if file == own[0] and line > own[1]]
    return own[0], own[1], min(later, default=1 << 30)
