"""Objects in a form that does not depend on where things lie: what must stay the same when one function's body changes.

Code is decoded, and every address in it becomes the name of what is there, whether a relocation or the assembler put it.
"""

from __future__ import annotations

import bisect
import io
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asm_units
import capstone
from elftools.dwarf.callframe import FDE
from elftools.elf.elffile import ELFFile
from elftools.elf.relocation import RelocationSection

_TO_END_OF_INSTRUCTION = frozenset({2, 4, 9, 19, 20, 21, 22, 26, 34, 41, 42})  # R_X86_64_PC32, PLT32, GOTPCREL, TLS*...
_SIZES = {1: 8, 24: 8, 25: 8, 17: 8, 18: 8, 27: 8, 28: 8, 29: 8, 31: 8}  # everything else: 4 bytes


@dataclass(frozen=True)
class Piece:
    """A function's code or a datum: what it is made of, with names for addresses."""

    name: str
    section: str
    content: tuple[Any, ...]


class Object:
    """`pieces` holds functions, cold parts and data by name; `symbols` their attributes; `sections` those of sections."""

    def __init__(self, text: str) -> None:
        self.bytes = asm_units.assembled(text, "--keep-locals")
        self._elf = ELFFile(io.BytesIO(self.bytes))
        self._sections = list(self._elf.iter_sections())
        self.symbols = {s.name: s for s in asm_units.symbols(self.bytes) if not s.name.startswith(".L")}
        self.sections = {
            (s.name, s["sh_flags"], s["sh_type"], s["sh_addralign"])
            for s in self._sections
            if s["sh_flags"] & 2  # SHF_ALLOC
        }
        self._anchors = self._found_anchors()
        self._targets = self._relocations()
        self.pieces = {piece.name: piece for piece in self._described()}

    def _found_anchors(self) -> dict[str, list[tuple[int, str]]]:
        """What names an address: functions in code, every label in data."""
        found: dict[str, dict[int, str]] = {}
        executable = {s.name for s in self._sections if s["sh_flags"] & 4}
        for symbol in asm_units.symbols(self.bytes):
            is_code = symbol.section in executable
            if symbol.kind == "STT_FILE" or symbol.section.startswith("SHN_") or (is_code and symbol.name[:2] == ".L"):
                continue
            names = found.setdefault(symbol.section, {})
            names[symbol.value] = min(names.get(symbol.value, symbol.name), symbol.name)
        return {section: sorted(names.items()) for section, names in found.items()}

    def _named(self, section: str, offset: int) -> tuple[str, int]:
        anchors = self._anchors.get(section, [])
        at = bisect.bisect_right(anchors, (offset, "\U0010ffff")) - 1
        return (anchors[at][1], offset - anchors[at][0]) if at >= 0 else (section, offset)

    def _relocations(self) -> dict[str, dict[int, tuple[int, str, str, int]]]:
        """section -> offset -> type, section of the target ("" when undefined), its name, addend plus its value."""
        found: dict[str, dict[int, tuple[int, str, str, int]]] = {}
        for table in self._sections:
            if not isinstance(table, RelocationSection):
                continue
            symbols = self._elf.get_section(table["sh_link"])
            own = found.setdefault(self._sections[table["sh_info"]].name, {})
            for entry in table.iter_relocations():
                symbol = symbols.get_symbol(entry["r_info_sym"])
                place = symbol["st_shndx"]
                section = self._sections[place].name if isinstance(place, int) else ""
                where = symbol["st_value"] if section else 0
                own[entry["r_offset"]] = entry["r_info_type"], section, symbol.name, where + entry["r_addend"]
        return found

    def _target(self, section: str, offset: int, behind: int) -> tuple[Any, ...]:
        """What the relocation at `offset` refers to; `behind` is the end of its instruction, or the start of its datum."""
        kind, place, name, value = self._targets[section][offset]
        if kind in _TO_END_OF_INSTRUCTION:
            value += behind - offset
        return (kind, *self._named(place, value)) if place else (kind, name, value)

    def _described(self) -> Iterable[Piece]:
        for section, anchors in self._anchors.items():
            found = self._elf.get_section_by_name(section)
            if not found["sh_flags"] & 2:
                continue
            ends = [value for value, _ in anchors[1:]] + [found["sh_size"]]
            for (value, name), end in zip(anchors, ends, strict=True):
                if found["sh_flags"] & 4:
                    symbol = self.symbols[name]
                    size = symbol.size_bytes or (
                        0 if symbol.kind == "STT_FUNC" else end - value
                    )  # a function may be empty
                    yield Piece(name, section, tuple(self._code(section, found.data(), value, value + size)))
                elif found["sh_type"] != "SHT_NOBITS":
                    yield Piece(name, section, tuple(self._data(section, found.data(), value, end)))
                else:
                    yield Piece(name, section, (end - value,))

    def _code(self, section: str, data: bytes, start: int, end: int) -> Iterable[tuple[Any, ...]]:
        engine = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
        engine.detail = True
        relocations = self._targets.get(section, {})
        position = start
        for found in engine.disasm(data[start:end], start):
            position = found.address + found.size
            inside = [offset for offset in range(found.address, position) if offset in relocations]
            raw = bytearray(found.bytes)
            for offset in inside:
                at = offset - found.address
                width = _SIZES.get(relocations[offset][0], 4)
                raw[at : at + width] = bytes(width)
            targets = [self._target(section, offset, position) for offset in inside]
            if not inside and (near := self._near(section, found, start, end)):
                yield near
                continue
            yield bytes(raw), *targets
        assert position == end, f"{section}+{position:#x} cannot be decoded"

    def _near(self, section: str, found: Any, start: int, end: int) -> tuple[Any, ...]:
        """A branch, or an address relative to the program counter, that the assembler itself has settled; () for anything else."""
        x86 = capstone.x86
        for operand in found.operands:
            if operand.type == x86.X86_OP_IMM and {capstone.CS_GRP_JUMP, capstone.CS_GRP_CALL} & set(found.groups):
                where: Any = operand.imm - start if start <= operand.imm < end else self._named(section, operand.imm)
                return found.mnemonic, where  # how far it is decides the encoding
            if operand.type == x86.X86_OP_MEM and operand.mem.base == x86.X86_REG_RIP:
                text = found.op_str.replace(hex(abs(operand.mem.disp)), "")
                return found.mnemonic, text, self._named(section, found.address + found.size + operand.mem.disp)
        return ()

    def _data(self, section: str, data: bytes, start: int, end: int) -> Iterable[Any]:
        position = start
        for offset in sorted(offset for offset in self._targets.get(section, {}) if start <= offset < end):
            yield data[position:offset]
            yield self._target(section, offset, start)
            position = offset + _SIZES.get(self._targets[section][offset][0], 4)
        yield data[position:end].rstrip(b"\0")  # what aligns the next datum is no part of this one


@dataclass(frozen=True)
class DebugInformation:
    """Line table and unwind rules by function, with offsets from the function's start."""

    lines: dict[str, dict[int, tuple[Any, ...]]]
    unwind: dict[str, list[Any]]


def debug_information(text: str) -> DebugInformation:
    """Of the linked program, where no two functions have one address."""
    with tempfile.TemporaryDirectory() as directory:
        unit, program = Path(directory, "unit.o"), Path(directory, "program")
        unit.write_bytes(asm_units.assembled(text))
        words = [
            "ld",
            "-static",
            "--unresolved-symbols=ignore-all",
            "--defsym=__dso_handle=0",
            "-e",
            "0",
            "-o",
            str(program),
            str(unit),
        ]
        subprocess.run(words, check=True, capture_output=True)
        elf = ELFFile(io.BytesIO(program.read_bytes()))
        table = elf.get_section_by_name(".symtab")
        functions = sorted(
            (s["st_value"], s.name, s["st_size"])
            for s in table.iter_symbols()
            if s["st_info"]["type"] == "STT_FUNC" and s["st_size"]
        )
        lines: dict[str, dict[int, tuple[Any, ...]]] = {}
        unwind: dict[str, list[Any]] = {}
        if not elf.has_dwarf_info():
            return DebugInformation(lines, unwind)
        info = elf.get_dwarf_info()

        def place(address: int) -> tuple[str, int] | None:
            """The function that holds the address, and its offset there; None between functions."""
            at = bisect.bisect_right(functions, (address, "\U0010ffff", 0)) - 1
            start, name, size_bytes = functions[at] if at >= 0 else (0, "", 0)
            return (name, address - start) if address < start + size_bytes else None

        for unit_info in info.iter_CUs():
            program_lines = info.line_program_for_CU(unit_info)
            for entry in program_lines.get_entries() if program_lines else ():
                state = entry.state
                if state is not None and not state.end_sequence and (found := place(state.address)):
                    name, offset = found
                    row = state.file, state.line, state.column, state.is_stmt
                    lines.setdefault(name, {})[offset] = row  # of several at one address the last holds
        for entry in info.EH_CFI_entries() if info.has_EH_CFI() else ():
            if isinstance(entry, FDE):
                found = place(entry["initial_location"])
                if not found:
                    continue
                name, _ = found
                cie = [(i.opcode, tuple(i.args)) for i in entry.cie.instructions]
                rules = [(i.opcode, tuple(i.args)) for i in entry.instructions if i.opcode]
                unwind[name] = [entry["address_range"], cie, rules]
        return DebugInformation(lines, unwind)
