"""Constants of a candidate's that GCC's unit does not have: each byte of them must have been read in some test, as each of its blocks
must have been run. A table that is wrong in one entry is right for all calls that do not come to it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from itertools import pairwise

from compiler_ai.sandbox.errors import SandboxError
from compiler_ai.sandbox.loader import LoadedObject
from compiler_ai.sandbox.object import RelocatableObject, Relocation, Section
from compiler_ai.verify.footprint import Bits, bits_of
from compiler_ai.verify.judging import Judging
from compiler_ai.verify.testcase import Test, log_body

_TELLING_BYTES = 8  # shorter constants are found in others by chance
_PADDING_BYTES = 31  # of zeros, behind a constant
_MOST_RUNS, _MOST_ENTRIES = 400, 2_000_000  # that are logged for this alone
_POINTER_BYTES, _DISTANCE_BYTES = 8, 4


class OwnConstants(Judging):
    """Keeps what runs read of the candidate's own constants; page offsets and bits are relative to the candidate's base."""

    def _note_reads(self, test: Test, reads: Bits) -> None:
        base = self._body.at(self._machine.context(test.state)).base
        for page in self._own_constants:
            self._unread[page] = self._unread.get(page, 0) & ~reads.get(base + page, 0)

    def _begin_constants(self) -> None:
        context = self._machine.contexts[0]
        theirs = _Placed(self._prepared.body.unit, context.baseline)
        mine = _Placed(self._body.unit, self._body.at(context))
        code = self._prepared.own(self._body, context).ranges
        base = mine.loaded.base
        spans = [(start - base, end - base) for start, end in spans_of_its_own(theirs, mine, code)]
        self._own_constants = bits_of(spans)
        self._unread = dict(self._own_constants)

    def _compare_constants(self) -> None:
        """Looks for what no compared run has read in others, by their logs."""
        entries = 0
        for test in self._tests[:_MOST_RUNS]:
            if not any(self._unread.values()) or entries >= _MOST_ENTRIES:
                break
            try:
                found = log_body(
                    self._machine, test.fills[0][0], self._body, self._prepared.callees, _MOST_ENTRIES - entries
                )
            except SandboxError:
                break
            if found.footprint is not None:
                entries += found.footprint.entries
                self._note_reads(test, found.footprint.reads)
        unread = sum(bits.bit_count() for bits in self._unread.values())
        if unread:
            self._lacking.append(f"{unread} bytes of constants that GCC's unit does not have were read by no test")


@dataclass(frozen=True)
class _Placed:
    """A unit and its function's sections as they are loaded."""

    unit: RelocatableObject
    loaded: LoadedObject

    def sections(self) -> Iterator[tuple[int, Section]]:
        """Each section that is loaded, and where."""
        counts: dict[str, int] = {}
        for section in self.unit.sections.values():
            counts[section.name] = counts.get(section.name, -1) + 1
            address = self.loaded.sections.get((section.name, counts[section.name]))
            if address is not None:
                yield address, section

    def constants(self) -> Iterator[tuple[int, Section]]:
        return ((address, section) for address, section in self.sections() if not section.is_text)

    def reached(self, code: Sequence[tuple[int, int]]) -> set[tuple[int, int]]:
        """The beginnings of the constants that these half-open ranges of code lead to, as section index and offset."""
        pending = [
            relocation
            for address, section in self.sections()
            if section.is_text
            for relocation in section.relocations
            if any(low <= address + relocation.offset < high for low, high in code)
        ]
        found: set[tuple[int, int]] = set()
        while pending:
            relocation = pending.pop()
            section = self.unit.sections.get(relocation.symbol.section)
            if section is None or section.is_text:
                continue
            bias = _DISTANCE_BYTES if relocation.kind == "R_X86_64_PC32" else 0
            starts = self.starts[section.index]
            number = bisect_right(starts, relocation.symbol.value + relocation.addend + bias) - 1
            if not 0 <= number < len(starts) - 1 or (section.index, starts[number]) in found:
                continue
            found.add((section.index, starts[number]))
            pending += [one for one in section.relocations if starts[number] <= one.offset < starts[number + 1]]
        return found

    @cached_property
    def starts(self) -> dict[int, list[int]]:
        """By a section's index, where constants in it begin, and its end: offsets that code or data take the address of."""
        found = {index: {0, len(section.data)} for index, section in self.unit.sections.items()}
        for section in self.unit.sections.values():
            for relocation in section.relocations:
                index = relocation.symbol.section
                if index in found and (section.is_text or relocation.kind == "R_X86_64_64"):
                    bias = _DISTANCE_BYTES if relocation.kind == "R_X86_64_PC32" else 0
                    found[index].add(relocation.symbol.value + relocation.addend + bias)
        return {
            index: sorted(at for at in offsets if 0 <= at <= len(self.unit.sections[index].data))
            for index, offsets in found.items()
        }

    def told(self, section: Section) -> bytes:
        """What a section holds, with what pointers to data lead to in their places: where that lies differs from unit to unit."""
        data = bytearray(section.data)
        for relocation in section.relocations:
            target = self.unit.sections.get(relocation.symbol.section)
            if target is not None and target.is_text:
                continue
            at, size = relocation.offset, _size_bytes(relocation)
            offset = relocation.symbol.value + relocation.addend
            if relocation.kind == "R_X86_64_PC32":  # a distance from the table's beginning
                starts = self.starts[section.index]
                offset -= at - starts[bisect_right(starts, at) - 1]
            led_to = f"{relocation.symbol.name}+{relocation.addend}".encode()
            if target is not None and target.is_copied and 0 <= offset < len(target.data):
                ends = self.starts[target.index]
                led_to = target.data[offset : ends[bisect_right(ends, offset)]].rstrip(b"\0")
            data[at : at + size] = blake2b(led_to, digest_size=size).digest()
        return bytes(data)


def spans_of_its_own(theirs: _Placed, mine: _Placed, code: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Half-open address ranges in `mine`: constants, and pointers to data, that its `code` leads to and that are nowhere in `theirs`;
    without what fills up to the next."""
    reached = mine.reached(code)
    known = [theirs.told(section) for _, section in theirs.constants()]
    whole = {datum for *_, datum in _data(theirs)}
    for section, base, start, datum in _data(mine):
        if (section.index, start) not in reached:
            continue
        if datum in whole or (len(datum) >= _TELLING_BYTES and any(datum in other for other in known)):
            continue
        to_code = _to_code(mine.unit, section)
        yield from ((base + at, base + at + 1) for at in range(start, start + len(datum)) if at not in to_code)


def _data(placed: _Placed) -> Iterator[tuple[Section, int, int, bytes]]:
    """Each constant, from one place that is referred to up to the next, without the zeros behind it: its section, where that lies, its
    offset there and its bytes."""
    for address, section in placed.constants():
        data = placed.told(section)
        for start, end in pairwise(placed.starts[section.index]):
            used = max(len(data[start:end].rstrip(b"\0")), end - start - _PADDING_BYTES)
            if used > 0:
                yield section, address, start, data[start : start + used]


def _to_code(unit: RelocatableObject, section: Section) -> set[int]:
    """The places of addresses of code: whether tables of those are right is seen where jumps lead."""
    found: set[int] = set()
    for relocation in section.relocations:
        target = unit.sections.get(relocation.symbol.section)
        if target is not None and target.is_text:
            found.update(range(relocation.offset, relocation.offset + _size_bytes(relocation)))
    return found


def _size_bytes(relocation: Relocation) -> int:
    return _POINTER_BYTES if relocation.kind == "R_X86_64_64" else _DISTANCE_BYTES
