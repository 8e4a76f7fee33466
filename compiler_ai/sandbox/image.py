"""Builds what the sandbox maps from a capture: its pages, the modules' own files, and room for the stack to grow."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from compiler_ai.sandbox.errors import SandboxError
from compiler_ai.sandbox.loader import SPAN_BYTES
from compiler_ai.sandbox.pages import PAGE_BYTES, PageSet, Prot, Region, coalesce, page_ceil, page_floor, without
from compiler_ai.sandbox.state import Registers
from compiler_ai.sandbox.symbols import ModuleResolver

STACK_SLACK_BYTES = 256 * 1024  # below the captured stack pointer; what a deeper body touches reads as zeros
_GUARD_BYTES = 1 << 20  # around a load, so that a wild access does not reach another mapping
_REACH_BYTES = 0x7000_0000  # of a 32-bit displacement, less what a module itself may take
_LOW_REACH_BYTES = 0x7000_0000  # absolute 32-bit relocations of a non-PIE need addresses below 2 GiB
_USER_END = 0x7FFF_FFFF_F000  # of the user address space with four-level page tables
_RUNNER = (0x7000_0000, 0x8000_0000)  # what the runner keeps for itself (runtime/sets.h)


class MappingLike(Protocol):
    """A mapping of the captured process (capture.format.Mapping)."""

    @property
    def start(self) -> int: ...
    @property
    def end(self) -> int: ...
    @property
    def prot(self) -> int: ...
    @property
    def file(self) -> str: ...
    @property
    def offset(self) -> int: ...


class PageLike(Protocol):
    """A captured page (capture.format.Page)."""

    @property
    def prot(self) -> int: ...
    @property
    def data(self) -> bytes: ...


class ModuleLike(Protocol):
    """The captured module (capture.format.Module)."""

    @property
    def path(self) -> str: ...
    @property
    def load_bias(self) -> int: ...


class RegistersLike(Protocol):
    """Captured registers (capture.format.Registers)."""

    @property
    def general(self) -> Mapping[str, int]: ...
    @property
    def rip(self) -> int: ...
    @property
    def rflags(self) -> int: ...
    @property
    def fs_base(self) -> int: ...
    @property
    def gs_base(self) -> int: ...
    @property
    def xstate(self) -> bytes: ...


class CaptureLike(Protocol):
    """What an image needs of a capture.format.Capture."""

    @property
    def address(self) -> int: ...
    @property
    def module(self) -> ModuleLike: ...
    @property
    def registers(self) -> RegistersLike: ...
    @property
    def pages(self) -> Mapping[int, PageLike]: ...
    @property
    def mappings(self) -> Sequence[MappingLike]: ...
    @property
    def symbols(self) -> Mapping[str, int]: ...
    @property
    def return_address(self) -> int: ...


@dataclass(frozen=True, eq=False)
class CaptureImage:
    """A capture ready to be run.

    ``pages`` is the page set; ``registers`` the entry state; ``return_address`` where a run ends; ``bases`` two page
    addresses at which objects can be loaded (`loader.SPAN_BYTES` each, near the module); ``resolver`` knows the module;
    ``library`` holds the [start, end) of the C library's mappings.
    """

    pages: PageSet
    registers: Registers
    return_address: int
    bases: tuple[int, int]
    resolver: ModuleResolver
    library: tuple[tuple[int, int], ...] = ()


def build_image(capture: CaptureLike, stack_slack_bytes: int = STACK_SLACK_BYTES) -> CaptureImage:
    """Builds the image of ``capture``.

    Captured pages come as they were; the constant segments of ELF modules come from their files, so that code and
    constants that the call did not touch are there. Raises SandboxError when a mapped file is missing or the address
    space near the module is full; LoadError when the module cannot be read.
    """
    stack_pointer = capture.registers.general["rsp"]
    pages = {address: (Prot(page.prot), page.data) for address, page in capture.pages.items()}
    for address in _stack_slack(capture, stack_pointer, stack_slack_bytes):
        pages.setdefault(address, (Prot.READ | Prot.WRITE, bytes(PAGE_BYTES)))
    held = coalesce((address, prot, data) for address, (prot, data) in pages.items())
    files = [part for mapping in _constant_mappings(capture) for part in without(_file_region(mapping), pages)]
    registers = capture.registers
    path = Path(capture.module.path)
    if not path.is_file():
        raise SandboxError(f"the captured module {path.name} is no longer there")
    return CaptureImage(
        pages=PageSet(tuple(sorted([*held, *files], key=lambda region: region.address))),
        registers=Registers(
            registers.general, registers.rip, registers.rflags, registers.fs_base, registers.gs_base, registers.xstate
        ),
        return_address=capture.return_address,
        bases=load_bases(capture),
        resolver=ModuleResolver(
            path, capture.module.load_bias, capture.symbols, capture.address, _is_executable(capture)
        ),
        library=tuple((m.start, m.end) for m in capture.mappings if re.search(r"/(libc[.-]|ld-musl)", m.file)),
    )


def _is_executable(capture: CaptureLike) -> bool:
    """Whether the module is the program itself and not a shared library: only then are its TLS offsets known."""
    files = [mapping.file for mapping in capture.mappings if mapping.file.startswith("/")]
    lowest = min((m.start for m in capture.mappings if m.file.startswith("/")), default=0)
    first = next((m.file for m in capture.mappings if m.start == lowest), "")
    return capture.module.path in files and first == capture.module.path


def _stack_slack(capture: CaptureLike, stack_pointer: int, slack_bytes: int) -> range:
    """Pages below the stack pointer, down to the slack but not into a mapping that is not the stack's."""
    top = page_floor(stack_pointer)
    floor = top - slack_bytes
    for mapping in capture.mappings:
        if mapping.end <= stack_pointer and mapping.end > floor:
            floor = mapping.end
        if mapping.start <= stack_pointer < mapping.end and mapping.file != "[stack]":
            floor = max(floor, mapping.start)  # a thread's or coroutine's stack does not grow
    return range(floor, top + PAGE_BYTES, PAGE_BYTES)


def _constant_mappings(capture: CaptureLike) -> list[MappingLike]:
    """Mappings of ELF modules whose memory is what the file says: those of segments that were never writable.

    A segment that the dynamic linker relocated and then made read-only (RELRO) differs from the file.
    """
    by_file: dict[str, list[MappingLike]] = {}
    for mapping in capture.mappings:
        if mapping.file.startswith("/"):
            by_file.setdefault(mapping.file, []).append(mapping)
    found: list[MappingLike] = []
    for file, mappings in by_file.items():
        base = min(mapping.start for mapping in mappings)
        constant = _constant_segments(Path(file))
        found += [
            mapping
            for mapping in mappings
            if mapping.prot and not mapping.prot & Prot.WRITE
            and any(start <= mapping.start - base and mapping.end - base <= end for start, end in constant)
        ]  # fmt: skip
    return found


def _constant_segments(path: Path) -> list[tuple[int, int]]:
    """[start, end) of the segments without write permission, from the module's first page; [] when it is no ELF module."""
    from elftools.common.exceptions import ELFError
    from elftools.elf.elffile import ELFFile

    try:
        with path.open("rb") as file:
            segments = [s.header for s in ELFFile(file).iter_segments() if s["p_type"] == "PT_LOAD"]
    except FileNotFoundError as error:
        raise SandboxError(f"the mapped file {path.name} is no longer there") from error
    except (OSError, ELFError):
        return []
    first = page_floor(min((s["p_vaddr"] for s in segments), default=0))
    return [
        (page_floor(s["p_vaddr"]) - first, page_ceil(s["p_vaddr"] + s["p_filesz"]) - first)
        for s in segments
        if not s["p_flags"] & 2
    ]


def _file_region(mapping: MappingLike) -> Region:
    size_bytes = mapping.end - mapping.start
    return Region(mapping.start, Prot(mapping.prot), path=mapping.file, offset=mapping.offset, file_bytes=size_bytes)


def load_bases(capture: CaptureLike) -> tuple[int, int]:
    """Two free ranges of `SPAN_BYTES` within reach of 32-bit displacements from the module.

    A non-PIE module gets addresses that also fit absolute 32-bit relocations.
    """
    own = [m for m in capture.mappings if m.file == capture.module.path]
    if not own:
        raise SandboxError("the capture has no mapping of its own module")
    low, high = min(m.start for m in own), max(m.end for m in own)
    taken = sorted(
        [*((m.start, m.end) for m in capture.mappings), _RUNNER, *((a, a + PAGE_BYTES) for a in capture.pages)]
    )
    ceiling = _LOW_REACH_BYTES if high < _LOW_REACH_BYTES else min(low + _REACH_BYTES, _USER_END)
    found: list[int] = []
    step = SPAN_BYTES + 2 * _GUARD_BYTES
    for base in range(max(0x100_0000, (high - _REACH_BYTES) & -_GUARD_BYTES), ceiling - step, step):
        if all(base + step <= start or end <= base for start, end in taken):
            found.append(base + _GUARD_BYTES)
    if len(found) < 2:
        raise SandboxError("no room for code near the captured module")
    # The ranges closest to the module, below it where the heap does not grow.
    found.sort(key=lambda base: abs(base - low) + (SPAN_BYTES if base > low else 0))
    return found[0], found[1]
