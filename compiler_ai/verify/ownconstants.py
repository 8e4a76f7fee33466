"""Constants of a candidate's that GCC's unit does not have: each byte of them must have been read in some test, as each of its blocks
must have been run. A table that is wrong in one entry is right for all calls that do not come to it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from compiler_ai.sandbox.errors import SandboxError
from compiler_ai.sandbox.loader import LoadedObject
from compiler_ai.sandbox.object import RelocatableObject, Section
from compiler_ai.verify.answered import own_constants
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
        spans = [(start - mine.loaded.base, end - mine.loaded.base) for start, end in spans_of_its_own(theirs, mine)]
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

    def constants(self) -> Iterator[tuple[int, Section, bytes]]:
        """Each section of constants that is loaded, where, and what it holds with its relocations applied."""
        read = own_constants(self.loaded)
        counts: dict[str, int] = {}
        for section in self.unit.sections.values():
            counts[section.name] = counts.get(section.name, -1) + 1
            address = self.loaded.sections.get((section.name, counts[section.name]))
            if address is not None and not section.is_text:
                yield address, section, read(address, section.size_bytes)


def spans_of_its_own(theirs: _Placed, mine: _Placed) -> Iterator[tuple[int, int]]:
    """Half-open address ranges in `mine`: constants, and pointers to data, that are nowhere in `theirs`; without what fills up to the next."""
    known = {address: data for address, _, data in theirs.constants()}
    whole = {datum for *_, datum in _data(theirs)}
    for section, base, address, datum in _data(mine):
        long = datum if len(datum) >= _TELLING_BYTES else None
        if datum in whole or (long is not None and any(long in other for other in known.values())):
            continue
        to_code = {base + at for at in _to_code(mine.unit, section)}
        yield from ((at, at + 1) for at in range(address, address + len(datum)) if at not in to_code)


def _data(placed: _Placed) -> Iterator[tuple[Section, int, int, bytes]]:
    """Each constant, from one place that is referred to up to the next, without the zeros behind it: its section, where that is, its address and bytes."""
    for address, section, data in placed.constants():
        starts = sorted({0, len(data), *(at for at in _referenced(placed.unit, section.index) if 0 < at < len(data))})
        for start, end in pairwise(starts):
            datum = data[start:end]
            used = max(len(datum.rstrip(b"\0")), len(datum) - _PADDING_BYTES)
            if used > 0:
                yield section, address, address + start, datum[:used]


def _referenced(unit: RelocatableObject, index: int) -> Iterator[int]:
    """Offsets in a section that code or data take the address of."""
    for section in unit.sections.values():
        for relocation in section.relocations:
            if relocation.symbol.section == index:
                bias = _DISTANCE_BYTES if section.is_text and relocation.kind == "R_X86_64_PC32" else 0
                yield relocation.symbol.value + relocation.addend + bias


def _to_code(unit: RelocatableObject, section: Section) -> set[int]:
    """The places of addresses of code: whether tables of those are right is seen where jumps lead."""
    found: set[int] = set()
    for relocation in section.relocations:
        target = unit.sections.get(relocation.symbol.section)
        if target is not None and target.is_text:
            size = _POINTER_BYTES if relocation.kind == "R_X86_64_64" else _DISTANCE_BYTES
            found.update(range(relocation.offset, relocation.offset + size))
    return found
