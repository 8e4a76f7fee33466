"""The modules of a traced process: which of them are wanted, where they are loaded, what their GOT is bound to."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile
from elftools.elf.relocation import RelocationSection
from elftools.elf.sections import NoteSection, SymbolTableSection

from compiler_ai.capture.errors import CaptureError
from compiler_ai.capture.format import Mapping

_GLOB_DAT, _JUMP_SLOT, _R64 = 6, 7, 1


@dataclass(frozen=True)
class Target:
    """A function to capture: its module's path, assembled name and link-time value (st_value)."""

    module: str
    symbol: str
    value: int


@dataclass(frozen=True)
class ModuleFile:
    """What a module's file says: build id, first load segment, and its GOT slots (external name -> link-time address)."""

    path: str
    build_id: str
    first_address: int
    slots: dict[str, int]
    is_static_position: bool

    def load_bias(self, mappings: list[Mapping]) -> int | None:
        """The difference between run-time and link-time addresses in a process, or None when it is not loaded there."""
        starts = [mapping.start - mapping.offset for mapping in mappings if same_file(mapping.file, self.path)]
        if not starts:
            return None
        return 0 if self.is_static_position else min(starts) - self.first_address


def read_module(path: str) -> ModuleFile:
    """Raises CaptureError when the file is no ELF object."""
    try:
        with open(path, "rb") as file:
            elf = ELFFile(file)
            build_id = ""
            slots: dict[str, int] = {}
            for section in elf.iter_sections():
                if isinstance(section, NoteSection) and section.name == ".note.gnu.build-id":
                    build_id = next((note["n_desc"] for note in section.iter_notes()), "")
                if isinstance(section, RelocationSection) and section.name in (".rela.plt", ".rela.dyn"):
                    symbols = elf.get_section(section["sh_link"])
                    for relocation in section.iter_relocations():
                        index = relocation["r_info_sym"]
                        if (
                            relocation["r_info_type"] in (_GLOB_DAT, _JUMP_SLOT, _R64)
                            and index
                            and isinstance(symbols, SymbolTableSection)
                        ):
                            name = symbols.get_symbol(index).name
                            if relocation["r_info_type"] != _R64 and name:
                                slots.setdefault(name, relocation["r_offset"])
            first = min(
                segment["p_vaddr"] & ~0xFFF for segment in elf.iter_segments() if segment["p_type"] == "PT_LOAD"
            )
            return ModuleFile(path, build_id, first, slots, elf["e_type"] == "ET_EXEC")
    except (OSError, ELFError, ValueError, KeyError) as error:
        raise CaptureError(f"{path}: not a program or library that can be captured: {error}") from error


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
