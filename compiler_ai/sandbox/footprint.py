"""What a logging run accessed: the plan that tells the runner how to read a body's log, and the footprint it makes of it.

runtime/footprint.c is the other side of this file.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from compiler_ai.sandbox.pages import PAGE_BYTES

READS, WRITES, SETS_STACK, COUNTED = 1, 2, 4, 8  # flags of a place; COUNTED: as often as the last COUNT said
_PLAN = struct.Struct("<16Q")
_PLACE = struct.Struct("<IIQQq")
_PAIR = struct.Struct("<QQ")
_REPLY = struct.Struct("<8Q")
_MAP_BYTES = PAGE_BYTES // 8
FLAGS_IN_BLOCK, FLAGS_BLOCK_BYTES = 128, 65536  # so many conditions' marks share a block; see verify/logcode.py


class PlaceKind(enum.IntEnum):
    """What a log entry's value is."""

    ACCESS = 0  # an address that is read or written
    STACK = 1  # the stack pointer after the instruction
    COUNT = 2  # how often the string instruction repeats
    ARGUMENT = 3  # an argument register of the CALL that follows: rdi, rsi, rdx in turn
    CALL = 4  # where control goes; the place's base when that is known beforehand
    UNKNOWN = 5  # an access whose address or size cannot be told


class Callee(enum.IntEnum):
    """What an external callee accesses by its specification (ISO C11, 7.24 and 7.12)."""

    COPIES = 1  # rdx bytes from rsi to rdi
    FILLS = 2  # rdx bytes at rdi
    COMPARES = 3  # rdx bytes at rdi and rsi
    COMPUTES = 4  # nothing


@dataclass(frozen=True)
class Place:
    """One place in the code that appends to the log. ``base`` is added to the address (a segment's base)."""

    kind: PlaceKind
    flags: int = 0
    size_bytes: int = 0
    base: int = 0
    stack_delta: int = 0


@dataclass(frozen=True)
class LogPlan:
    """Half-open address ranges and addresses in the child: the log and the pointer to its end, a byte a basic block that becomes
    1 when the block is entered, ``hidden`` what is no memory of the body's, ``text`` the original code.

    ``copies`` pairs the original addresses that control may jump to with those of their copies. A body that notes conditions
    instead of accesses has marks for ``flags_count`` of them at ``flags_address`` (`FLAGS_IN_BLOCK`), and where it counts down.
    """

    log_low: int
    log_high: int
    pointer_address: int
    marks_address: int
    mark_count: int
    hidden: tuple[int, int]
    text: tuple[int, int]
    places: tuple[Place, ...]
    copies: tuple[tuple[int, int], ...]
    callees: tuple[tuple[int, Callee], ...]
    flags_address: int = 0
    flags_count: int = 0
    counter_address: int = 0

    def pack(self, max_entries: int) -> bytes:
        """The request's last part; a run that makes more than ``max_entries`` ends as MAX_STEPS."""
        head = _PLAN.pack(
            self.log_low, self.log_high, self.pointer_address, self.marks_address, self.mark_count, *self.hidden,
            *self.text, max_entries, len(self.places), len(self.copies), len(self.callees),
            self.flags_address, self.flags_count, self.counter_address,
        )  # fmt: skip
        return head + self._tables

    @cached_property
    def _tables(self) -> bytes:  # a body's own, the same for all its runs
        parts = [_PLACE.pack(p.kind, p.flags, p.size_bytes, p.base, p.stack_delta) for p in self.places]
        parts += [_PAIR.pack(*pair) for pair in sorted(self.copies)]
        parts += [_PAIR.pack(*pair) for pair in sorted(self.callees)]
        return b"".join(parts)


@dataclass(frozen=True)
class Footprint:
    """The bytes that a run read and wrote: page address -> 4096 bits, the lowest address first.

    ``below_red_zone`` is an address that it stored to there, 0 for none; ``uncertain`` says which access could not be told;
    ``left_for`` is an external callee whose accesses are not in here, 0 for none.
    """

    reads: Mapping[int, int]
    writes: Mapping[int, int]
    lowest_stack: int
    below_red_zone: int = 0
    uncertain: str = ""
    left_for: int = 0
    entries: int = 0
    marked: frozenset[int] = frozenset()  # numbers of the blocks that were entered
    flags: Mapping[int, frozenset[int]] = field(
        default_factory=dict
    )  # number of a condition -> status flags seen there


_STATUS_FLAGS = (0x1, 0x4, 0x40, 0x80, 0x800)  # carry, parity, zero, sign, overflow (Intel SDM volume 1, 3.4.3.1)
_COMBINATIONS = tuple(sum(flag for bit, flag in enumerate(_STATUS_FLAGS) if number >> bit & 1) for number in range(32))


def unpack(data: bytes, plan: LogPlan) -> Footprint:
    """The footprint that follows the outcome in the runner's reply."""
    entries, lowest, below, unknown, left_for, page_count, _, _ = _REPLY.unpack_from(data)
    at = _REPLY.size
    marks = data[at : at + plan.mark_count]
    at += plan.mark_count + -plan.mark_count % 8
    masks = struct.unpack_from(f"<{plan.flags_count}I", data, at)
    at += 4 * len(masks) + 4 * len(masks) % 8
    reads: dict[int, int] = {}
    writes: dict[int, int] = {}
    for _ in range(page_count):
        (page,) = struct.unpack_from("<Q", data, at)
        at += 8
        for bits in (reads, writes):
            value = int.from_bytes(data[at : at + _MAP_BYTES], "little")
            if value:
                bits[page] = value
            at += _MAP_BYTES
    return Footprint(
        reads=reads,
        writes=writes,
        lowest_stack=lowest,
        below_red_zone=below,
        uncertain="an access whose address cannot be told" if unknown else "",
        left_for=left_for,
        entries=entries,
        marked=frozenset(number for number, mark in enumerate(marks) if mark),
        flags={number: _flags(mask) for number, mask in enumerate(masks) if mask},
    )


def _flags(mask: int) -> frozenset[int]:
    return frozenset(flags for bit, flags in enumerate(_COMBINATIONS) if mask >> bit & 1)
