"""The modules of a traced process: which of them are wanted, where they are loaded, what their GOT is bound to."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile
from elftools.elf.relocation import RelocationSection
from elftools.elf.sections import NoteSection, SymbolTableSection

from compiler_ai.capture.errors import CaptureError, TargetNotFoundError
from compiler_ai.capture.format import Mapping

_GLOB_DAT, _JUMP_SLOT = 6, 7
_EXECUTE = 4


@dataclass(frozen=True)
class Target:
    """A function to capture: its module's path, assembled name and link-time value (st_value)."""

    module: str
    symbol: str
    value: int


@dataclass(frozen=True)
class Segment:
    """One load segment of a module; offsets and addresses rounded down to pages."""

    offset: int
    address: int
    size_bytes: int
    is_code: bool


@dataclass(frozen=True)
class ModuleFile:
    """What a module's file says: build id, load segments, GOT slots (external name -> link-time address), and each function's
    symbols (link-time address -> names)."""

    path: str
    build_id: str
    segments: tuple[Segment, ...]
    slots: dict[str, int]
    functions: dict[int, frozenset[str]]

    def load_bias(self, mappings: list[Mapping]) -> int | None:
        """The difference between run-time and link-time addresses in a process, or None when it is not loaded there.

        A process may also map the file to read it: only code that is mapped to be executed counts.
        """
        for mapping in mappings:
            if not mapping.prot & _EXECUTE or not same_file(mapping.file, self.path):
                continue
            for segment in self.segments:
                inside = mapping.offset - segment.offset
                if segment.is_code and 0 <= inside < segment.size_bytes:
                    return mapping.start - segment.address - inside
        return None

    def check(self, target: Target) -> None:
        """Raises TargetNotFoundError when the module has no such function where the target says."""
        if target.symbol not in self.functions.get(target.value, ()):
            advice = "it was linked anew or stripped since it was profiled: profile again"
            raise TargetNotFoundError(f"{self.path}: no {target.symbol} at {target.value:#x}: {advice}")


def read_module(path: str) -> ModuleFile:
    """Raises CaptureError when the file is no ELF object."""
    try:
        with open(path, "rb") as file:
            elf = ELFFile(file)
            build_id = ""
            slots: dict[str, int] = {}
            functions: dict[int, set[str]] = {}
            for section in elf.iter_sections():
                if isinstance(section, NoteSection) and section.name == ".note.gnu.build-id":
                    build_id = next((note["n_desc"] for note in section.iter_notes()), "")
                if isinstance(section, RelocationSection) and section.name in (".rela.plt", ".rela.dyn"):
                    _add_slots(elf, section, slots)
                if isinstance(section, SymbolTableSection):
                    for symbol in section.iter_symbols():
                        if symbol["st_info"]["type"] in ("STT_FUNC", "STT_GNU_IFUNC"):
                            functions.setdefault(symbol["st_value"], set()).add(symbol.name)
            segments = tuple(
                Segment(
                    segment["p_offset"] & ~0xFFF,
                    segment["p_vaddr"] & ~0xFFF,
                    segment["p_filesz"] + (segment["p_offset"] & 0xFFF),
                    bool(segment["p_flags"] & 1),
                )
                for segment in elf.iter_segments()
                if segment["p_type"] == "PT_LOAD"
            )
            names = {value: frozenset(found) for value, found in functions.items()}
            return ModuleFile(path, build_id, segments, slots, names)
    except (OSError, ELFError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise CaptureError(f"{path}: not a program or library that can be captured: {error}") from error


def _add_slots(elf: ELFFile, section: RelocationSection, slots: dict[str, int]) -> None:
    symbols = elf.get_section(section["sh_link"])
    if not isinstance(symbols, SymbolTableSection):
        return
    for relocation in section.iter_relocations():
        index = relocation["r_info_sym"]
        if relocation["r_info_type"] in (_GLOB_DAT, _JUMP_SLOT) and index:
            name = symbols.get_symbol(index).name
            if name:
                slots.setdefault(name, relocation["r_offset"])


def files_bytes(mappings: list[Mapping], addresses: Iterable[int], size: int) -> dict[int, bytes]:
    """What the files that are mapped at `addresses` hold there; empty where there is none or it cannot be read."""
    found = dict.fromkeys(addresses, b"")
    for mapping in mappings:
        inside = [address for address in found if mapping.start <= address < mapping.end]
        if not inside or not mapping.file.startswith("/"):
            continue
        try:
            with open(mapping.file, "rb") as file:
                for address in inside:
                    file.seek(mapping.offset + address - mapping.start)
                    found[address] = file.read(min(size, mapping.end - address))
        except OSError:
            continue
    return found


def same_file(path: str, other: str) -> bool:
    if path == other:
        return True
    if not path.startswith("/") or Path(path).name != Path(other).name:
        return False
    try:
        return os.path.samefile(path, other)
    except OSError:
        return False


def entry_point(process: int) -> int:
    """AT_ENTRY: where the dynamic linker goes when every library is mapped (getauxval(3))."""
    data = Path(f"/proc/{process}/auxv").read_bytes()
    for position in range(0, len(data) - 15, 16):
        kind, value = struct.unpack_from("<QQ", data, position)
        if kind == 9:
            return int(value)
    return 0
