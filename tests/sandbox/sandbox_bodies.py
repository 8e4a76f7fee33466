"""Compiles small bodies and puts them on a synthetic image: one stack, one data area, one loaded object."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from compiler_ai.sandbox.loader import LoadedObject, load
from compiler_ai.sandbox.pages import PageSet, Prot, Region, whole_pages
from compiler_ai.sandbox.process import Outcome, Sandbox
from compiler_ai.sandbox.state import Registers
from compiler_ai.sandbox.symbols import NoResolver

GOLDEN = Path(__file__).parent
RETURN_ADDRESS = 0x5FFF_0000
STACK, STACK_BYTES = 0x2000_0000, 0x4_0000
STACK_POINTER = STACK + STACK_BYTES - 8
DATA = 0x3000_0000
BASE = 0x1000_0000


def compile_object(source: str, directory: Path, *flags: str, language: str = "c") -> bytes:
    """The object that gcc makes of `source`."""
    unit, output = directory / f"unit.{'s' if language == 'asm' else 'c'}", directory / "unit.o"
    unit.write_text(source)
    subprocess.run(["gcc", *(flags or ("-O3",)), "-c", str(unit), "-o", str(output)], check=True)
    return output.read_bytes()


def stack() -> PageSet:
    """A stack whose top word is the return address."""
    content = bytes(STACK_BYTES - 8) + RETURN_ADDRESS.to_bytes(8, "little")
    return PageSet((Region(STACK, Prot.READ | Prot.WRITE, content),))


def data(content: bytes, address: int = DATA) -> PageSet:
    start, padded = whole_pages(address, content)
    return PageSet((Region(start, Prot.READ | Prot.WRITE, padded),))


@dataclass(frozen=True)
class Body:
    """A loaded function and the sets it runs on."""

    loaded: LoadedObject
    image: tuple[PageSet, ...]

    def registers(self, xstate: bytes = b"", **general: int) -> Registers:
        return Registers({"rsp": STACK_POINTER, **general}, rip=self.loaded.entry, xstate=xstate)

    def run(self, sandbox: Sandbox, registers: Registers, breakpoints: Sequence[int] = ()) -> Outcome:
        return sandbox.run(self.image, registers, RETURN_ADDRESS, breakpoints=breakpoints, cpu_limit_ns=100_000_000)


def body(
    object_bytes: bytes, function: str, *sets: PageSet, symbols: Mapping[str, int] | None = None, base: int = BASE
) -> Body:
    loaded = load(object_bytes, function, base, NoResolver(symbols or {}))
    return Body(loaded, (stack(), loaded.pages, *sets))


def assembly_body(text: str, directory: Path) -> Body:
    """A function `f` with the given instructions."""
    source = f".text\n.globl f\n.type f,@function\nf:\n{text}\n.size f,.-f\n"
    return body(compile_object(source, directory, language="asm"), "f")
