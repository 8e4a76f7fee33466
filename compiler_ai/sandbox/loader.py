"""Places a function of a relocatable object, and all it reaches, in a sandbox image.

Text and read-only data are copies of the object's own, so that what runs is byte for byte what the assembler made.
Writable data, thread-local data and externals are those of the captured process, found by a `symbols.Resolver`. So is what is
weak: the linker may have taken another definition.
Relocations follow the System V ABI's AMD64 supplement, table 4.9.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from compiler_ai.sandbox.errors import LoadError
from compiler_ai.sandbox.object import (
    COMMON,
    UNDEFINED,
    ObjectSymbol,
    RelocatableObject,
    Relocation,
    Section,
    read_object,
)
from compiler_ai.sandbox.pages import PAGE_BYTES, PageSet, Prot, Region, coalesce, page_ceil
from compiler_ai.sandbox.symbols import Reference, Resolver, SymbolKind

SPAN_BYTES = 0x0800_0000  # of address space that a load may use from its base
_NEAR_BYTES = 64  # how far outside of a constant a reference may still be meant for it
_TEXT_AT = 0x0400_0000
_SLOT_BYTES = 0x1_0000
_STUB = b"\xff\x25\0\0\0\0"  # jmp *0(%rip), the address follows
_TRAP = b"\x0f\x0b" + bytes(12)  # ud2

SectionKey = tuple[str, int]  # name, and which of the sections of that name


@dataclass(frozen=True)
class LoadedObject:
    """A placed function.

    ``pages`` are what the sandbox maps; ``entry`` and ``size_bytes`` the function's range; ``sections`` maps (name,
    number among equal names) to addresses; ``symbols`` the addresses of the object's own named symbols that were placed;
    ``unresolved`` the addresses of traps that stand for unknown callees (only with ``trap_unresolved``); ``poisoned`` other functions of the unit that could not be
    relocated and trap when called.
    """

    pages: PageSet
    entry: int
    size_bytes: int
    base: int
    sections: Mapping[SectionKey, int]
    section_bytes: Mapping[SectionKey, int]
    symbols: Mapping[str, int]
    unresolved: Mapping[str, int]
    poisoned: frozenset[str]


def load(
    object_bytes: bytes,
    function: str,
    base: int,
    resolver: Resolver,
    *,
    like: LoadedObject | None = None,
    text_offset: int = 0,
    trap_unresolved: bool = False,
) -> LoadedObject:
    """Loads ``function`` into the `SPAN_BYTES` from ``base`` (a page address).

    ``like`` is an earlier load at the same base (the baseline's): read-only data sections of the same name go to the
    same addresses, so that pointers to constants compare equal. ``text_offset`` (bytes) moves all text, to try code
    placements. With ``trap_unresolved``, a call of an unknown external goes to a ud2 instead of failing the load.
    Raises LoadError, naming symbol and relocation type, for whatever cannot be placed faithfully.
    """
    return _Loader(read_object(object_bytes), function, base, resolver, like, text_offset, trap_unresolved).load()


@dataclass
class _Loader:
    unit: RelocatableObject
    function: str
    base: int
    resolver: Resolver
    like: LoadedObject | None
    text_offset: int
    trap_unresolved: bool
    addresses: dict[int, int] = field(default_factory=dict)  # section index -> address
    keys: dict[int, SectionKey] = field(default_factory=dict)
    outside: dict[int, int | None] = field(default_factory=dict)  # writable section index -> its address in the module
    slots: dict[int, int] = field(default_factory=dict)  # value of a GOT slot -> its address
    stubs: dict[int | str, int] = field(default_factory=dict)  # target (or unknown name) -> address of its stub
    unresolved: dict[str, int] = field(default_factory=dict)
    poisoned: set[str] = field(default_factory=set)
    got: int = 0
    stub_area: int = 0

    def load(self) -> LoadedObject:
        symbol = self.unit.function(self.function)
        self._place(self._reachable(symbol))
        images = {index: bytearray(self.unit.sections[index].data) for index in self.addresses}
        for index, image in images.items():
            for relocation in self.unit.sections[index].relocations:
                try:
                    self._apply(self.unit.sections[index], relocation, image)
                except LoadError:
                    self._poison(relocation, index, image)
        named = {
            s.name: self.addresses[s.section] + s.value
            for s in self.unit.symbols
            if s.name and not s.is_section and s.section in self.addresses
        }
        return LoadedObject(
            pages=PageSet(self._regions(images)),
            entry=self.addresses[symbol.section] + symbol.value,
            size_bytes=symbol.size_bytes,
            base=self.base,
            sections={self.keys[index]: address for index, address in self.addresses.items()},
            section_bytes={self.keys[index]: self.unit.sections[index].size_bytes for index in self.addresses},
            symbols=named,
            unresolved=self.unresolved,
            poisoned=frozenset(self.poisoned),
        )

    # -- layout

    def _reachable(self, symbol: ObjectSymbol) -> list[Section]:
        """Every section to copy, in the object's order."""
        pending, found = [symbol.section], set()
        while pending:
            index = pending.pop()
            if index in found:
                continue
            found.add(index)
            for relocation in self.unit.sections[index].relocations:
                target = self.unit.sections.get(relocation.symbol.section)
                if target is not None and target.is_copied and not target.is_tls:
                    pending.append(target.index)
        return [self.unit.sections[index] for index in sorted(found)]

    def _place(self, sections: list[Section]) -> None:
        counts: dict[str, int] = {}
        for section in self.unit.sections.values():
            counts[section.name] = counts.get(section.name, -1) + 1
            self.keys[section.index] = (section.name, counts[section.name])
        self._place_data([section for section in sections if not section.is_text])
        text = self.base + _TEXT_AT
        # One page between text and the GOT: reading past the end of the code must not find our tables.
        for section in sections:
            if section.is_text:
                text = _align(text, max(64, section.align))
                self.addresses[section.index] = text + self.text_offset
                text += section.size_bytes
        self.stub_area = page_ceil(text + self.text_offset) + PAGE_BYTES
        count = sum(len(section.relocations) for section in sections)
        self.got = page_ceil(self.stub_area + 16 * (count + 1)) + PAGE_BYTES
        if self.got + 8 * count + PAGE_BYTES > self.base + SPAN_BYTES:
            raise LoadError("the object's text is too large")

    def _place_data(self, sections: list[Section]) -> None:
        """A slot for each section, with room to grow, so that a later load can keep to it."""
        known = self.like.sections if self.like is not None and self.like.base == self.base else {}
        ends = [self.base] + [
            address + _slot_bytes(self.like.section_bytes[key]) for key, address in known.items() if self.like and key[0]
            and address < self.base + _TEXT_AT
        ]  # fmt: skip
        free = max(ends)
        for section in sections:
            key = self.keys[section.index]
            if key in known and self.like and section.size_bytes <= _slot_bytes(self.like.section_bytes[key]):
                self.addresses[section.index] = known[key]
                continue
            self.addresses[section.index] = free = _align(free, section.align)
            free += _slot_bytes(section.size_bytes)
        if free > self.base + _TEXT_AT:
            raise LoadError("the object's read-only data is too large")

    def _regions(self, images: Mapping[int, bytearray]) -> tuple[Region, ...]:
        pieces = [
            (self.addresses[index], bytes(image), self.unit.sections[index].is_text) for index, image in images.items()
        ]
        stubs = b"".join(
            _TRAP if isinstance(target, str) else _STUB + target.to_bytes(8, "little") for target in self.stubs
        )
        if stubs:
            pieces.append((self.stub_area, stubs, True))
        if self.slots:
            slots = b"".join((value & 0xFFFFFFFFFFFFFFFF).to_bytes(8, "little") for value in self.slots)
            pieces.append((self.got, slots, False))
        pages: dict[int, tuple[bytearray, bool]] = {}
        for address, data, is_text in pieces:
            for page in range(address & -PAGE_BYTES, page_ceil(address + len(data)), PAGE_BYTES):
                content, _ = pages.setdefault(page, (bytearray((b"\xcc" if is_text else b"\0") * PAGE_BYTES), is_text))
                start = max(page, address)
                end = min(page + PAGE_BYTES, address + len(data))
                content[start - page : end - page] = data[start - address : end - address]
        return coalesce(
            (page, Prot.READ | Prot.EXEC if is_text else Prot.READ, bytes(data))
            for page, (data, is_text) in pages.items()
        )

    # -- symbols

    def _reference(self, symbol: ObjectSymbol, kind: SymbolKind) -> Reference:
        return Reference(symbol.name, kind, symbol.is_local, symbol.size_bytes, self.unit.unit)

    def _fail(self, relocation: Relocation, reason: str) -> LoadError:
        return LoadError(f"{relocation.kind} against {relocation.symbol.name or 'no symbol'}: {reason}")

    def _module_section(self, section: Section) -> int | None:
        """Where a data section of the unit lies in the module: every variable in it must say the same."""
        if section.index not in self.outside:
            kind = SymbolKind.TLS if section.is_tls else SymbolKind.DATA
            bases = set()
            for symbol in self.unit.symbols:
                if symbol.section == section.index and symbol.kind is kind and symbol.name:
                    address = self.resolver.resolve(self._reference(symbol, kind))
                    if address is not None:
                        bases.add(address - symbol.value)
            self.outside[section.index] = bases.pop() if len(bases) == 1 else None
        return self.outside[section.index]

    def _outside_data(self, relocation: Relocation, section: Section) -> int:
        """S of a relocation against writable or thread-local data of the unit."""
        symbol = relocation.symbol
        kind = SymbolKind.TLS if section.is_tls else SymbolKind.DATA
        if not symbol.is_section:
            address = self.resolver.resolve(self._reference(symbol, kind))
            if address is None:
                raise self._fail(relocation, "the captured module has no such variable")
            return address
        base = self._module_section(section)
        if base is None:
            raise self._fail(relocation, "the captured module lays these variables out differently or lacks them")
        return base

    def _external(self, relocation: Relocation, kind: SymbolKind) -> int | None:
        return self.resolver.resolve(self._reference(relocation.symbol, kind))

    def _value(self, section: Section, relocation: Relocation, is_call: bool) -> int | None:
        """S of a relocation; None when it is an external that nobody knows."""
        symbol = relocation.symbol
        is_outside = symbol.is_replaceable and symbol.name != self.function
        if symbol.section in (UNDEFINED, COMMON) or is_outside:
            return self._external(relocation, SymbolKind.DATA if symbol.section == COMMON else symbol.kind)
        target = self.unit.sections.get(symbol.section)
        if target is None:
            raise self._fail(relocation, "its section is not part of a program")
        if target.is_tls:
            raise self._fail(relocation, "thread-local data without a thread-local relocation")
        if not target.is_copied:
            return self._outside_data(relocation, target)
        local = self.addresses[target.index] + symbol.value
        if is_call:
            return local
        outside = self._function_address(section, relocation) if target.is_text else self._constant(relocation, target)
        return local if outside is None else outside

    def _function_address(self, section: Section, relocation: Relocation) -> int | None:
        """The module's address of a function whose address is taken, as S; None to use the copy.

        A reference by section symbol may also be a jump table's or a computed goto's: it means a function only where it
        hits one's first byte, and never the function under test, whose first byte may be a branch target.
        """
        symbol = relocation.symbol
        if not symbol.is_section:
            return self._external(relocation, SymbolKind.FUNCTION) if symbol.kind is SymbolKind.FUNCTION else None
        if relocation.kind == "R_X86_64_PC32" and not section.is_text:
            return None
        offset = relocation.addend + (4 if relocation.kind == "R_X86_64_PC32" else 0)
        for other in self.unit.functions_at.get((symbol.section, offset), ()):
            if other.name != self.function:
                address = self.resolver.resolve(self._reference(other, SymbolKind.FUNCTION))
                return None if address is None else address - offset
        return None

    def _constant(self, relocation: Relocation, target: Section) -> int | None:
        """The module's address of a named constant, as S, where the module's bytes are the same; else None.

        Data of the capture may hold pointers to it, and the function may compare or return them.
        """
        symbol, first, last = relocation.symbol, relocation.addend, relocation.addend
        if "PC32" in relocation.kind:
            first, last = first + 4, last + 8  # what follows the field in the instruction is 0 to 4 bytes long
        base = self._module_section(target)
        if base is None:
            return None
        constants = self.unit.variables_in.get(target.index, ())
        for other in constants:
            low, high = other.value - symbol.value, other.value - symbol.value + other.size_bytes
            if symbol is other or (low <= first and last < high):
                return base + symbol.value if self._same_in_module(target, other, base) else None
        at = symbol.value + first
        near = [
            (max(other.value - at, at - other.value - other.size_bytes, 0), other)
            for other in constants
            if other.value - _NEAR_BYTES <= at <= other.value + other.size_bytes + _NEAR_BYTES
        ]
        if near:  # where a loop over a constant ends, or the element before its first
            _, other = min(near, key=lambda pair: (pair[0], pair[1].value))
            following = target.data[at : at + _NEAR_BYTES] if at >= 0 else b""
            untouched = not target.is_relocated(at, at + _NEAR_BYTES)
            alike = not following or self.resolver.contents(base + at, len(following)) == following
            if untouched and alike and self._same_in_module(target, other, base):
                return base + symbol.value
        return None

    def _same_in_module(self, target: Section, constant: ObjectSymbol, base: int) -> bool:
        """Whether the module holds the same bytes, and no addresses, where `constant` lies."""
        end = constant.value + constant.size_bytes
        own = target.data[constant.value : end]
        relocated = target.is_relocated(constant.value, end)
        return not relocated and self.resolver.contents(base + constant.value, len(own)) == own

    # -- relocations

    def _slot(self, value: int) -> int:
        if value not in self.slots:
            self.slots[value] = self.got + 8 * len(self.slots)
        return self.slots[value]

    def _stub(self, target: int | str) -> int:
        if target not in self.stubs:
            self.stubs[target] = self.stub_area + 14 * len(self.stubs)
        return self.stubs[target]

    def _thread_offset(self, relocation: Relocation) -> int:
        symbol = relocation.symbol
        target = self.unit.sections.get(symbol.section)
        if target is not None and target.is_tls:
            return self._outside_data(relocation, target)
        offset = self._external(relocation, SymbolKind.TLS)
        if offset is None:
            raise self._fail(relocation, "unknown thread-local variable")
        return offset

    def _apply(self, section: Section, relocation: Relocation, image: bytearray) -> None:
        kind, addend = relocation.kind, relocation.addend
        place = self.addresses[section.index] + relocation.offset
        if kind == "R_X86_64_NONE":
            return
        if kind in ("R_X86_64_TPOFF32", "R_X86_64_TPOFF64"):
            self._store(
                relocation, image, self._thread_offset(relocation) + addend, 4 if kind.endswith("32") else 8, True
            )
            return
        if kind == "R_X86_64_GOTTPOFF":
            self._store(relocation, image, self._slot(self._thread_offset(relocation)) + addend - place, 4, True)
            return
        if kind in ("R_X86_64_GOTPC32", "R_X86_64_GOTPC64"):
            self._store(relocation, image, self.got + addend - place, 4 if kind.endswith("32") else 8, True)
            return
        if kind in ("R_X86_64_PC32", "R_X86_64_PLT32") and section.is_text and _is_branch(image, relocation):
            self._store(relocation, image, self._call_target(section, relocation, place) + addend - place, 4, True)
            return
        value = self._value(section, relocation, False)
        if value is None and self.trap_unresolved and _is_indirect_call(image, relocation):
            value = self._unknown_callee(relocation)
        if value is None:
            raise self._fail(relocation, "unknown external symbol")
        if kind in ("R_X86_64_GOTPCREL", "R_X86_64_GOTPCRELX", "R_X86_64_REX_GOTPCRELX"):
            self._store(relocation, image, self._slot(value) + addend - place, 4, True)
        elif kind in ("R_X86_64_PC32", "R_X86_64_PLT32"):
            self._store(relocation, image, value + addend - place, 4, True)
        elif kind == "R_X86_64_PC64":
            self._store(relocation, image, value + addend - place, 8, True)
        elif kind == "R_X86_64_64":
            self._store(relocation, image, (value + addend) & 0xFFFFFFFFFFFFFFFF, 8, False)
        elif kind == "R_X86_64_32":
            self._store(relocation, image, value + addend, 4, False)
        elif kind == "R_X86_64_32S":
            self._store(relocation, image, value + addend, 4, True)
        elif kind == "R_X86_64_GOTOFF64":
            self._store(relocation, image, value + addend - self.got, 8, True)
        else:
            raise self._fail(relocation, "unsupported relocation type")

    def _unknown_callee(self, relocation: Relocation) -> int:
        name = relocation.symbol.name
        self.unresolved[name] = self._stub(name)
        return self.unresolved[name]

    def _poison(self, relocation: Relocation, index: int, image: bytearray) -> None:
        """Makes a function other than the one under test trap where it cannot be relocated; else re-raises."""
        for other in self.unit.symbols:
            end = other.value + other.size_bytes
            inside = other.section == index and other.value <= relocation.offset < end
            if inside and other.kind is SymbolKind.FUNCTION and other.name.partition(".cold")[0] != self.function:
                image[other.value : end] = b"\xcc" * other.size_bytes
                self.poisoned.add(other.name)
                return
        raise

    def _call_target(self, section: Section, relocation: Relocation, place: int) -> int:
        value = self._value(section, relocation, True)
        if value is None:
            if not self.trap_unresolved:
                raise self._fail(relocation, "unknown external symbol")
            return self._unknown_callee(relocation)
        if not -0x8000_0000 <= value + relocation.addend - place < 0x8000_0000:
            return self._stub(value)
        return value

    def _store(self, relocation: Relocation, image: bytearray, value: int, size: int, signed: bool) -> None:
        if relocation.offset + size > len(image):
            raise self._fail(relocation, "it lies outside of its section")
        try:
            image[relocation.offset : relocation.offset + size] = value.to_bytes(size, "little", signed=signed)
        except OverflowError:
            raise self._fail(relocation, f"the value {value:#x} does not fit") from None


def _is_branch(image: bytearray, relocation: Relocation) -> bool:
    """Whether the relocated field is that of a direct call, jmp or jcc.

    Their opcodes (e8, e9, 0f 80 to 0f 8f) stand right before the field and are no ModRM byte of a RIP-relative operand.
    """
    at = relocation.offset
    return (
        relocation.kind == "R_X86_64_PLT32"
        or (at >= 1 and image[at - 1] in (0xE8, 0xE9))
        or (at >= 2 and image[at - 2] == 0x0F and 0x80 <= image[at - 1] <= 0x8F)
    )


def _is_indirect_call(image: bytearray, relocation: Relocation) -> bool:
    """Whether the field is the operand of call *sym@GOTPCREL(%rip) or the jmp."""
    at = relocation.offset
    return relocation.kind.endswith(("GOTPCREL", "GOTPCRELX")) and bytes(image[at - 2 : at]) in (
        b"\xff\x15",
        b"\xff\x25",
    )


def _align(value: int, align: int) -> int:
    return (value + align - 1) & -align


def _slot_bytes(size_bytes: int) -> int:
    return _align(max(1, size_bytes), _SLOT_BYTES)
