"""Real candidates for the tests: the same function out of another compilation, taken over as the search proposer does."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from compiler_ai.toolchains.x86_64 import X86_64
from elftools.elf.elffile import ELFFile

from compiler_ai.artifacts import Candidate
from compiler_ai.asm.listing import Listing, parse
from compiler_ai.proposers.transplant import Source, transplant

UNIT = Path(__file__).with_name("functions.c")
FUNCTIONS = ("many", "sum", "vectors", "by_value", "local", "table", "recursive", "checked")


def listing(*flags: str, source: Path = UNIT) -> Listing:
    words = ["gcc", "-w", *flags, "-S", "-o", "-", str(source)]
    return parse(subprocess.run(words, capture_output=True, text=True, check=True).stdout)


def candidates(target: Listing, *flags: str, features: tuple[str, ...], source: Path = UNIT) -> dict[str, Candidate]:
    """A body for every function of `target` that the compilation with `flags` has differently."""
    other = Source(listing(*flags, source=source), False, "test", " ".join(flags), features)
    found = {}
    for number, function in enumerate(target.functions):
        if function.name != "main":
            made = transplant(other, target, function.name, f"t{number}", X86_64)
            if isinstance(made, Candidate):
                found[function.name] = made
    return found


def assemble(text: str, output: Path, *arguments: str) -> Path:
    subprocess.run(["as", "--64", *arguments, "-o", str(output)], input=text.encode(), check=True)
    return output


def link(output: Path, *words: str | Path) -> Path:
    subprocess.run(["gcc", "-o", str(output), *map(str, words)], check=True)
    return output


def run(*words: str | Path) -> tuple[int, bytes]:
    done = subprocess.run([str(word) for word in words], capture_output=True, timeout=60, check=False)
    return done.returncode, done.stdout + done.stderr


def symbols(path: Path) -> dict[str, tuple[str, int, int]]:
    """Name -> (binding, address, file offset) of every defined symbol of an ELF file."""
    with path.open("rb") as file:
        elf = ELFFile(file)
        found = {}
        for symbol in elf.get_section_by_name(".symtab").iter_symbols():
            index = symbol["st_shndx"]
            if isinstance(index, int) and symbol.name:
                section = elf.get_section(index)
                address = symbol["st_value"]
                offset = section["sh_offset"] + address - section["sh_addr"]
                found[symbol.name] = (symbol["st_info"]["bind"], address, offset)
        return found


def set_state(path: Path, value: int) -> int:
    """Write every dispatch byte of a linked program as if the check had come out that way; how many there are."""
    content = bytearray(path.read_bytes())
    states = [offset for name, (_, _, offset) in symbols(path).items() if name.endswith(".aicc_cpu")]
    for offset in states:
        assert content[offset] == 0
        content[offset] = value
    path.write_bytes(content)
    return len(states)


def instructions(path: Path, function: str) -> list[str]:
    """objdump's instructions of one function."""
    words = ["objdump", "-d", "--no-show-raw-insn", f"--disassemble={function}", str(path)]
    out = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    return re.findall(r"^\s+[0-9a-f]+:\t(.*)$", out, re.MULTILINE)
