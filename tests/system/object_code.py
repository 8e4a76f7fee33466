"""The machine code of an object's functions in a form that says whether a function was changed, wherever it lies.

What refers to code elsewhere in the object is told by symbol and offset: a function that grew moves the ones behind it, and
distances to them with it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from pathlib import Path

import capstone
from elftools.elf.elffile import ELFFile

Code = tuple[tuple[object, ...], ...]
Spans = list[tuple[int, int, str]]  # start, end and name of what lies in a section, in order


def functions(path: Path) -> dict[tuple[str, str], Code]:
    """(section, function) -> its instructions, for a relocatable object; empty for a file that is none."""
    with open(path, "rb") as file:
        if file.read(4) != b"\x7fELF":
            return {}
        elf = ELFFile(file)
        if elf["e_type"] != "ET_REL" or elf["e_machine"] != "EM_X86_64":
            return {}
        symbols = list(elf.get_section_by_name(".symtab").iter_symbols()) if elf.get_section_by_name(".symtab") else []
        spans: dict[int, Spans] = defaultdict(list)
        for one in symbols:
            if one["st_info"]["type"] in ("STT_FUNC", "STT_GNU_IFUNC") and isinstance(one["st_shndx"], int):
                spans[one["st_shndx"]].append((one["st_value"], one["st_value"] + one["st_size"], one.name))
        result = {}
        for index, found in spans.items():
            found.sort()
            section = elf.get_section(index)
            if section.data()[: section["sh_size"]]:
                relocations = _relocations(elf, index, symbols, spans)
                for start, end, name in found:
                    code = section.data()[start:end]
                    result[section.name, name] = tuple(_instructions(code, start, found, relocations))
        return result


def differing(mine: Path, other: Path) -> set[str]:
    """The functions that are not the same in both objects, those included that only one of them has."""
    left, right = functions(mine), functions(other)
    return {
        name for section, name in left.keys() | right.keys() if left.get((section, name)) != right.get((section, name))
    }


def _relocations(elf: ELFFile, index: int, symbols: list, spans: dict[int, Spans]) -> dict[int, tuple[object, ...]]:
    result = {}
    for section in elf.iter_sections():
        if section["sh_type"] == "SHT_RELA" and section["sh_info"] == index:
            for one in section.iter_relocations():
                symbol = symbols[one["r_info_sym"]]
                target: tuple[object, ...] = (symbol.name, one["r_addend"])
                if symbol["st_info"]["type"] == "STT_SECTION":
                    # A PC-relative field of 4 bytes refers to 4 bytes behind its addend.
                    within = _named(one["r_addend"] + 4, spans.get(symbol["st_shndx"], []))
                    target = within or (elf.get_section(symbol["st_shndx"]).name, one["r_addend"])
                result[one["r_offset"]] = (one["r_info_type"], *target)
    return result


def _instructions(code: bytes, start: int, spans: Spans, relocations: dict[int, tuple[object, ...]]):
    decoder = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
    decoder.detail = True
    at = 0
    for one in decoder.disasm(code, start):
        at = one.address + one.size - start
        where = range(one.address, one.address + one.size)
        referred = tuple((place - one.address, relocations[place]) for place in where if place in relocations)
        target = None if referred else _target(one)
        if target is not None and not start <= target < start + len(code):
            registers = [one.reg_name(each.reg) for each in one.operands if each.type == capstone.x86.X86_OP_REG]
            yield one.mnemonic, *registers, _named(target, spans) or target
            continue
        yield (bytes(one.bytes), *referred)
    yield (code[at:],)  # what the decoder does not know


def _target(one: capstone.CsInsn) -> int | None:
    """The address that an instruction refers to relative to its own."""
    if one.group(capstone.CS_GRP_JUMP) or one.group(capstone.CS_GRP_CALL):
        return one.operands[0].imm if one.operands and one.operands[0].type == capstone.x86.X86_OP_IMM else None
    for each in one.operands:
        if each.type == capstone.x86.X86_OP_MEM and each.mem.base == capstone.x86.X86_REG_RIP:
            return one.address + one.size + each.mem.disp
    return None


def _named(address: int, spans: Spans) -> tuple[object, ...] | None:
    place = bisect_right(spans, (address, 1 << 62, "")) - 1
    if place >= 0 and spans[place][0] <= address < spans[place][1]:
        return spans[place][2], address - spans[place][0]
    return None
