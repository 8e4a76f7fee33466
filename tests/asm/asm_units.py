"""What the tests of asm/ share: compiling to listings, assembling, and what an object says of its symbols and sections."""

from __future__ import annotations

import io
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from compiler_ai.driver.treefile import DUMPS

GOLDEN = Path(__file__).parent / "golden"


@dataclass(frozen=True)
class Symbol:
    name: str
    value: int
    size_bytes: int
    kind: str  # STT_FUNC, STT_OBJECT ...
    binding: str
    visibility: str
    section: str  # a section's name, or SHN_UNDEF, SHN_ABS, SHN_COMMON


def compiled(source: Path | str, *flags: str, compiler: str = "gcc") -> str:
    """The listing of a file, or of C text, at the flags."""
    is_file = isinstance(source, Path)
    words = [compiler, "-w", "-S", *flags, "-o", "-", *([str(source)] if is_file else ["-x", "c", "-"])]
    done = subprocess.run(words, input=None if is_file else str(source).encode(), capture_output=True, check=False)
    assert done.returncode == 0, f"{' '.join(words)}\n{done.stderr.decode(errors='replace')[:2000]}"
    return done.stdout.decode(errors="surrogateescape")


def dumped(source: str, *flags: str) -> str:
    """GCC's `visibility` and `optimized` dumps of C text."""
    words = ["gcc", "-w", "-S", *flags, "-o", "/dev/null", *(f"{option}stdout" for option in DUMPS), "-x", "c", "-"]
    return subprocess.run(words, input=source.encode(), capture_output=True, check=True).stdout.decode()


def assembled(text: str, *flags: str) -> bytes:
    """The object that GNU as makes of a listing."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "unit.o")
        words = ["as", "--64", *flags, "-o", str(path), "-"]
        done = subprocess.run(words, input=text.encode(errors="surrogateescape"), capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode(errors="replace")[:2000]
        return path.read_bytes()


def symbols(object_bytes: bytes) -> list[Symbol]:
    """Every symbol with a name, section symbols left out."""
    elf = ELFFile(io.BytesIO(object_bytes))
    table = elf.get_section_by_name(".symtab")
    assert isinstance(table, SymbolTableSection)
    names = [section.name for section in elf.iter_sections()]
    found = []
    for symbol in table.iter_symbols():
        place = symbol["st_shndx"]
        info = symbol["st_info"]
        if symbol.name and info["type"] != "STT_SECTION":
            section = names[place] if isinstance(place, int) else place
            value, size, visibility = symbol["st_value"], symbol["st_size"], symbol["st_other"]["visibility"]
            found.append(Symbol(symbol.name, value, size, info["type"], info["bind"], visibility, section))
    return found


def numbered(words: Sequence[str]) -> str:
    """Flags as the name of a test."""
    return "".join(words) or "none"
