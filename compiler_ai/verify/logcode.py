"""The machine code that an instrumented copy has around its instructions: it appends to a log, marks blocks, and looks up where
indirect jumps go. It changes no flag and no register for good, and uses no stack.

Registers and flags that it needs are kept in slots of a scratch page, addressed relative to rip.
Source: Intel SDM volume 2, 2.1 and 2.2.1 (instruction formats, REX prefixes, RIP-relative addressing).
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field

from compiler_ai.sandbox.errors import SandboxError
from compiler_ai.sandbox.footprint import FLAGS_BLOCK_BYTES, FLAGS_IN_BLOCK, Place
from compiler_ai.verify.accesses import Operand

SAVED_RAX, SAVED_RCX, LOG_POINTER, COUNTER = 0, 8, 16, 24  # slots of the scratch page
GARBAGE, FLAGS, TARGET, MARKS = 32, 48, 56, 64
LIMIT = 1 << 31  # of a displacement
_TABLE = -1  # stands for the table of copies, which has an address of its own
_RAX, _RCX = 0, 1
_SCRATCH_GARBAGE = 0x3CA5C35A3CA5C35A
_CLOBBERED = (1, 6, 7, 8, 9, 10, 11)  # rcx, rsi, rdi, r8 to r11: call-clobbered, and cannot hold a result


class InstrumentError(SandboxError):
    """The body holds something that cannot be copied faithfully."""


@dataclass
class LogCode:
    """Code that will lie at `area`; references are resolved once everything has its place. `first` and `span` are the original
    addresses that the table of copies covers."""

    area: int
    first: int
    span: int
    out: bytearray = field(default_factory=bytearray)
    places: list[Place] = field(default_factory=list)
    mark_count: int = 0
    conditions: list[int] = field(default_factory=list)  # offset of a rel32 in `out` for each one's marks
    references: list[tuple[int, int]] = field(default_factory=list)  # offset of a rel32 in `out`, the address it is for
    slots: list[tuple[int, int, int]] = field(default_factory=list)  # offset of a rel32, bytes behind it, slot

    @property
    def here(self) -> int:
        """The address of what is written next."""
        return self.area + len(self.out)

    def mark(self) -> None:
        """Marks the next block executed."""
        self.out += b"\xc6\x05"  # movb $1, mark(%rip)
        self._slot(MARKS + self.mark_count, 1)
        self.out += b"\x01"
        self.mark_count += 1

    def log_address(self, operand: Operand, place: Place) -> None:
        """Appends an operand's address, without its segment's base."""
        self._save()
        if _is_far(operand):
            self.out += _constant(_RAX, operand.displacement)
        else:
            self.out += _memory_form(b"\x8d", _RAX, operand)  # lea
        self._append(place)

    def log_loaded(self, operand: Operand, place: Place) -> None:
        """Appends the eight bytes that an operand holds."""
        self._save()
        self._load_operand(_RAX, operand)
        self._append(place)

    def log_register(self, register: int, place: Place) -> None:
        """Appends a general register."""
        self._save()
        self._move(register, _RAX)
        self._append(place)

    def mark_flags(self) -> None:
        """Marks what the next condition finds in the status flags; traps when the count of conditions has come down to 0.

        lahf and seto leave sparse numbers, so 128 conditions' marks lie between each other."""
        self._save()
        self._load(_RCX, COUNTER)
        self.out += b"\x48\x8d\x49\xff\x48\x89\x0d"  # lea -1(%rcx), %rcx; mov %rcx, counter(%rip)
        self._slot(COUNTER)
        self.out += b"\xe3\x02\xeb\x01\xcc"  # jrcxz 1f; jmp 2f; 1: int3; 2:
        self.out += b"\x9f\x0f\x90\xc0\x0f\xb7\xc0"  # lahf; seto %al; movzwl %ax, %eax
        self.out += b"\x48\x8d\x0d"  # lea marks(%rip), %rcx
        self.conditions.append(len(self.out))
        self.out += bytes(4) + b"\xc6\x04\x01\x01"  # movb $1, (%rcx,%rax)
        self._load(_RAX, SAVED_RAX)
        self._load(_RCX, SAVED_RCX)

    def jump_through_table(self, target: int | Operand, is_call: bool, original: Callable[[], None]) -> None:
        """An indirect jump or call whose target is in a register or in memory: one that has a copy goes there, any other one
        where the original goes, which `original` writes."""
        self._save()
        if isinstance(target, Operand):
            self._load_operand(_RCX, target)
        else:
            self._move(target, _RCX)
        self.out += b"\x9f\x0f\x90\xc0\x48\x89\x05"  # lahf; seto %al; mov %rax, flags(%rip)
        self._slot(FLAGS)
        self.out += b"\x48\x8d\x05"  # lea first(%rip), %rax
        self.references.append((len(self.out), self.first))
        self.out += bytes(4) + b"\x48\x29\xc1\x48\x81\xf9"  # sub %rax, %rcx; cmp $count, %rcx
        self.out += self.span.to_bytes(4, "little") + b"\x0f\x83"  # jae outside
        outside = [len(self.out)]
        self.out += bytes(4) + b"\x48\x8d\x05"  # lea table(%rip), %rax
        self._slot(_TABLE)
        self.out += b"\x48\x8b\x0c\xc8\x48\x85\xc9\x0f\x84"  # mov (%rax,%rcx,8), %rcx; test %rcx, %rcx; je outside
        outside.append(len(self.out))
        self.out += bytes(4) + b"\x48\x89\x0d"  # mov %rcx, target(%rip)
        self._slot(TARGET)
        self._restore()
        self.out += b"\xff\x15" if is_call else b"\xff\x25"  # call or jmp *target(%rip)
        self._slot(TARGET)
        over = len(self.out) + 1
        if is_call:
            self.out += b"\xe9" + bytes(4)
        for place in outside:
            struct.pack_into("<i", self.out, place, len(self.out) - place - 4)
        self._restore()
        original()
        if is_call:
            struct.pack_into("<i", self.out, over, len(self.out) - over - 4)

    def _restore(self) -> None:
        """Flags, rax and rcx as they were."""
        self._load(_RAX, FLAGS)
        self.out += b"\x04\x7f\x9e"  # add $0x7f, %al: overflows when it was 1; sahf
        self._load(_RAX, SAVED_RAX)
        self._load(_RCX, SAVED_RCX)

    def overwrite_scratch(self) -> None:
        """What an external callee may leave by the ABI."""
        for register in _CLOBBERED:
            self.out += _constant(register, _SCRATCH_GARBAGE)
        for vector in range(2, 16):  # movdqu garbage(%rip), %xmmN
            self.out += b"\xf3" + (b"\x44" if vector > 7 else b"") + bytes((0x0F, 0x6F, 0x05 | (vector & 7) << 3))
            self._slot(GARBAGE)

    def resolve(self, scratch: int, table: int, log: int) -> None:
        """Fills in all references, when the scratch page, the table of copies and the log, or else the marks of conditions, have
        their addresses. Raises InstrumentError."""
        for offset, address in self.references:
            self._relate(offset, address)
        for offset, behind, slot in self.slots:
            self._relate(offset, (table if slot == _TABLE else scratch + slot) - behind)
        for number, offset in enumerate(self.conditions):
            block, place = divmod(number, FLAGS_IN_BLOCK)
            self._relate(offset, log + block * FLAGS_BLOCK_BYTES + 2 * place)

    def _load_operand(self, register: int, operand: Operand) -> None:
        """What a memory operand holds, into rax or rcx."""
        if operand.segment:
            self.out += b"\x64" if operand.segment == 1 else b"\x65"
        if _is_far(operand) and not operand.segment:
            self.out += _constant(register, operand.displacement)
            self.out += bytes((0x48, 0x8B, register << 3 | register))  # mov (register), register
        else:
            self.out += _memory_form(b"\x8b", register, operand)

    def _move(self, register: int, to: int) -> None:
        if register != to:
            self.out += bytes((0x48 | (4 if register > 7 else 0), 0x89, 0xC0 | (register & 7) << 3 | to))

    def _save(self) -> None:
        self.out += b"\x48\x89\x05"  # mov %rax, saved(%rip)
        self._slot(SAVED_RAX)
        self.out += b"\x48\x89\x0d"
        self._slot(SAVED_RCX)

    def _append(self, place: Place) -> None:
        """Appends rax and the place's number; the saved registers come back."""
        self._load(_RCX, LOG_POINTER)
        self.out += b"\x48\x89\x01"  # mov %rax, (%rcx)
        self.out += b"\xc7\x41\x08" + len(self.places).to_bytes(4, "little")  # movl $place, 8(%rcx)
        self.out += b"\x48\x8d\x49\x10"  # lea 16(%rcx), %rcx
        self.out += b"\x48\x89\x0d"  # mov %rcx, pointer(%rip)
        self._slot(LOG_POINTER)
        self.places.append(place)
        self._load(_RAX, SAVED_RAX)
        self._load(_RCX, SAVED_RCX)

    def _load(self, register: int, slot: int) -> None:
        self.out += bytes((0x48, 0x8B, 0x05 | register << 3))
        self._slot(slot)

    def _slot(self, slot: int, behind: int = 0) -> None:
        self.slots.append((len(self.out), behind, slot))
        self.out += bytes(4)

    def _relate(self, offset: int, address: int) -> None:
        distance = address - (self.area + offset + 4)
        if not -LIMIT <= distance < LIMIT:
            raise InstrumentError("something is out of reach of the copy")
        struct.pack_into("<i", self.out, offset, distance)


def _is_far(operand: Operand) -> bool:
    """An address that was RIP-relative: it is resolved already, and may not fit a displacement."""
    return operand.base == -1 and operand.index == -1 and not -LIMIT <= operand.displacement < LIMIT


def _constant(register: int, value: int) -> bytes:
    """mov $value, register"""
    return bytes((0x48 | register >> 3, 0xB8 | register & 7)) + (value & 0xFFFFFFFFFFFFFFFF).to_bytes(8, "little")


def _memory_form(opcode: bytes, register: int, operand: Operand) -> bytes:
    """`opcode` with 64-bit operands, a register below 8 and a memory operand in the form with a SIB byte."""
    base, index = operand.base, operand.index
    rex = 0x48 | (1 if base > 7 else 0) | (2 if index > 7 else 0)
    scale = {1: 0, 2: 1, 4: 2, 8: 3}[operand.scale or 1]
    sib = scale << 6 | (index & 7 if index >= 0 else 4) << 3 | (base & 7 if base >= 0 else 5)
    mode = 2 if base >= 0 else 0  # without a base: disp32 alone
    displacement = operand.displacement & 0xFFFFFFFF
    return bytes((rex,)) + opcode + bytes((mode << 6 | register << 3 | 4, sib)) + displacement.to_bytes(4, "little")
