"""A capture: the machine state at the entry of one real call, all memory the call touches, and the state at its end.

A file is the magic line, then a zlib stream of: uint32 header length (little-endian), a JSON header, and the binary
parts in the header's order: pages before (4096 bytes each), changed pages after, entry XSAVE area, exit XSAVE area.
"""

from __future__ import annotations

import json
import os
import struct
import zlib
from collections.abc import Mapping as MappingABC
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from compiler_ai.capture.errors import CaptureError

MAGIC = b"AICCCAP1\n"
PAGE_BYTES = 4096
GENERAL = ("rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15")
_MAX_RAW_BYTES = 1 << 30
_LARGE_BYTES = 1 << 20
_LENGTH = struct.Struct("<I")
_MAX_ADDRESS = 1 << 64


@dataclass(frozen=True)
class Registers:
    """Processor state, named as in `sandbox.state.Registers`.

    ``general`` maps the general registers by name; ``xstate`` is the XSAVE area in the standard format (Intel SDM volume
    1, 13.4) as PTRACE_GETREGSET NT_X86_XSTATE gives it.
    """

    general: MappingABC[str, int] = field(default_factory=dict)
    rip: int = 0
    rflags: int = 0x202
    fs_base: int = 0
    gs_base: int = 0
    xstate: bytes = b""

    def __getitem__(self, name: str) -> int:
        return self.general[name]


@dataclass(frozen=True)
class Page:
    """One page as the call found it: ``prot`` has mmap(2)'s bits (1 read, 2 write, 4 execute), ``data`` is 4096 bytes."""

    prot: int
    data: bytes


@dataclass(frozen=True)
class Mapping:
    """One mapping of the process at the call: [start, end), mmap(2)'s protection bits, and what /proc/pid/maps names."""

    start: int
    end: int
    prot: int
    file: str = ""
    offset: int = 0


@dataclass(frozen=True)
class Module:
    """The executable or shared library that holds the function.

    ``load_bias`` is added to link-time addresses; ``build_id`` is hexadecimal, "" when the linker wrote none.
    """

    path: str
    build_id: str
    load_bias: int


@dataclass(frozen=True)
class Capture:
    """One real call of ``function``.

    ``address`` is the function's link-time address (st_value) in ``module``. ``pages`` are all pages the call touched, as
    they were before it; ``changed`` holds the whole pages whose bytes differ after it. ``symbols`` are external symbols
    and the absolute addresses that the dynamic linker bound them to. The word at the entry's stack pointer is
    ``return_address``, an unmapped address at which the run ends. ``impure`` is "" for a call that can be replayed, else
    the reason why it cannot; then pages reach only up to that point and ``exit_registers`` is None. ``cpu_ns`` is an
    upper bound of the call's CPU time in ns (page faults of the capture included); ``ordinal`` numbers the captures of the
    function in the order in which they were taken.
    """

    function: str
    address: int
    module: Module
    registers: Registers
    exit_registers: Registers | None
    pages: MappingABC[int, Page]
    changed: MappingABC[int, bytes]
    mappings: tuple[Mapping, ...]
    symbols: MappingABC[str, int]
    return_address: int
    impure: str = ""
    cpu_ns: int = 0
    ordinal: int = 0

    @property
    def entry_address(self) -> int:
        """The absolute address of the function's first instruction."""
        return self.module.load_bias + self.address


def to_bytes(capture: Capture, level: int = 6) -> bytes:
    """The file's contents for ``capture``; ``level`` is zlib's."""
    exit_registers = capture.exit_registers
    header = {
        "function": capture.function,
        "address": capture.address,
        "module": {
            "path": capture.module.path,
            "build_id": capture.module.build_id,
            "load_bias": capture.module.load_bias,
        },
        "registers": _registers_out(capture.registers),
        "exit_registers": _registers_out(exit_registers) if exit_registers is not None else None,
        "pages": [[address, page.prot] for address, page in sorted(capture.pages.items())],
        "changed": sorted(capture.changed),
        "mappings": [[m.start, m.end, m.prot, m.file, m.offset] for m in capture.mappings],
        "symbols": dict(sorted(capture.symbols.items())),
        "return_address": capture.return_address,
        "impure": capture.impure,
        "cpu_ns": capture.cpu_ns,
        "ordinal": capture.ordinal,
    }
    text = json.dumps(header, separators=(",", ":")).encode()
    parts = [_LENGTH.pack(len(text)), text]
    parts += [page.data for _, page in sorted(capture.pages.items())]
    parts += [data for _, data in sorted(capture.changed.items())]
    parts.append(capture.registers.xstate)
    parts.append(exit_registers.xstate if exit_registers is not None else b"")
    return MAGIC + zlib.compress(b"".join(parts), level)


def save(capture: Capture, path: Path) -> int:
    """Writes the capture under a temporary name and renames it; returns its size in bytes. Raises CaptureError."""
    large = PAGE_BYTES * (len(capture.pages) + len(capture.changed)) > _LARGE_BYTES
    data = to_bytes(capture, 1 if large else 6)  # the traced thread waits meanwhile
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(data)
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise CaptureError(f"{path}: cannot write the capture: {error.strerror}") from error
    return len(data)


def load(path: Path) -> Capture:
    """Reads a capture file. Raises CaptureError when it is missing, truncated or damaged."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CaptureError(f"{path}: cannot read the capture: {error.strerror}") from error
    return from_bytes(data, str(path))


def from_bytes(data: bytes, origin: str = "capture") -> Capture:
    """The capture in ``data``; ``origin`` names it in errors. Raises CaptureError, saying what is wrong and where."""
    if not data.startswith(MAGIC):
        raise CaptureError(f"{origin}: not a capture file (it does not begin with {MAGIC[:-1].decode()})")
    stream = zlib.decompressobj()
    try:
        raw = stream.decompress(data[len(MAGIC) :], _MAX_RAW_BYTES)
    except zlib.error as error:
        raise CaptureError(f"{origin}: damaged capture: {error}") from error
    if not stream.eof:
        what = f"more than {_MAX_RAW_BYTES} bytes" if len(raw) >= _MAX_RAW_BYTES else "truncated"
        raise CaptureError(f"{origin}: damaged capture: the compressed stream is {what} (after {len(raw)} bytes)")
    if stream.unused_data:
        raise CaptureError(f"{origin}: damaged capture: {len(stream.unused_data)} bytes after its end")
    if len(raw) < _LENGTH.size:
        raise CaptureError(f"{origin}: damaged capture: no header")
    (size,) = _LENGTH.unpack_from(raw)
    body = _LENGTH.size + size
    if body > len(raw):
        raise CaptureError(f"{origin}: damaged capture: a header of {size} bytes in {len(raw)} bytes of contents")
    try:
        header = json.loads(raw[_LENGTH.size : body])
    except (ValueError, RecursionError) as error:
        raise CaptureError(f"{origin}: damaged capture: the header is no JSON: {error}") from error
    return _Reader(origin).capture(header, raw, body)


def _registers_out(registers: Registers) -> dict[str, Any]:
    return {
        "general": {name: registers.general[name] for name in GENERAL},
        "rip": registers.rip,
        "rflags": registers.rflags,
        "fs_base": registers.fs_base,
        "gs_base": registers.gs_base,
        "xstate_bytes": len(registers.xstate),
    }


@dataclass(frozen=True)
class _Reader:
    """Checks every field of a header; errors name the field."""

    origin: str

    def capture(self, header: object, raw: bytes, at: int) -> Capture:
        top = self.table(header, "header")
        page_list = [self.items(entry, "pages", 2) for entry in self.items(top.get("pages"), "pages")]
        changed_list = [self.page_address(entry, "changed") for entry in self.items(top.get("changed"), "changed")]
        has_exit = top.get("exit_registers") is not None
        entry_registers = self.table(top.get("registers"), "registers")
        exit_table = self.table(top.get("exit_registers"), "exit_registers") if has_exit else {}
        entry_bytes = self.number(entry_registers.get("xstate_bytes"), "registers.xstate_bytes")
        exit_bytes = self.number(exit_table.get("xstate_bytes", 0), "exit_registers.xstate_bytes")
        expected = PAGE_BYTES * (len(page_list) + len(changed_list)) + entry_bytes + exit_bytes
        if len(raw) - at != expected:
            raise self.error("header", f"it announces {expected} bytes of contents, there are {len(raw) - at}")
        pages: dict[int, Page] = {}
        for address, prot in page_list:
            data = raw[at : at + PAGE_BYTES]
            pages[self.page_address(address, "pages")] = Page(self.prot(prot, "pages"), data)
            at += PAGE_BYTES
        changed: dict[int, bytes] = {}
        for address in changed_list:
            changed[address] = raw[at : at + PAGE_BYTES]
            at += PAGE_BYTES
        if len(pages) != len(page_list) or len(changed) != len(changed_list):
            raise self.error("pages", "an address occurs twice")
        if not changed.keys() <= pages.keys():
            raise self.error("changed", "a changed page is not among the touched ones")
        module = self.table(top.get("module"), "module")
        impure = self.text(top.get("impure"), "impure")
        if not impure and not has_exit:
            raise self.error("exit_registers", "missing in a capture that is not impure")
        entry_xstate = raw[at : at + entry_bytes]
        exit_xstate = raw[at + entry_bytes :]
        symbols = self.table(top.get("symbols"), "symbols")
        return Capture(
            function=self.text(top.get("function"), "function"),
            address=self.number(top.get("address"), "address"),
            module=Module(
                self.text(module.get("path"), "module.path"),
                self.text(module.get("build_id"), "module.build_id"),
                self.number(module.get("load_bias"), "module.load_bias"),
            ),
            registers=self.registers(entry_registers, "registers", entry_xstate),
            exit_registers=self.registers(exit_table, "exit_registers", exit_xstate) if has_exit else None,
            pages=pages,
            changed=changed,
            mappings=tuple(self.mapping(entry) for entry in self.items(top.get("mappings"), "mappings")),
            symbols={name: self.number(value, f"symbols.{name}") for name, value in symbols.items()},
            return_address=self.number(top.get("return_address"), "return_address"),
            impure=impure,
            cpu_ns=self.number(top.get("cpu_ns"), "cpu_ns"),
            ordinal=self.number(top.get("ordinal"), "ordinal"),
        )

    def registers(self, table: dict[str, Any], where: str, xstate: bytes) -> Registers:
        general = self.table(table.get("general"), f"{where}.general")
        return Registers(
            general={name: self.number(general.get(name), f"{where}.general.{name}") for name in GENERAL},
            rip=self.number(table.get("rip"), f"{where}.rip"),
            rflags=self.number(table.get("rflags"), f"{where}.rflags"),
            fs_base=self.number(table.get("fs_base"), f"{where}.fs_base"),
            gs_base=self.number(table.get("gs_base"), f"{where}.gs_base"),
            xstate=xstate,
        )

    def mapping(self, entry: object) -> Mapping:
        start, end, prot, file, offset = self.items(entry, "mappings", 5)
        found = Mapping(
            self.page_address(start, "mappings"),
            self.page_address(end, "mappings"),
            self.prot(prot, "mappings"),
            self.text(file, "mappings"),
            self.number(offset, "mappings"),
        )
        if found.start >= found.end:
            raise self.error("mappings", f"{found.start:#x} to {found.end:#x} is empty")
        return found

    def table(self, value: object, where: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise self.error(where, "no table")
        return value

    def items(self, value: object, where: str, count: int | None = None) -> list[Any]:
        if not isinstance(value, list) or (count is not None and len(value) != count):
            raise self.error(where, "no list" if count is None else f"no list of {count}")
        return value

    def number(self, value: object, where: str) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < _MAX_ADDRESS:
            raise self.error(where, f"no unsigned 64-bit number: {value!r:.40}")
        return value

    def page_address(self, value: object, where: str) -> int:
        address = self.number(value, where)
        if address % PAGE_BYTES:
            raise self.error(where, f"{address:#x} is no page address")
        return address

    def prot(self, value: object, where: str) -> int:
        bits = self.number(value, where)
        if bits > 7:
            raise self.error(where, f"no protection: {bits}")
        return bits

    def text(self, value: object, where: str) -> str:
        if not isinstance(value, str):
            raise self.error(where, f"no text: {value!r:.40}")
        return value

    def error(self, where: str, what: str) -> CaptureError:
        return CaptureError(f"{self.origin}: damaged capture: {where}: {what}")
