"""What each instruction of a listing reads and writes, from the assembled bytes: no hand-made table of opcodes.

Every statement gets a label, the listing is assembled with local labels kept, and Capstone decodes the bytes at each label.
Registers are tracked in pieces, since writing %cl leaves the rest of %rcx: ("rcx", 0) is bits 0 to 7, 1 is 8 to 15, 2 the
rest; of a vector register 0 is the xmm part, 1 the upper half of ymm, 2 the upper half of zmm.
"""

from __future__ import annotations

import io
import re
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compiler_ai.asm.function import Function
from compiler_ai.asm.listing import Listing
from compiler_ai.elf_tables import entries
from compiler_ai.errors import AiccError
from compiler_ai.toolchains.description import Toolchain

Piece = tuple[str, int]
_START, _END = ".Laicc_start_", ".Laicc_end_of_"
_ASSEMBLE_TIMEOUT_S = 60
_LEGACY = re.compile(r"^(?:r|e)?([abcd])(x|l|h)$|^(?:r|e)?(si|di|bp|sp)(l?)$|^r(\d+)([dwb]?)$")
_VECTOR = re.compile(r"^([xyz])mm(\d+)$")
# SSE instructions that leave the other lanes of their destination (Intel SDM volume 2); reading it is the safe view.
_SCALAR = re.compile(r"^(?:movl|movh|pinsr|insertps|\w+(?:ss|sd)$|blend|pblend)")
_ZERO_IDIOMS = re.compile(r"^(?:xor|sub|v?pxor[dq]?|v?xorp[sd])$")


class DecodeError(AiccError):
    """The listing does not assemble or an instruction cannot be decoded."""


@dataclass(frozen=True)
class Instruction:
    """One decoded instruction; ``line`` indexes `Function.body_lines`. ``kills`` are pieces written in every execution."""

    line: int
    address: int
    size_bytes: int
    mnemonic: str
    reads: frozenset[Piece]
    writes: frozenset[Piece]
    kills: frozenset[Piece]


def widened(pieces: frozenset[Piece]) -> frozenset[str]:
    """The full registers that the pieces belong to."""
    return frozenset(register for register, _ in pieces)


class Unit:
    """An assembled listing whose functions can be decoded. Raises DecodeError when it does not assemble."""

    def __init__(self, listing: Listing, toolchain: Toolchain, assembler: Sequence[str] = ("as",)) -> None:
        from elftools.elf.elffile import ELFFile
        from elftools.elf.sections import SymbolTableSection

        self.listing = listing
        self._toolchain = toolchain
        elf = ELFFile(io.BytesIO(_assemble(_labelled(listing), assembler)))
        self._code: dict[int, bytes] = {
            index: section.data() for index, section in enumerate(elf.iter_sections()) if section["sh_flags"] & 4
        }
        self._starts: dict[int, tuple[int, int]] = {}  # listing line -> section, offset
        self._ends: dict[int, int] = {}
        table = elf.get_section_by_name(".symtab")
        for symbol in entries(elf, table) if isinstance(table, SymbolTableSection) else ():
            if symbol.name.startswith(_START):
                self._starts[int(symbol.name[len(_START) :])] = symbol.section, symbol.value
            elif symbol.name.startswith(_END):
                self._ends[int(symbol.name[len(_END) :])] = symbol.value

    def decode(self, function: Function) -> tuple[Instruction, ...]:
        """The function's instructions in textual order. Raises DecodeError."""
        import capstone

        engine = capstone.Cs(*(getattr(capstone, name) for name in self._toolchain.capstone))
        engine.detail = True
        found: list[Instruction] = []
        for number in range(function.entry + 1, function.size_line):
            if number not in self._starts:
                continue
            section, start = self._starts[number]
            end = self._ends[number]
            code, address = self._code[section][start:end], start
            for raw in engine.disasm(code, start):
                found.append(_instruction(raw, number - function.entry - 1))
                address = raw.address + raw.size
            if address != end:
                raise DecodeError(f"{function.name}: cannot decode {self.listing.lines[number].strip()!r}")
        return tuple(found)


def _labelled(listing: Listing) -> str:
    """The listing with a label before and behind every instruction."""
    from compiler_ai.asm.cfg import statement

    lines: list[str] = []
    inline = False
    for number, line in enumerate(listing.lines):
        stripped = line.lstrip()
        inline = stripped.startswith("#APP") or (inline and not stripped.startswith("#NO_APP"))
        is_code = not inline and listing.sections[number].executable and statement(line) is not None
        if is_code and not line.lstrip().startswith("."):
            lines += [f"{_START}{number}:\n", line if line.endswith("\n") else line + "\n", f"{_END}{number}:\n"]
        else:
            lines.append(line)
    return "".join(lines)


def _assemble(text: str, assembler: Sequence[str]) -> bytes:
    with tempfile.TemporaryDirectory(prefix="aicc-decode-") as directory:
        output = Path(directory) / "unit.o"
        try:
            done = subprocess.run(
                [*assembler, "--keep-locals", "-o", str(output), "-"],
                input=text.encode(errors="surrogateescape"),
                capture_output=True,
                timeout=_ASSEMBLE_TIMEOUT_S,
                check=False,
            )
            if done.returncode == 0:
                return output.read_bytes()
        except (OSError, subprocess.TimeoutExpired) as error:
            raise DecodeError(f"cannot assemble: {error}") from error
    raise DecodeError(f"the listing does not assemble (status {done.returncode})")


def _instruction(raw: Any, line: int) -> Instruction:
    reads_raw, writes_raw = raw.regs_access()
    mnemonic = raw.mnemonic.split()[-1]
    repeated = len(raw.mnemonic.split()) > 1
    reads = frozenset(piece for number in reads_raw for piece in pieces_of(raw.reg_name(number)))
    names = [raw.reg_name(number) for number in writes_raw]
    vex = mnemonic.startswith("v")
    writes = frozenset(piece for name in names for piece in _written(name, vex))
    kills = writes
    operands = [raw.reg_name(operand.reg) for operand in raw.operands if operand.type == 1]
    if _ZERO_IDIOMS.match(mnemonic) and len(operands) == len(raw.operands) and len(set(operands[-2:])) == 1:
        reads -= frozenset(pieces_of(operands[-1]))
    is_scalar = not vex and _SCALAR.match(mnemonic) and any(_VECTOR.match(name) for name in operands[:1])
    from_memory = mnemonic in ("movss", "movsd") and len(operands) == 1
    if (is_scalar and not from_memory) or mnemonic.startswith("cmov") or repeated or "{" in raw.op_str:
        kills = frozenset()
        if not mnemonic.startswith(("rep", "ucomi", "comi")):
            reads |= writes if is_scalar or "{" in raw.op_str else frozenset()
    return Instruction(line, raw.address, raw.size, mnemonic, reads, writes, kills)


def pieces_of(name: str) -> tuple[Piece, ...]:
    """The pieces of a register by any of its names; one piece for whatever has no parts that matter."""
    if match := _VECTOR.match(name):
        return tuple((f"zmm{match[2]}", part) for part in range("xyz".index(match[1]) + 1))
    match = _LEGACY.match(name)
    if match is None:
        return ((name, 0),)
    if match[1]:
        wide, width = (
            f"r{match[1]}x",
            {"l": "b", "h": "h"}.get(match[2], "" if name[0] in "re" and len(name) == 3 else "w"),
        )
    elif match[3]:
        wide, width = f"r{match[3]}", "b" if match[4] else "" if name[0] in "re" and len(name) == 3 else "w"
    else:
        wide, width = f"r{match[5]}", {"b": "b", "w": "w"}.get(match[6], "")
    parts = {"b": (0,), "h": (1,), "w": (0, 1)}.get(width, (0, 1, 2))
    return tuple((wide, part) for part in parts)


def _written(name: str, vex: bool) -> tuple[Piece, ...]:
    """A VEX-encoded write clears the rest of the register (Intel SDM volume 1, 14.1.3)."""
    match = _VECTOR.match(name)
    return tuple((f"zmm{match[2]}", part) for part in range(3)) if match and vex else pieces_of(name)
