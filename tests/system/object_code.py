"""The machine code of an object's functions in a form that says whether a function was changed, wherever it lies.

What refers to code elsewhere in the object is told by symbol and offset, for a function that grew moves the ones behind it;
what refers to constants without a name (strings, tables of jumps) is told by what lies there, for a function whose constants
went elsewhere moves those of others.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import capstone
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import Symbol

Code = tuple[tuple[object, ...], ...]
Spans = list[tuple[int, int, str]]  # start, end and name of what lies in a section, in order

# AMD64 ABI, "Relocation Types": those whose value is relative to the place of the field.
_RELATIVE = frozenset(
    {2, 4, 9, 24, 25, 26, 41, 42}
)  # PC32 PLT32 GOTPCREL PC64 GOTOFF64 GOTPC32 GOTPCRELX REX_GOTPCRELX
_DEEPEST = 4  # constants that point to constants


@dataclass(frozen=True)
class Relocation:
    kind: int
    symbol: Symbol
    addend: int

    @property
    def offset(self) -> int | None:
        """Where in its section the symbol is together with the addend, for a section and for labels without a meaning (`.LC0`)."""
        kind = self.symbol["st_info"]["type"]
        if kind == "STT_SECTION" or (kind == "STT_NOTYPE" and self.symbol.name.startswith(".L")):
            return self.symbol["st_value"] + self.addend
        return None


@dataclass
class Section:
    name: str
    data: bytes
    constant: bool  # neither code nor writable
    functions: Spans = field(default_factory=list)
    relocations: dict[int, Relocation] = field(default_factory=dict)
    borders: list[int] = field(default_factory=list)  # where something begins that code or data refers to


def functions(path: Path) -> dict[tuple[str, str], Code]:
    """(section, function) -> its instructions, for a relocatable object; empty for a file that is none."""
    with open(path, "rb") as file:
        if file.read(4) != b"\x7fELF":
            return {}
        elf = ELFFile(file)
        if elf["e_type"] != "ET_REL" or elf["e_machine"] != "EM_X86_64":
            return {}
        sections = _sections(elf)
        decoder = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
        decoder.detail = True
        result = {}
        for section in sections.values():
            for start, end, name in section.functions:
                decoded = list(decoder.disasm(section.data[start:end], start))
                result[section.name, name] = tuple(_instructions(decoded, (start, end), section, sections))
        return result


def differing(mine: Path, other: Path) -> set[str]:
    """The functions that are not the same in both objects, those included that only one of them has; a cold part and
    the name that GCC calls a function by in its own unit count as the function."""
    left, right = functions(mine), functions(other)
    return {
        name.removesuffix(".cold").removesuffix(".localalias")
        for section, name in left.keys() | right.keys()
        if left.get((section, name)) != right.get((section, name))
    }


def _sections(elf: ELFFile) -> dict[int, Section]:
    sections = {}
    for index, one in enumerate(elf.iter_sections()):
        if one["sh_flags"] & 2:  # SHF_ALLOC
            data = b"" if one["sh_type"] == "SHT_NOBITS" else one.data()
            sections[index] = Section(one.name, data, not one["sh_flags"] & 5)
    table = elf.get_section_by_name(".symtab")
    symbols = list(table.iter_symbols()) if table else []
    for one in symbols:
        if one["st_shndx"] in sections:
            sections[one["st_shndx"]].borders.append(one["st_value"])
            if one["st_info"]["type"] in ("STT_FUNC", "STT_GNU_IFUNC"):
                span = one["st_value"], one["st_value"] + one["st_size"], one.name
                sections[one["st_shndx"]].functions.append(span)
    for one in elf.iter_sections():
        if one["sh_type"] == "SHT_RELA" and one["sh_info"] in sections:
            found = sections[one["sh_info"]].relocations
            for entry in one.iter_relocations():
                found[entry["r_offset"]] = Relocation(
                    entry["r_info_type"], symbols[entry["r_info_sym"]], entry["r_addend"]
                )
    for section in sections.values():
        section.functions.sort()
    return sections


def _instructions(
    decoded: list[capstone.CsInsn], span: tuple[int, int], section: Section, sections: dict[int, Section]
) -> Iterator[tuple[object, ...]]:
    start, end = span
    at = start
    for one in decoded:
        at = one.address + one.size
        places = [place for place in range(one.address, at) if place in section.relocations]
        referred = tuple(
            (place - one.address, _referred(section.relocations[place], at - place, sections)) for place in places
        )
        target = None if referred else _target(one)
        if target is not None and not start <= target < end:
            registers = [one.reg_name(each.reg) for each in one.operands if each.type == capstone.x86.X86_OP_REG]
            yield one.mnemonic, *registers, _named(target, section.functions) or target
            continue
        yield (bytes(one.bytes), *referred)
    yield (section.data[at:end],)  # what the decoder does not know


def _referred(one: Relocation, behind: int, sections: dict[int, Section], depth: int = 0) -> tuple[object, ...]:
    """What a field refers to; the processor counts relative addresses from `behind` bytes behind the field's start."""
    where = one.symbol["st_shndx"]
    if one.offset is None or where not in sections:
        return one.kind, one.symbol.name, one.addend
    offset = one.offset + (behind if one.kind in _RELATIVE else 0)
    section = sections[where]
    if section.constant:
        return one.kind, section.name, _content(section, offset, sections, depth)
    return one.kind, *(_named(offset, section.functions) or (section.name, offset))


@dataclass(frozen=True, eq=False)
class Constant:
    """What lies where code refers to, up to the next thing that is referred to. With other code in the object the end may be
    told later, so two are equal when one begins with the other."""

    data: bytes
    fields: tuple[tuple[int, tuple[object, ...]], ...]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Constant):
            return False
        length = min(len(self.data), len(other.data))
        mine, theirs = ([one for one in each.fields if one[0] < length] for each in (self, other))
        return self.data[:length] == other.data[:length] and mine == theirs


def _content(section: Section, start: int, sections: dict[int, Section], depth: int) -> Constant:
    if not section.borders or section.borders[-1] != len(section.data):
        section.borders = _borders(section, sections)
    position = bisect_right(section.borders, start)
    end = section.borders[position] if position < len(section.borders) else len(section.data)
    fields = tuple(
        # A table of jumps holds distances from its own start (GCC: `.long .L3-.L2`).
        (place - start, _referred(one, start - place, sections, depth + 1))
        for place, one in sorted(section.relocations.items())
        if start <= place < end and depth < _DEEPEST
    )
    return Constant(section.data[start:end], fields)


def _borders(section: Section, sections: dict[int, Section]) -> list[int]:
    """Where the section's constants begin, as far as it can be told from what refers to them, and where it ends."""
    found = set(section.borders)
    for other in sections.values():
        for one in other.relocations.values():
            here = one.offset is not None and sections.get(one.symbol["st_shndx"]) is section
            if here and not (other.constant and one.kind in _RELATIVE):
                found.add(one.offset + (4 if one.kind in _RELATIVE else 0))
    return [*sorted(found), len(section.data)]


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
