"""Where the symbols of a relocatable object live in the process that a capture was taken from."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from compiler_ai.sandbox.errors import LoadError


class SymbolKind(enum.Enum):
    """What a symbol names; the ELF symbol type as far as resolving goes."""

    FUNCTION = "function"
    DATA = "data"
    TLS = "tls"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Unit:
    """What identifies the translation unit of an object: its STT_FILE name and its local symbols' names."""

    source: str
    local_names: frozenset[str]


@dataclass(frozen=True)
class Reference:
    """A symbol that an object refers to; ``size_bytes`` is 0 when the object does not define it."""

    name: str
    kind: SymbolKind
    is_local: bool
    size_bytes: int
    unit: Unit


class Resolver(Protocol):
    """Gives symbols their addresses in the process under replay."""

    def resolve(self, reference: Reference) -> int | None:
        """The absolute address (for TLS: the offset from the thread pointer), or None when it is not known."""

    def contents(self, address: int, size_bytes: int) -> bytes | None:
        """What the module's file holds at a read-only address, or None."""


@dataclass(frozen=True)
class NoResolver:
    """For objects that refer to nothing outside of themselves; ``symbols`` adds single names."""

    symbols: Mapping[str, int] = field(default_factory=dict)

    def resolve(self, reference: Reference) -> int | None:
        return self.symbols.get(reference.name)

    def contents(self, address: int, size_bytes: int) -> bytes | None:  # noqa: ARG002
        return None


@dataclass(frozen=True)
class _Symbol:
    value: int
    size_bytes: int
    kind: SymbolKind
    defined: bool


@dataclass(frozen=True)
class _Segment:
    address: int
    data: bytes


_KINDS = {
    "STT_FUNC": SymbolKind.FUNCTION,
    "STT_OBJECT": SymbolKind.DATA,
    "STT_COMMON": SymbolKind.DATA,
    "STT_TLS": SymbolKind.TLS,
    "STT_NOTYPE": SymbolKind.UNKNOWN,
}


class ModuleResolver:
    """Resolves by the symbol table of the captured module and by the external symbols that the capture found bound.

    ``load_bias`` is added to link-time addresses, ``bound`` maps external names to absolute addresses (the capture's
    ``symbols``), ``function_address`` is the hot function's link-time address (0 when unknown): among several units with
    the same static names, the one that holds it wins. TLS offsets are those of a main executable (ELF TLS variant II);
    ``is_executable`` False makes TLS symbols unknown. Raises LoadError when the file is no ELF module.
    """

    def __init__(
        self,
        path: Path,
        load_bias: int,
        bound: Mapping[str, int] | None = None,
        function_address: int = 0,
        is_executable: bool = True,
    ) -> None:
        self.load_bias = load_bias
        self._bound = dict(bound or {})
        self._function_address = function_address
        self._is_executable = is_executable
        self._groups: list[tuple[str, dict[str, _Symbol]]] = []
        self._globals: dict[str, _Symbol] = {}
        self._segments: list[_Segment] = []
        self._tls_end = 0
        self._chosen: dict[Unit, Mapping[str, _Symbol] | None] = {}
        self._read(path)

    def resolve(self, reference: Reference) -> int | None:
        if reference.is_local:
            return self._address(self._local(reference), reference)
        if reference.kind is not SymbolKind.TLS and reference.name in self._bound:
            return self._bound[reference.name]
        return self._address(self._globals.get(reference.name) or self._hidden(reference.name), reference)

    def contents(self, address: int, size_bytes: int) -> bytes | None:
        at = address - self.load_bias
        for segment in self._segments:
            offset = at - segment.address
            if offset >= 0 and offset + size_bytes <= len(segment.data):
                return segment.data[offset : offset + size_bytes]
        return None

    def constant(self, name: str) -> tuple[int, int] | None:
        """Where a global constant of the module lies, half-open; None when it has no such."""
        symbol = self._globals.get(name) or self._hidden(name)
        if symbol is None or symbol.kind is not SymbolKind.DATA:
            return None
        start = symbol.value + self.load_bias
        return None if self.contents(start, symbol.size_bytes) is None else (start, start + symbol.size_bytes)

    def page(self, address: int, size_bytes: int) -> bytes:
        """So many bytes of the module's read-only segments as they lie at an address, zeros between."""
        data = bytearray(size_bytes)
        for segment in self._segments:
            at = address - self.load_bias - segment.address
            part = segment.data[max(0, at) : max(0, at + size_bytes)]
            data[max(0, -at) : max(0, -at) + len(part)] = part
        return bytes(data)

    def _address(self, symbol: _Symbol | None, reference: Reference) -> int | None:
        if symbol is None or not symbol.defined:
            return None
        if reference.size_bytes and symbol.size_bytes and reference.size_bytes != symbol.size_bytes:
            return None if reference.kind is not SymbolKind.FUNCTION else symbol.value + self.load_bias
        if (symbol.kind is SymbolKind.TLS) != (reference.kind is SymbolKind.TLS):
            # An undefined reference has no type in its object; only its relocation can tell.
            return None
        if symbol.kind is SymbolKind.TLS:
            return symbol.value - self._tls_end if self._is_executable else None
        return symbol.value + self.load_bias

    def _hidden(self, name: str) -> _Symbol | None:
        """A hidden function or variable: the linker makes it local to the module, where no second one may have its name."""
        found = [symbols[name] for _, symbols in self._groups if name in symbols and symbols[name].defined]
        return found[0] if len(found) == 1 else None

    def _local(self, reference: Reference) -> _Symbol | None:
        unit = reference.unit
        if unit not in self._chosen:
            self._chosen[unit] = self._choose(unit)
        group = self._chosen[unit]
        if group is not None:
            return group.get(reference.name)
        if any(source == unit.source for source, _ in self._groups):
            return None  # several units of that file name, and nothing tells which
        # The object does not carry its source's name as the module does: only a name that no other unit has is safe.
        holders = [symbols for _, symbols in self._groups if reference.name in symbols]
        return holders[0][reference.name] if len(holders) == 1 else None

    def _choose(self, unit: Unit) -> Mapping[str, _Symbol] | None:
        """The module's symbols of the same unit: by the hot function's address, else by file name and local names."""
        for _, symbols in self._groups:
            if self._function_address and any(
                symbol.kind is SymbolKind.FUNCTION and symbol.value == self._function_address
                for symbol in symbols.values()
            ):
                return symbols
        named = [symbols for source, symbols in self._groups if source == unit.source]
        scores = [(len(unit.local_names & symbols.keys()), symbols) for symbols in named]
        best = max((score for score, _ in scores), default=0)
        winners = [symbols for score, symbols in scores if score == best]
        return winners[0] if best and len(winners) == 1 else None

    def _read(self, path: Path) -> None:
        from elftools.common.exceptions import ELFError
        from elftools.elf.elffile import ELFFile

        try:
            with path.open("rb") as file:
                elf = ELFFile(file)
                for segment in elf.iter_segments():
                    if segment["p_type"] == "PT_LOAD" and not segment["p_flags"] & 2:
                        self._segments.append(_Segment(segment["p_vaddr"], segment.data()))
                    elif segment["p_type"] == "PT_TLS":
                        size, align = segment["p_memsz"], max(1, segment["p_align"])
                        # Variant II: the block ends at the thread pointer, its start aligned as the segment asks.
                        self._tls_end = size + (-(size + segment["p_vaddr"]) % align)
                for name in (".dynsym", ".symtab"):
                    table = elf.get_section_by_name(name)
                    if table is not None:
                        self._read_symbols(table)
        except (OSError, ELFError, ValueError, KeyError) as error:
            raise LoadError(f"cannot read the captured module {path.name}: {error}") from error

    def _read_symbols(self, table: object) -> None:
        group: dict[str, _Symbol] = {}
        for entry in table.iter_symbols():  # type: ignore[attr-defined]
            info = entry["st_info"]
            if info["type"] == "STT_FILE":
                group = {}
                self._groups.append((entry.name, group))
                continue
            kind = _KINDS.get(info["type"])  # sections have no name of use; an IFUNC's value is not the function
            if kind is None or not entry.name:
                continue
            defined = entry["st_shndx"] not in ("SHN_UNDEF", "SHN_ABS")
            symbol = _Symbol(entry["st_value"], entry["st_size"], kind, defined)
            if info["bind"] == "STB_LOCAL":
                group[entry.name] = symbol
            elif defined:
                self._globals[entry.name.partition("@")[0]] = symbol
