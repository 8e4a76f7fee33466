"""Whether a body's unwind rules are right at every instruction that a traced run executes.

At each of them the canonical frame address that .eh_frame gives must be the entry's stack pointer + 8, and every callee-saved
register's entry value must be where its rule says: at its place in the frame, or still in the register.
Source: DWARF 5, 6.4 (call frame information); LSB 5.0 (.eh_frame); System V ABI AMD64, 3.6.2 (register numbers).
"""

from __future__ import annotations

import io
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from compiler_ai.sandbox.loader import LoadedObject
from compiler_ai.sandbox.object import RelocatableObject
from compiler_ai.sandbox.process import Trace
from compiler_ai.sandbox.state import GENERAL
from compiler_ai.verify.accesses import Decoder
from compiler_ai.verify.code import section_bases

_DWARF = ("rax", "rdx", "rcx", "rbx", "rsi", "rdi", "rbp", "rsp", *(f"r{n}" for n in range(8, 16)))
SAVED = ("rbx", "rbp", "r12", "r13", "r14", "r15")
_RETURN_ADDRESS = 16
_WORD = 8


@dataclass(frozen=True)
class Rules:
    """From one address on: the CFA as register + offset, and callee-saved registers' places as offsets from the CFA.

    `strange` says why the rules are beyond what is understood here, "" when they are not.
    """

    register: str
    offset: int
    saved: Mapping[str, int]
    strange: str = ""


@dataclass(frozen=True)
class UnwindTable:
    """The rules of one function's code by address; `ranges` are half-open."""

    ranges: tuple[tuple[int, int], ...]
    starts: tuple[int, ...]
    rules: tuple[Rules, ...]

    def at(self, address: int) -> Rules | None:
        if not any(low <= address < high for low, high in self.ranges):
            return None
        return self.rules[bisect_right(self.starts, address) - 1]


def read_table(
    object_bytes: bytes, unit: RelocatableObject, body: LoadedObject, own: tuple[tuple[int, int], ...]
) -> UnwindTable | None:
    """The rules for the code ranges `own` of a loaded object; None when it has none for them or they are malformed."""
    from elftools.common.exceptions import DWARFError, ELFError
    from elftools.construct.core import ConstructError
    from elftools.dwarf.callframe import FDE
    from elftools.elf.elffile import ELFFile

    bases = section_bases(unit, body)
    places = {
        relocation.offset: bases[relocation.symbol.section] + relocation.symbol.value + relocation.addend
        for section in unit.sections.values()
        if section.name == ".eh_frame"
        for relocation in section.relocations
        if relocation.symbol.section in bases
    }
    rows: list[tuple[int, Rules]] = []
    ranges = []
    try:
        entries = ELFFile(io.BytesIO(object_bytes)).get_dwarf_info(relocate_dwarf_sections=False).EH_CFI_entries()
        for entry in entries:
            start = places.get(entry.offset + _WORD, 0)
            if not isinstance(entry, FDE) or not any(low <= start < high for low, high in own):
                continue
            nominal = entry.header["initial_location"]
            ranges.append((start, start + entry.header["address_range"]))
            rows += [(start + row["pc"] - nominal, _rules(row)) for row in entry.get_decoded().table]
    except (ELFError, DWARFError, ConstructError, ValueError, KeyError, IndexError, AttributeError, TypeError):
        return None
    if not rows:
        return None
    rows.sort(key=lambda row: row[0])
    return UnwindTable(tuple(ranges), tuple(row[0] for row in rows), tuple(row[1] for row in rows))


def _rules(row: Mapping[Any, Any]) -> Rules:
    cfa = row["cfa"]
    if cfa.expr is not None or cfa.reg is None or cfa.reg >= len(_DWARF):
        return Rules("rsp", 0, {}, "its frame address is an expression")
    saved = {}
    for number, rule in row.items():
        if number in ("pc", "cfa"):
            continue
        name = _DWARF[number] if number < len(_DWARF) else ""
        if number == _RETURN_ADDRESS:
            if rule.type != "OFFSET" or rule.arg != -_WORD:
                return Rules("rsp", 0, {}, "its return address is not above the frame")
        elif name in SAVED and rule.type == "OFFSET":
            saved[name] = rule.arg
        elif name in SAVED and rule.type != "SAME_VALUE":
            return Rules("rsp", 0, {}, f"{name} is restored by a rule of type {rule.type}")
    return Rules(_DWARF[cfa.reg], cfa.offset, saved)


def wrong_rule(trace: Trace, table: UnwindTable, decoder: Decoder) -> tuple[str, bool]:
    """The first rule that is wrong in this run, or "", and whether every executed instruction's rules were understood.

    Recursive calls and calls of copies that a body brings along have frames of their own.
    """
    view = memoryview(trace.data).cast("Q")
    if not len(view):
        return "", True
    frames: list[Mapping[str, int]] = []  # a call's registers at its entry, below whose stack pointer it stays
    stored: dict[int, int] = {}
    understood, pushed = True, -1  # where a call would have put the return address
    for at in range(0, len(view), 18):
        address, general = view[at], view[at + 2 : at + 18]
        stack = general[GENERAL.index("rsp")]
        while len(frames) > 1 and stack > frames[-1]["rsp"]:
            frames.pop()
        if not frames or (stack < frames[-1]["rsp"] and (stack == pushed or address == view[0])):
            frames.append(dict(zip(GENERAL, general, strict=True)))
        pushed = stack - _WORD if decoder.decoded(address).calls else -1
        rules = table.at(address)
        if rules is None:
            continue
        if rules.strange:
            understood = False
        else:
            found = _wrong_here(rules, general, frames[-1], stored)
            if found:
                return f"{found} at +{address - view[0]:#x}", True
        _note_stores(decoder, address, general, stored)
    return "", understood


def _wrong_here(rules: Rules, general: Any, entry: Mapping[str, int], stored: Mapping[int, int]) -> str:
    computed, frame_address = general[GENERAL.index(rules.register)] + rules.offset, entry["rsp"] + _WORD
    if computed != frame_address:
        return f"unwind information gives a frame address that is off by {computed - frame_address}"
    for name in SAVED:
        if name in rules.saved:
            if stored.get(frame_address + rules.saved[name]) != entry[name]:
                return f"unwind information looks for {name} where it is not"
        elif general[GENERAL.index(name)] != entry[name]:
            return f"unwind information takes {name} for unchanged"
    return ""


def _note_stores(decoder: Decoder, address: int, general: Any, stored: dict[int, int]) -> None:
    """Keeps the 8-byte values of general registers that are in memory; any other store over them loses them."""
    decoded = decoder.decoded(address)
    spans = [(decoder.address(o, general), o.size_bytes) for o in decoded.operands if o.writes]
    if decoded.push_bytes:
        spans.append((general[GENERAL.index("rsp")] - decoded.push_bytes, decoded.push_bytes))
    for start, size in spans:
        for place in range(start - _WORD + 1, start + size):
            stored.pop(place, None)
        if size == _WORD and decoded.source >= 0:
            stored[start] = general[decoded.source]
