"""A loaded body that notes what it accesses while it runs at nearly its own speed, for runs too long to be single-stepped.

Every instruction of the unit that the body can reach is copied into a code area of its own; in front of one that accesses memory
stands code that appends (address, number of the place) to a log, which changes no flag and uses no stack. Before a basic block
stands a store that marks it executed. The original code stays readable where it was but cannot be executed: an indirect
jump there stops the child, and its parent (sandbox/runtime/footprint.c) sends it on to the copy.
Source: Intel SDM volume 2, 2.1 and 2.2.1 (instruction formats, REX prefixes, RIP-relative addressing).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import capstone
from capstone import x86_const as x86

from compiler_ai.sandbox.errors import SandboxError
from compiler_ai.sandbox.footprint import COUNTED, READS, SETS_STACK, WRITES, Callee, LogPlan, Place, PlaceKind
from compiler_ai.sandbox.loader import SPAN_BYTES, LoadedObject
from compiler_ai.sandbox.pages import PAGE_BYTES, PageSet, Prot, Region, page_ceil
from compiler_ai.sandbox.state import GENERAL
from compiler_ai.verify.accesses import Decoded, Decoder, Operand

LOG_BYTES = 1 << 20
_AREA_AT = 0x0600_0000  # from the load's base: behind the loader's text and tables
_LIMIT = 1 << 31
_RAX, _RCX, _RDX, _RSP, _RBP, _RSI, _RDI = 0, 1, 2, 4, 5, 6, 7
# System calls and transactions; jumps without a long form; what turns string instructions around.
_REFUSED = ("syscall", "sysenter", "xbegin", "loop", "loope", "loopne", "jcxz", "jecxz", "jrcxz", "std")
_ENDS = ("jmp", "ret", "ud2", "hlt", "int3")
_SCRATCH_GARBAGE = 0x3CA5C35A3CA5C35A
_CLOBBERED = (_RCX, _RSI, _RDI, 8, 9, 10, 11)  # call-clobbered, and cannot hold a result
_ARGUMENTS = (_RDI, _RSI, _RDX)
_STUB = b"\xff\x25\0\0\0\0"  # the loader's jump to an external; the address follows


class InstrumentError(SandboxError):
    """The body holds something that cannot be copied faithfully."""


@dataclass(frozen=True)
class Instrumented:
    """What the sandbox maps instead of the loaded body's pages, where the copy starts, what the runner needs to know, and the
    original addresses of the blocks in the order of their marks."""

    pages: PageSet
    entry: int
    plan: LogPlan
    blocks: tuple[int, ...]


def instrument(
    loaded: LoadedObject,
    starts: Sequence[int],
    code: Callable[[int], bytes],
    decoder: Decoder,
    models: Mapping[int, Callee],
) -> Instrumented:
    """Copies what control can reach from `loaded.entry` and from `starts` (jump tables' targets).

    `code` gives up to 16 bytes at an address, `decoder` what an instruction accesses; `models` say what external callees do.
    Raises InstrumentError.
    """
    text = _text_ranges(loaded)
    found = _discover([loaded.entry, *starts], text, code)
    top = max(region.end for region in loaded.pages.regions)
    area = max(loaded.base + _AREA_AT, page_ceil(top) + PAGE_BYTES)
    return _Writer(loaded, text, found, decoder, models, area, code).write()


def _text_ranges(loaded: LoadedObject) -> list[tuple[int, int]]:
    """The regions that hold the unit's own code (the loader's stubs lie in a region of their own)."""
    sections = set(loaded.sections.values())
    return [
        (region.address, region.end)
        for region in loaded.pages.regions
        if region.prot & Prot.EXEC and any(region.address <= at < region.end for at in sections)
    ]


@dataclass(frozen=True)
class _Found:
    """Reachable instructions in address order, and which of them start a block."""

    instructions: Mapping[int, Any]
    leaders: frozenset[int]


def _discover(starts: Sequence[int], text: Sequence[tuple[int, int]], code: Callable[[int], bytes]) -> _Found:
    capstone_ = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
    capstone_.detail = True
    instructions: dict[int, Any] = {}
    leaders: set[int] = set()
    waiting = list(starts)
    while waiting:
        at = waiting.pop()
        if at in leaders or not _within(at, text):
            continue
        leaders.add(at)
        while at not in instructions:
            instruction = next(capstone_.disasm(code(at), at, 1), None) if _within(at, text) else None
            if instruction is None:
                break  # control does not get here, or faults; the copy traps
            instructions[at] = instruction
            plain = instruction.mnemonic.rpartition(" ")[2]
            following = at + instruction.size
            target = _direct_target(instruction)
            if target is not None:
                waiting.append(target)
            if plain in _ENDS:
                break
            if target is not None or plain == "call":
                waiting.append(following)
                break
            at = following
    return _Found(dict(sorted(instructions.items())), frozenset(leaders))


def _within(address: int, ranges: Sequence[tuple[int, int]]) -> bool:
    return any(low <= address < high for low, high in ranges)


def _is_transfer(instruction: Any) -> bool:
    return bool(instruction.group(x86.X86_GRP_JUMP) or instruction.group(x86.X86_GRP_CALL))


def _direct_target(instruction: Any) -> int | None:
    if _is_transfer(instruction) and instruction.operands and instruction.operands[0].type == x86.X86_OP_IMM:
        return int(instruction.operands[0].imm) & 0xFFFFFFFFFFFFFFFF
    return None


@dataclass
class _Writer:
    """Writes the copy. Fixups are resolved once every instruction has its place."""

    loaded: LoadedObject
    text: Sequence[tuple[int, int]]
    found: _Found
    decoder: Decoder
    models: Mapping[int, Callee]
    area: int
    code: Callable[[int], bytes]
    out: bytearray = field(default_factory=bytearray)
    copies: dict[int, int] = field(default_factory=dict)  # original address -> address of the copy
    branches: list[tuple[int, int]] = field(default_factory=list)  # offset of a rel32 in `out`, original target
    references: list[tuple[int, int]] = field(default_factory=list)  # offset of a rel32, the address it is for
    scratch_fixups: list[tuple[int, int, int]] = field(default_factory=list)  # offset of a rel32, bytes behind it, slot
    places: list[Place] = field(default_factory=list)
    blocks: list[int] = field(default_factory=list)

    _SAVED_RAX, _SAVED_RCX, _LOG_POINTER, _GARBAGE, _FLAGS, _TARGET, _MARKS = 0, 8, 16, 32, 48, 56, 64
    _TABLE = -1  # the table of copies, which has an address of its own

    @property
    def _first(self) -> int:
        """The original address of the first instruction, where the table of copies begins."""
        return min(self.found.instructions)

    @property
    def _span(self) -> int:
        return max(self.found.instructions) + 1 - self._first

    def write(self) -> Instrumented:
        following: int | None = None
        for at, instruction in self.found.instructions.items():
            if following is not None and following != at:
                self.out += b"\x0f\x0b"  # whatever falls through here leaves the known code
            self.copies[at] = self.area + len(self.out)
            if at in self.found.leaders:
                self._mark(at)
            self._copy(at, instruction)
            following = at + instruction.size
            if instruction.mnemonic.rpartition(" ")[2] in _ENDS:
                following = None
        self.out += b"\x0f\x0b"
        table = page_ceil(self.area + len(self.out)) + PAGE_BYTES
        scratch = table + page_ceil(8 * self._span) + PAGE_BYTES
        log = page_ceil(scratch + self._MARKS + len(self.blocks)) + PAGE_BYTES
        if log + LOG_BYTES + PAGE_BYTES > self.loaded.base + SPAN_BYTES:
            raise InstrumentError("its code is too large to be instrumented")
        self._resolve(scratch, table)
        return self._result(scratch, log, table)

    def _result(self, scratch: int, log: int, table: int) -> Instrumented:
        head = bytearray(page_ceil(self._MARKS + len(self.blocks)))
        struct.pack_into("<Q", head, self._LOG_POINTER, log)
        head[self._GARBAGE : self._GARBAGE + 16] = b"\xa5" * 16
        copied = bytes(self.out) + b"\xcc" * (page_ceil(len(self.out)) - len(self.out))
        original = [
            replace(region, prot=Prot.READ) if (region.address, region.end) in set(self.text) else region
            for region in self.loaded.pages.regions
        ]
        own = [
            Region(self.area, Prot.READ | Prot.EXEC, copied),
            Region(table, Prot.READ, self._table()),
            Region(scratch, Prot.READ | Prot.WRITE, bytes(head)),
            Region(log, Prot.READ | Prot.WRITE, bytes(LOG_BYTES)),
        ]
        plan = LogPlan(
            log_low=log,
            log_high=log + LOG_BYTES,
            pointer_address=scratch + self._LOG_POINTER,
            marks_address=scratch + self._MARKS,
            mark_count=len(self.blocks),
            hidden=(scratch, log + LOG_BYTES),
            text=(min(low for low, _ in self.text), max(high for _, high in self.text)),
            places=tuple(self.places),
            copies=tuple((at, self.copies[at]) for at in self.blocks),
            callees=tuple(self.models.items()),
        )
        return Instrumented(PageSet((*original, *own)), self.copies[self.loaded.entry], plan, tuple(self.blocks))

    def _table(self) -> bytes:
        """By distance from the first instruction: where the copy of the block there is, 0 for none."""
        content = bytearray(page_ceil(8 * self._span))
        for at in self.blocks:
            struct.pack_into("<Q", content, 8 * (at - self._first), self.copies[at])
        return bytes(content)

    # One instruction -----------------------------------------------------------------------------------------------

    def _copy(self, at: int, instruction: Any) -> None:
        decoded = self.decoder.decoded(at)
        plain = instruction.mnemonic.rpartition(" ")[2]
        if plain in _REFUSED or instruction.group(x86.X86_GRP_INT):
            raise InstrumentError(f"{plain} cannot be instrumented")
        if decoded.unknown:
            self._log_register(_RSP, Place(PlaceKind.UNKNOWN))
        if decoded.string:
            self._log_string(decoded.string)
        for operand in decoded.operands:
            flags = (READS if operand.reads else 0) | (WRITES if operand.writes else 0)
            base = self.decoder.segment_base(operand.segment)
            self._log_address(operand, Place(PlaceKind.ACCESS, flags, operand.size_bytes, base))
        self._log_stack(plain, decoded)
        if _is_transfer(instruction):
            self._transfer(at, instruction, plain)
            return
        self._verbatim(at, instruction)
        if plain not in ("push", "pop", "pushfq", "popfq", "leave", "ret") and _writes_stack_pointer(instruction):
            self._log_register(_RSP, Place(PlaceKind.STACK))

    def _verbatim(self, at: int, instruction: Any) -> None:
        raw = bytearray(instruction.bytes)
        if any(o.type == x86.X86_OP_MEM and o.mem.base == x86.X86_REG_RIP for o in instruction.operands):
            place = _displacement_at(raw, instruction)
            if place is None:
                raise InstrumentError(f"the displacement at +{at - self.loaded.entry:#x} is not where it should be")
            moved = struct.unpack_from("<i", raw, place)[0] + at - (self.area + len(self.out))
            if not -_LIMIT <= moved < _LIMIT:
                raise InstrumentError("a reference is out of reach of the copy")
            struct.pack_into("<i", raw, place, moved)
        self.out += raw

    def _transfer(self, at: int, instruction: Any, plain: str) -> None:
        target = _direct_target(instruction)
        if target is None:
            self._log_leaving(Place(PlaceKind.CALL, stack_delta=8), instruction)
            self._jump_through_table(at, instruction, plain)
        elif self._is_inside(target):
            self._branch(instruction, plain, target)
        elif plain in ("call", "jmp"):
            self._leave(instruction, plain, target)
        else:  # only a jump that is taken leaves: the opposite one goes around it
            condition = _condition(instruction)
            if condition is None:
                raise InstrumentError(f"{plain} cannot be instrumented")
            self.out += bytes((0x0F, 0x80 | condition ^ 1))
            around = len(self.out)
            self.out += bytes(4)
            self._leave(instruction, "jmp", target)
            struct.pack_into("<i", self.out, around, len(self.out) - around - 4)

    def _leave(self, instruction: Any, plain: str, target: int) -> None:
        self._log_leaving(Place(PlaceKind.CALL, base=self._behind_stub(target), stack_delta=8), None)
        self._branch(instruction, plain, target)
        if plain == "call":
            self._overwrite_scratch()

    def _jump_through_table(self, at: int, instruction: Any, plain: str) -> None:
        """An indirect jump or call: a target that has a copy is looked up, any other one goes where the original goes."""
        operand = instruction.operands[0]
        self._save()
        if operand.type == x86.X86_OP_REG:
            register = GENERAL.index(instruction.reg_name(operand.reg))
            if register != _RCX:
                self.out += bytes(
                    (0x48 | (4 if register > 7 else 0), 0x89, 0xC1 | (register & 7) << 3)
                )  # mov register, %rcx
        else:
            described = self.decoder.target_operand(instruction)
            assert described is not None  # else _log_leaving has raised
            self._load_operand(_RCX, described)
        self.out += b"\x9f\x0f\x90\xc0\x48\x89\x05"  # lahf; seto %al; mov %rax, flags(%rip)
        self._scratch(self._FLAGS)
        self.out += b"\x48\x8d\x05"  # lea first(%rip), %rax
        self.references.append((len(self.out), self._first))
        self.out += bytes(4) + b"\x48\x29\xc1\x48\x81\xf9"  # sub %rax, %rcx; cmp $count, %rcx
        self.out += self._span.to_bytes(4, "little") + b"\x0f\x83"  # jae outside
        outside = [len(self.out)]
        self.out += bytes(4) + b"\x48\x8d\x05"  # lea table(%rip), %rax
        self._scratch(self._TABLE)
        self.out += b"\x48\x8b\x0c\xc8\x48\x85\xc9\x0f\x84"  # mov (%rax,%rcx,8), %rcx; test %rcx, %rcx; je outside
        outside.append(len(self.out))
        self.out += bytes(4) + b"\x48\x89\x0d"  # mov %rcx, target(%rip)
        self._scratch(self._TARGET)
        self._restore()
        self.out += b"\xff\x15" if plain == "call" else b"\xff\x25"  # call or jmp *target(%rip)
        self._scratch(self._TARGET)
        over = len(self.out) + 1
        if plain == "call":
            self.out += b"\xe9" + bytes(4)
        for place in outside:
            struct.pack_into("<i", self.out, place, len(self.out) - place - 4)
        self._restore()
        self._verbatim(at, instruction)
        if plain == "call":
            struct.pack_into("<i", self.out, over, len(self.out) - over - 4)

    def _restore(self) -> None:
        """Flags, rax and rcx as they were."""
        self._load(_RAX, self._FLAGS)
        self.out += b"\x04\x7f\x9e"  # add $0x7f, %al: overflows when it was 1; sahf
        self._load(_RAX, self._SAVED_RAX)
        self._load(_RCX, self._SAVED_RCX)

    def _is_inside(self, target: int) -> bool:
        return _within(target, self.text)

    def _behind_stub(self, target: int) -> int:
        stub = self.code(target)
        return int.from_bytes(stub[6:14], "little") if stub[:6] == _STUB else target

    def _branch(self, instruction: Any, plain: str, target: int) -> None:
        if plain == "call":
            self.out += b"\xe8"
        elif plain == "jmp":
            self.out += b"\xe9"
        else:
            condition = _condition(instruction)
            if condition is None:
                raise InstrumentError(f"{plain} cannot be instrumented")
            self.out += bytes((0x0F, 0x80 | condition))
        self.branches.append((len(self.out), target))
        self.out += bytes(4)

    def _overwrite_scratch(self) -> None:
        """What an external callee may leave by the ABI."""
        for register in _CLOBBERED:
            self.out += bytes((0x48 | register >> 3, 0xB8 | register & 7)) + _SCRATCH_GARBAGE.to_bytes(8, "little")
        for vector in range(2, 16):  # movdqu garbage(%rip), %xmmN
            self.out += b"\xf3" + (b"\x44" if vector > 7 else b"") + bytes((0x0F, 0x6F, 0x05 | (vector & 7) << 3))
            self._scratch(self._GARBAGE)

    # The log -------------------------------------------------------------------------------------------------------

    def _mark(self, at: int) -> None:
        self.out += b"\xc6\x05"  # movb $1, mark(%rip)
        self._scratch(self._MARKS + len(self.blocks), 1)
        self.out += b"\x01"
        self.blocks.append(at)

    def _log_stack(self, plain: str, decoded: Decoded) -> None:
        if decoded.push_bytes:
            below = Operand(_RSP, -1, 1, -decoded.push_bytes, decoded.push_bytes, False, True, 0)
            self._log_address(below, Place(PlaceKind.ACCESS, WRITES | SETS_STACK, decoded.push_bytes))
        if decoded.pop_bytes:
            where = Operand(_RBP if plain == "leave" else _RSP, -1, 1, 0, decoded.pop_bytes, True, False, 0)
            self._log_address(
                where, Place(PlaceKind.ACCESS, READS | SETS_STACK, decoded.pop_bytes, 0, decoded.pop_bytes)
            )

    def _log_string(self, name: str) -> None:
        plain = name.rpartition(" ")[2]
        size = {"b": 1, "w": 2, "d": 4, "q": 8}[plain[-1]]
        if plain.startswith(("cmps", "scas")) and name.startswith("rep"):
            self._log_register(_RSP, Place(PlaceKind.UNKNOWN))  # where it stops depends on what it finds
            return
        repeated = name.startswith("rep")
        if repeated:
            self._log_register(_RCX, Place(PlaceKind.COUNT))
        if plain.startswith(("movs", "lods", "cmps")):
            self._log_register(_RSI, Place(PlaceKind.ACCESS, READS | (COUNTED if repeated else 0), size))
        if plain.startswith(("movs", "stos", "cmps", "scas")):
            kind = WRITES if plain.startswith(("movs", "stos")) else READS
            self._log_register(_RDI, Place(PlaceKind.ACCESS, kind | (COUNTED if repeated else 0), size))

    def _log_leaving(self, place: Place, indirect: Any | None) -> None:
        for register in _ARGUMENTS:
            self._log_register(register, Place(PlaceKind.ARGUMENT))
        if indirect is None:
            self._log_register(_RSP, place)
        elif indirect.operands[0].type == x86.X86_OP_REG:
            self._log_register(GENERAL.index(indirect.reg_name(indirect.operands[0].reg)), place)
        else:
            described = self.decoder.target_operand(indirect)
            if described is None:
                raise InstrumentError("a jump through memory that cannot be addressed")
            self._log(described, place, b"\x8b")  # the target itself is loaded

    def _log_address(self, operand: Operand, place: Place) -> None:
        self._log(operand, place, b"\x8d")

    def _log(self, operand: Operand, place: Place, opcode: bytes) -> None:
        """Appends an operand's address (lea), or what it holds (mov), with the place's number."""
        self._save()
        if opcode == b"\x8b":
            self._load_operand(_RAX, operand)
        elif _is_far(operand):
            self.out += b"\x48\xb8" + (operand.displacement & 0xFFFFFFFFFFFFFFFF).to_bytes(8, "little")
        else:
            self.out += _memory_form(opcode, _RAX, operand)
        self._load_pointer()
        self.out += b"\x48\x89\x01"  # mov %rax, (%rcx)
        self._append(place)
        self._load(_RAX, self._SAVED_RAX)
        self._load(_RCX, self._SAVED_RCX)

    def _load_operand(self, register: int, operand: Operand) -> None:
        """What a memory operand holds, into rax or rcx."""
        if operand.segment:
            self.out += b"\x64" if operand.segment == 1 else b"\x65"
        if _is_far(operand) and not operand.segment:
            self.out += bytes((0x48, 0xB8 | register)) + (operand.displacement & 0xFFFFFFFFFFFFFFFF).to_bytes(
                8, "little"
            )
            self.out += bytes((0x48, 0x8B, register << 3 | register))  # mov (register), register
        else:
            self.out += _memory_form(b"\x8b", register, operand)

    def _log_register(self, register: int, place: Place) -> None:
        self._save()
        if register == _RCX:
            self.out += b"\x48\x89\xc8"  # mov %rcx, %rax
        elif register != _RAX:
            self.out += bytes(
                (0x48 | (4 if register > 7 else 0), 0x89, 0xC0 | (register & 7) << 3)
            )  # mov register, %rax
        self._load_pointer()
        self.out += b"\x48\x89\x01"
        self._append(place)
        self._load(_RAX, self._SAVED_RAX)
        self._load(_RCX, self._SAVED_RCX)

    def _save(self) -> None:
        self.out += b"\x48\x89\x05"  # mov %rax, saved(%rip)
        self._scratch(self._SAVED_RAX)
        self.out += b"\x48\x89\x0d"
        self._scratch(self._SAVED_RCX)

    def _load_pointer(self) -> None:
        self._load(_RCX, self._LOG_POINTER)

    def _append(self, place: Place) -> None:
        self.out += b"\xc7\x41\x08" + len(self.places).to_bytes(4, "little")  # movl $place, 8(%rcx)
        self.out += b"\x48\x8d\x49\x10"  # lea 16(%rcx), %rcx
        self.out += b"\x48\x89\x0d"  # mov %rcx, pointer(%rip)
        self._scratch(self._LOG_POINTER)
        self.places.append(place)

    def _load(self, register: int, slot: int) -> None:
        self.out += bytes((0x48, 0x8B, 0x05 | register << 3))
        self._scratch(slot)

    def _scratch(self, slot: int, behind: int = 0) -> None:
        self.scratch_fixups.append((len(self.out), behind, slot))
        self.out += bytes(4)

    def _resolve(self, scratch: int, table: int) -> None:
        for offset, target in self.branches:
            if self._is_inside(target) and target not in self.copies:
                raise InstrumentError("a branch into code that was not found")
            self._relate(offset, self.copies.get(target, target))
        for offset, address in self.references:
            self._relate(offset, address)
        for offset, behind, slot in self.scratch_fixups:
            self._relate(offset, (table if slot == self._TABLE else scratch + slot) - behind)

    def _relate(self, offset: int, address: int) -> None:
        distance = address - (self.area + offset + 4)
        if not -_LIMIT <= distance < _LIMIT:
            raise InstrumentError("something is out of reach of the copy")
        struct.pack_into("<i", self.out, offset, distance)


def _is_far(operand: Operand) -> bool:
    """An address that was RIP-relative: it is resolved already, and may not fit a displacement."""
    return operand.base == -1 and operand.index == -1 and not -_LIMIT <= operand.displacement < _LIMIT


def _memory_form(opcode: bytes, register: int, operand: Operand) -> bytes:
    """`opcode` with 64-bit operands, a register below 8 and a memory operand in the form with a SIB byte."""
    base, index = operand.base, operand.index
    rex = 0x48 | (1 if base > 7 else 0) | (2 if index > 7 else 0)
    scale = {1: 0, 2: 1, 4: 2, 8: 3}[operand.scale or 1]
    sib = scale << 6 | (index & 7 if index >= 0 else 4) << 3 | (base & 7 if base >= 0 else 5)
    mode = 2 if base >= 0 else 0  # without a base: disp32 alone
    displacement = operand.displacement & 0xFFFFFFFF
    return bytes((rex,)) + opcode + bytes((mode << 6 | register << 3 | 4, sib)) + displacement.to_bytes(4, "little")


def _displacement_at(raw: bytes | bytearray, instruction: Any) -> int | None:
    """Where a RIP-relative instruction holds its 32-bit displacement: behind a ModRM byte with mod 0 and r/m 5, in front of
    an immediate operand at most."""
    (displacement,) = {
        o.mem.disp for o in instruction.operands if o.type == x86.X86_OP_MEM and o.mem.base == x86.X86_REG_RIP
    }
    found = [
        place
        for behind in (0, 1, 2, 4)
        if (place := len(raw) - behind - 4) > 1
        and raw[place - 1] & 0xC7 == 5
        and struct.unpack_from("<i", raw, place)[0] == displacement
    ]
    return found[0] if len(found) == 1 else None


def _condition(instruction: Any) -> int | None:
    """The condition code of a conditional jump; None for jrcxz and loop, which have no long form."""
    raw = bytes(instruction.bytes)
    while raw[:1] in (b"\x2e", b"\x3e", b"\xf2"):  # branch hints, bnd
        raw = raw[1:]
    if 0x70 <= raw[0] <= 0x7F:
        return raw[0] & 15
    if raw[0] == 0x0F and 0x80 <= raw[1] <= 0x8F:
        return raw[1] & 15
    return None


def _writes_stack_pointer(instruction: Any) -> bool:
    return any(
        instruction.reg_name(register) in ("rsp", "esp", "sp", "spl") for register in instruction.regs_access()[1]
    )
