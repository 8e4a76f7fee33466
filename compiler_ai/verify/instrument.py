"""A loaded body that notes what it accesses, or what its conditions decide on, while it runs at nearly its own speed: for runs too
long, or too many, to be single-stepped.

Every instruction of the unit that the body can reach is copied into a code area of its own; in front of one that accesses memory
stands code that appends (address, number of the place) to a log, which changes no flag and uses no stack. Before a basic block
stands a store that marks it executed. The original code stays readable where it was but cannot be executed: an indirect
jump there stops the child, and its parent (sandbox/runtime/footprint.c) sends it on to the copy.
The machine code itself is in `logcode`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import capstone
from capstone import x86_const as x86

from compiler_ai.sandbox.footprint import (
    COUNTED,
    FLAGS_BLOCK_BYTES,
    FLAGS_IN_BLOCK,
    READS,
    SETS_STACK,
    WRITES,
    Callee,
    LogPlan,
    Place,
    PlaceKind,
)
from compiler_ai.sandbox.loader import SPAN_BYTES, LoadedObject
from compiler_ai.sandbox.pages import PAGE_BYTES, PageSet, Prot, Region, page_ceil
from compiler_ai.sandbox.state import GENERAL
from compiler_ai.verify.accesses import Decoded, Decoder, Operand
from compiler_ai.verify.conditions import code_of
from compiler_ai.verify.logcode import COUNTER, GARBAGE, LIMIT, LOG_POINTER, MARKS, InstrumentError, LogCode

LOG_BYTES = 1 << 20
_AREA_AT = 0x0600_0000  # from the load's base: behind the loader's text and tables
_RAX, _RCX, _RDX, _RSP, _RBP, _RSI, _RDI = 0, 1, 2, 4, 5, 6, 7
# System calls and transactions; jumps without a long form; what turns string instructions around.
_REFUSED = ("syscall", "sysenter", "xbegin", "loop", "loope", "loopne", "jcxz", "jecxz", "jrcxz", "std")
_ENDS = ("jmp", "ret", "ud2", "hlt", "int3")
_ARGUMENTS = (_RDI, _RSI, _RDX)
_STUB = b"\xff\x25\0\0\0\0"  # the loader's jump to an external; the address follows


@dataclass(frozen=True)
class Instrumented:
    """What the sandbox maps instead of the loaded body's pages, where the copy starts, what the runner needs to know, the
    original addresses of the blocks in the order of their marks, and the numbers of those with a call."""

    pages: PageSet
    entry: int
    plan: LogPlan
    blocks: tuple[int, ...]
    calling: frozenset[int]
    conditions: tuple[
        int, ...
    ]  # the original addresses of conditional jumps, moves and sets, in the order of their marks


def instrument(
    loaded: LoadedObject,
    starts: Sequence[int],
    code: Callable[[int], bytes],
    decoder: Decoder,
    models: Mapping[int, Callee],
    conditions: bool = False,
) -> Instrumented:
    """Copies what control can reach from `loaded.entry` and from `starts` (jump tables' targets).

    `code` gives up to 16 bytes at an address, `decoder` what an instruction accesses; `models` say what external callees do.
    With `conditions` the copy marks the status flags in front of conditional instructions, and logs no accesses. Raises InstrumentError.
    """
    text = _text_ranges(loaded)
    found = _discover([loaded.entry, *starts], text, code)
    top = max(region.end for region in loaded.pages.regions)
    area = max(loaded.base + _AREA_AT, page_ceil(top) + PAGE_BYTES)
    first = min(found.instructions)
    log = LogCode(area, first, max(found.instructions) + 1 - first)
    return _Writer(loaded, text, found, decoder, models, code, log, conditions).write()


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
    code: Callable[[int], bytes]
    log: LogCode
    only_conditions: bool
    copies: dict[int, int] = field(default_factory=dict)  # original address -> address of the copy
    branches: list[tuple[int, int]] = field(default_factory=list)  # offset of a rel32 in `out`, original target
    blocks: list[int] = field(default_factory=list)
    calling: set[int] = field(default_factory=set)
    conditions: list[int] = field(default_factory=list)

    def write(self) -> Instrumented:
        following: int | None = None
        for at, instruction in self.found.instructions.items():
            if following is not None and following != at:
                self.log.out += b"\x0f\x0b"  # whatever falls through here leaves the known code
            self.copies[at] = self.log.here
            if at in self.found.leaders:
                self.log.mark()
                self.blocks.append(at)
            self._copy(at, instruction)
            following = at + instruction.size
            if instruction.mnemonic.rpartition(" ")[2] in _ENDS:
                following = None
        self.log.out += b"\x0f\x0b"
        table = page_ceil(self.log.here) + PAGE_BYTES
        scratch = table + page_ceil(8 * self.log.span) + PAGE_BYTES
        log = page_ceil(scratch + MARKS + len(self.blocks)) + PAGE_BYTES
        if log + self._log_bytes() + PAGE_BYTES > self.loaded.base + SPAN_BYTES:
            raise InstrumentError("its code is too large to be instrumented")
        for place, target in self.branches:
            if self._is_inside(target) and target not in self.copies:
                raise InstrumentError("a branch into code that was not found")
            self.log.references.append((place, self.copies.get(target, target)))
        self.log.resolve(scratch, table, log)
        return self._result(scratch, log, table)

    def _result(self, scratch: int, log: int, table: int) -> Instrumented:
        head = bytearray(page_ceil(MARKS + len(self.blocks)))
        struct.pack_into("<Q", head, LOG_POINTER, log)
        head[GARBAGE : GARBAGE + 16] = b"\xa5" * 16
        copied = bytes(self.log.out) + b"\xcc" * (page_ceil(len(self.log.out)) - len(self.log.out))
        original = [
            replace(region, prot=Prot.READ) if (region.address, region.end) in set(self.text) else region
            for region in self.loaded.pages.regions
        ]
        own = [
            Region(self.log.area, Prot.READ | Prot.EXEC, copied),
            Region(table, Prot.READ, self._table()),
            Region(scratch, Prot.READ | Prot.WRITE, bytes(head)),
            Region(log, Prot.READ | Prot.WRITE, bytes(self._log_bytes())),
        ]
        plan = LogPlan(
            log_low=log,
            log_high=log + self._log_bytes(),
            pointer_address=scratch + LOG_POINTER,
            marks_address=scratch + MARKS,
            mark_count=len(self.blocks),
            hidden=(scratch, log + self._log_bytes()),
            text=(min(low for low, _ in self.text), max(high for _, high in self.text)),
            places=tuple(self.log.places),
            copies=tuple((at, self.copies[at]) for at in self.blocks),
            callees=tuple(self.models.items()),
            flags_address=log,
            flags_count=len(self.conditions),
            counter_address=scratch + COUNTER if self.conditions else 0,
        )
        return Instrumented(
            PageSet((*original, *own)),
            self.copies[self.loaded.entry],
            plan,
            tuple(self.blocks),
            frozenset(self.calling),
            tuple(self.conditions),
        )

    def _log_bytes(self) -> int:
        blocks = -(-len(self.conditions) // FLAGS_IN_BLOCK)
        return max(blocks * FLAGS_BLOCK_BYTES, PAGE_BYTES) if self.only_conditions else LOG_BYTES

    def _table(self) -> bytes:
        """By distance from the first instruction: where the copy of the block there is, 0 for none."""
        content = bytearray(page_ceil(8 * self.log.span))
        for at in self.blocks:
            struct.pack_into("<Q", content, 8 * (at - self.log.first), self.copies[at])
        return bytes(content)

    # One instruction -----------------------------------------------------------------------------------------------

    def _copy(self, at: int, instruction: Any) -> None:
        plain = instruction.mnemonic.rpartition(" ")[2]
        if plain in _REFUSED or instruction.group(x86.X86_GRP_INT):
            raise InstrumentError(f"{plain} cannot be instrumented")
        if plain == "call":
            self.calling.add(len(self.blocks) - 1)
        if self.only_conditions:
            self._copy_condition(at, instruction, plain)
            return
        decoded = self.decoder.decoded(at)
        if decoded.unknown:
            self.log.log_register(_RSP, Place(PlaceKind.UNKNOWN))
        if decoded.string:
            self._log_string(decoded.string)
        for operand in decoded.operands:
            flags = (READS if operand.reads else 0) | (WRITES if operand.writes else 0)
            base = self.decoder.segment_base(operand.segment)
            self.log.log_address(operand, Place(PlaceKind.ACCESS, flags, operand.size_bytes, base))
        self._log_stack(plain, decoded)
        if _is_transfer(instruction):
            self._transfer(at, instruction, plain)
            return
        self._verbatim(at, instruction)
        if plain not in ("push", "pop", "pushfq", "popfq", "leave", "ret") and _writes_stack_pointer(instruction):
            self.log.log_register(_RSP, Place(PlaceKind.STACK))

    def _copy_condition(self, at: int, instruction: Any, plain: str) -> None:
        if code_of(plain):
            self.conditions.append(at)
            self.log.mark_flags()
        if _is_transfer(instruction):
            self._transfer(at, instruction, plain)
        else:
            self._verbatim(at, instruction)

    def _verbatim(self, at: int, instruction: Any) -> None:
        raw = bytearray(instruction.bytes)
        if any(o.type == x86.X86_OP_MEM and o.mem.base == x86.X86_REG_RIP for o in instruction.operands):
            place = _displacement_at(raw, instruction)
            if place is None:
                raise InstrumentError(f"the displacement at +{at - self.loaded.entry:#x} is not where it should be")
            moved = struct.unpack_from("<i", raw, place)[0] + at - (self.log.here)
            if not -LIMIT <= moved < LIMIT:
                raise InstrumentError("a reference is out of reach of the copy")
            struct.pack_into("<i", raw, place, moved)
        self.log.out += raw

    def _transfer(self, at: int, instruction: Any, plain: str) -> None:
        target = _direct_target(instruction)
        if target is None:
            self._log_leaving(Place(PlaceKind.CALL, stack_delta=8), instruction)
            self.log.jump_through_table(
                self._target_place(instruction), plain == "call", lambda: self._verbatim(at, instruction)
            )
        elif self._is_inside(target):
            self._branch(instruction, plain, target)
        elif plain in ("call", "jmp"):
            self._leave(instruction, plain, target)
        else:  # only a jump that is taken leaves: the opposite one goes around it
            condition = _condition(instruction)
            if condition is None:
                raise InstrumentError(f"{plain} cannot be instrumented")
            self.log.out += bytes((0x0F, 0x80 | condition ^ 1))
            around = len(self.log.out)
            self.log.out += bytes(4)
            self._leave(instruction, "jmp", target)
            struct.pack_into("<i", self.log.out, around, len(self.log.out) - around - 4)

    def _leave(self, instruction: Any, plain: str, target: int) -> None:
        self._log_leaving(Place(PlaceKind.CALL, base=self._behind_stub(target), stack_delta=8), None)
        self._branch(instruction, plain, target)
        if plain == "call":
            self.log.overwrite_scratch()

    def _is_inside(self, target: int) -> bool:
        return _within(target, self.text)

    def _behind_stub(self, target: int) -> int:
        stub = self.code(target)
        return int.from_bytes(stub[6:14], "little") if stub[:6] == _STUB else target

    def _branch(self, instruction: Any, plain: str, target: int) -> None:
        if plain == "call":
            self.log.out += b"\xe8"
        elif plain == "jmp":
            self.log.out += b"\xe9"
        else:
            condition = _condition(instruction)
            if condition is None:
                raise InstrumentError(f"{plain} cannot be instrumented")
            self.log.out += bytes((0x0F, 0x80 | condition))
        self.branches.append((len(self.log.out), target))
        self.log.out += bytes(4)

    # The log -------------------------------------------------------------------------------------------------------

    def _log_stack(self, plain: str, decoded: Decoded) -> None:
        if decoded.push_bytes:
            below = Operand(_RSP, -1, 1, -decoded.push_bytes, decoded.push_bytes, False, True, 0)
            self.log.log_address(below, Place(PlaceKind.ACCESS, WRITES | SETS_STACK, decoded.push_bytes))
        if decoded.pop_bytes:
            where = Operand(_RBP if plain == "leave" else _RSP, -1, 1, 0, decoded.pop_bytes, True, False, 0)
            self.log.log_address(
                where, Place(PlaceKind.ACCESS, READS | SETS_STACK, decoded.pop_bytes, 0, decoded.pop_bytes)
            )
        if plain == "ret":
            self.log.log_address(
                Operand(_RSP, -1, 1, 0, 8, False, False, 0), Place(PlaceKind.ACCESS, SETS_STACK, 8, 0, 8)
            )

    def _log_string(self, name: str) -> None:
        plain = name.rpartition(" ")[2]
        size = {"b": 1, "w": 2, "d": 4, "q": 8}[plain[-1]]
        if plain.startswith(("cmps", "scas")) and name.startswith("rep"):
            self.log.log_register(_RSP, Place(PlaceKind.UNKNOWN))  # where it stops depends on what it finds
            return
        repeated = name.startswith("rep")
        if repeated:
            self.log.log_register(_RCX, Place(PlaceKind.COUNT))
        if plain.startswith(("movs", "lods", "cmps")):
            self.log.log_register(_RSI, Place(PlaceKind.ACCESS, READS | (COUNTED if repeated else 0), size))
        if plain.startswith(("movs", "stos", "cmps", "scas")):
            kind = WRITES if plain.startswith(("movs", "stos")) else READS
            self.log.log_register(_RDI, Place(PlaceKind.ACCESS, kind | (COUNTED if repeated else 0), size))

    def _log_leaving(self, place: Place, indirect: Any | None) -> None:
        if self.only_conditions:
            return
        for register in _ARGUMENTS:
            self.log.log_register(register, Place(PlaceKind.ARGUMENT))
        target = _RSP if indirect is None else self._target_place(indirect)
        if isinstance(target, Operand):
            self.log.log_loaded(target, place)
        else:
            self.log.log_register(target, place)

    def _target_place(self, indirect: Any) -> int | Operand:
        """The register or the memory that holds where an indirect jump or call goes."""
        if indirect.operands[0].type == x86.X86_OP_REG:
            return GENERAL.index(indirect.reg_name(indirect.operands[0].reg))
        described = self.decoder.memory_operand(indirect, indirect.operands[0])
        if described is None:
            raise InstrumentError("a jump through memory that cannot be addressed")
        return described


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
