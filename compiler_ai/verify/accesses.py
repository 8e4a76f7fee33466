"""Which bytes a traced run reads and writes, from its steps and the instructions' operands.

Source: Intel SDM volume 2 for what string, stack and masked instructions access; capstone for explicit operands.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import capstone
from capstone import x86_const as x86

from compiler_ai.sandbox.process import Trace
from compiler_ai.sandbox.state import GENERAL

_MASK = 0xFFFFFFFFFFFFFFFF
RED_ZONE_BYTES = 128
_STACK_BYTES = 8 << 20
_STRING_BYTES = {"b": 1, "w": 2, "d": 4, "q": 8}
# What an instruction does with a memory operand, by its name and the operand's place; capstone's own access flags are wrong
# for several SSE stores. Destination first (Intel order): stores only, reads only, and both for all others.
_STORES = ("mov", "vmov", "set", "fst", "fist", "fnst", "stmxcsr", "vstmxcsr", "pextr", "vpextr", "extract", "vextract",
           "vcvtps2ph", "vpscatter", "vscatter", "vpcompress", "vcompress", "maskmov", "vmaskmov", "vpmaskmov", "pop", "fbstp",
           "vpmov", "kmov", "bndmov")  # fmt: skip
_COMPARES = ("cmp", "test", "bt", "push", "jmp", "call", "mul", "imul", "div", "idiv", "fld", "fild", "fadd", "fsub", "fmul",
             "fdiv", "fcom", "fucom", "fiadd", "fisub", "fimul", "fidiv", "ficom", "ldmxcsr", "vldmxcsr")  # fmt: skip
_READ_AND_WRITTEN = ("bts", "btr", "btc", "cmpxchg")
_SECOND_WRITTEN = ("xchg",)
_NO_ACCESS = ("lea", "nop", "prefetch", "endbr", "clflush", "clwb")


@dataclass(frozen=True)
class Operand:
    """A memory operand; its address is base + index * scale + displacement, plus the segment's base."""

    base: int  # index into GENERAL, -1 for none, -2 for rip
    index: int
    scale: int
    displacement: int
    size_bytes: int
    reads: bool
    writes: bool
    segment: int  # 0 none, 1 fs, 2 gs
    is_float: bool = False  # one floating-point number


@dataclass(frozen=True)
class Decoded:
    """An instruction's memory operands, what it does to the stack, and its string operation if it is one."""

    operands: tuple[Operand, ...]
    push_bytes: int = 0
    pop_bytes: int = 0
    calls: bool = False
    string: str = ""  # such as "movsb", "rep stosq"
    source: int = -1  # the general register that is stored as 8 bytes, as an index into GENERAL
    unknown: bool = False


@dataclass
class Accesses:
    """Half-open byte ranges by kind; `floats` are those read as nothing but one floating-point number. `uncertain` when some
    access could not be computed (gathers, masked stores); `calls` whether any call was made."""

    reads: set[tuple[int, int]] = field(default_factory=set)
    floats: set[tuple[int, int]] = field(default_factory=set)
    writes: set[tuple[int, int]] = field(default_factory=set)
    lowest_stack: int = 0
    calls: bool = False
    uncertain: str = ""
    below_red_zone: set[int] = field(default_factory=set)


class Decoder:
    """Decodes each address once; `code` gives up to 16 bytes of code at an address."""

    def __init__(self, code: Callable[[int], bytes], fs_base: int, gs_base: int) -> None:
        self.code = code
        self._bases = (0, fs_base, gs_base)
        self._capstone = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
        self._capstone.detail = True
        self._known: dict[int, Decoded] = {}

    def accesses(self, trace: Trace) -> Accesses:
        """Everything the traced run accessed."""
        found = Accesses()
        view = memoryview(trace.data).cast("Q")
        reads, floats, writes = found.reads, found.floats, found.writes
        known = self._known
        lowest = _MASK
        for at in range(0, len(view), 18):
            rip = view[at]
            decoded = known.get(rip)
            if decoded is None:
                decoded = self.decoded(rip)
            stack = view[at + 6]
            if stack < lowest:
                lowest = stack
            if decoded.calls:
                found.calls = True
            if decoded.unknown:
                found.uncertain = f"the instruction at {rip:#x}"
            for operand in decoded.operands:
                address = operand.displacement + self._bases[operand.segment]
                if operand.base >= 0:
                    address += view[at + 2 + operand.base]
                if operand.index >= 0:
                    address += view[at + 2 + operand.index] * operand.scale
                address &= _MASK
                span = (address, address + operand.size_bytes)
                if operand.reads:
                    (floats if operand.is_float else reads).add(span)
                if operand.writes:
                    writes.add(span)
                    if stack - _STACK_BYTES < address < stack - RED_ZONE_BYTES:
                        found.below_red_zone.add(address)
            if decoded.push_bytes:
                writes.add((stack - decoded.push_bytes, stack))
                lowest = min(lowest, stack - decoded.push_bytes)
            if decoded.pop_bytes:
                reads.add((stack, stack + decoded.pop_bytes))
            if decoded.string:
                self._string(decoded, view, at, found)
        found.lowest_stack = lowest
        floats -= reads
        reads |= floats
        return found

    def _string(self, decoded: Decoded, view: Any, at: int, found: Accesses) -> None:
        """One iteration: single-stepping stops after each iteration of a repeated string instruction."""
        name = decoded.string
        size = _STRING_BYTES[name[-1]]
        if name.startswith("rep") and view[at + 2 + 1] == 0:
            return
        plain = name.rpartition(" ")[2]
        source, target = view[at + 2 + 6], view[at + 2 + 7]
        if plain.startswith(("movs", "lods", "cmps")):
            found.reads.add((source, source + size))
        if plain.startswith(("cmps", "scas")):
            found.reads.add((target, target + size))
        if plain.startswith(("movs", "stos")):
            found.writes.add((target, target + size))

    def decoded(self, rip: int) -> Decoded:
        """What the instruction at `rip` accesses."""
        decoded = self._known.get(rip)
        if decoded is None:
            decoded = self._known[rip] = self._decoded(rip)
        return decoded

    def address(self, operand: Operand, general: Sequence[int]) -> int:
        """The operand's address when the general registers, in GENERAL's order, are these."""
        address = operand.displacement + self._bases[operand.segment]
        if operand.base >= 0:
            address += general[operand.base]
        if operand.index >= 0:
            address += general[operand.index] * operand.scale
        return address & _MASK

    def segment_base(self, segment: int) -> int:
        """What an operand's segment (0 none, 1 fs, 2 gs) adds to its address."""
        return self._bases[segment]

    def memory_operand(self, instruction: Any, operand: Any) -> Operand | None:
        """One of an instruction's memory operands, as if it were loaded; None when its address cannot be computed."""
        return self._operand(instruction, operand, True, False)

    def _decoded(self, rip: int) -> Decoded:
        instruction = next(self._capstone.disasm(self.code(rip), rip, 1), None)
        if instruction is None:
            return Decoded((), unknown=True)
        name = instruction.mnemonic
        plain = name.rpartition(" ")[2]
        if _is_string(plain) and not any(_is_vector(operand) for operand in instruction.operands):
            return Decoded((), string=name)
        if plain.startswith(_NO_ACCESS):
            return Decoded(())
        operands: list[Operand] = []
        unknown = False
        for position, operand in enumerate(instruction.operands):
            if operand.type != x86.X86_OP_MEM:
                continue
            described = self._operand(instruction, operand, *_access(plain, position))
            if described is None:
                unknown = True
            else:
                operands.append(described)
        masked = plain.startswith(("vmaskmov", "vpmaskmov", "maskmov", "vpcompress", "vcompress"))
        if masked or (operands and any(self._is_mask(instruction, o) for o in instruction.operands)):
            unknown = True
        push = 8 if plain in ("push", "call", "pushfq") else 0
        pop = 8 if plain in ("pop", "popfq", "leave") else 0  # what `ret` reads is no datum
        return Decoded(tuple(operands), push, pop, plain == "call", source=_source(instruction, plain), unknown=unknown)

    def _is_mask(self, instruction: Any, operand: Any) -> bool:
        return bool(
            operand.type == x86.X86_OP_REG
            and x86.X86_REG_K0 <= operand.reg <= x86.X86_REG_K7
            and not instruction.mnemonic.startswith("k")
        )

    def _operand(self, instruction: Any, operand: Any, reads: bool, writes: bool) -> Operand | None:
        memory = operand.mem
        base = _number(instruction.reg_name(memory.base)) if memory.base else -1
        index = _number(instruction.reg_name(memory.index)) if memory.index else -1
        displacement = memory.disp
        if memory.base == x86.X86_REG_RIP:
            base, displacement = -1, displacement + instruction.address + instruction.size
        elif base is None or index is None:
            return None  # a gather's vector index, or 32-bit addressing
        segment = {x86.X86_REG_FS: 1, x86.X86_REG_GS: 2}.get(memory.segment, 0)
        return Operand(
            base,
            -1 if index is None else index,
            memory.scale,
            displacement,
            operand.size,
            reads,
            writes,
            segment,
            _is_float(instruction),
        )


def _is_float(instruction: Any) -> bool:
    """Whether what it has in memory is one floating-point number; integers come into vector registers by other instructions."""
    name = instruction.mnemonic.removeprefix("v")
    is_integer = name.startswith("p") or "si2" in name  # vpdpwssd, cvtsi2sd
    return name.endswith(("ss", "sd", "hpd", "lpd")) and not is_integer and any(map(_is_vector, instruction.operands))


def _source(instruction: Any, plain: str) -> int:
    """The 64-bit general register that a mov or push stores, -1 for anything else."""
    if plain not in ("mov", "push") or not instruction.operands:
        return -1
    operand = instruction.operands[-1]
    name = instruction.reg_name(operand.reg) if operand.type == x86.X86_OP_REG else None
    return GENERAL.index(name) if name in GENERAL else -1


def _is_string(name: str) -> bool:
    """Whether the mnemonic may be a string instruction; SSE's movsd has a vector operand."""
    return len(name) == 5 and name[:4] in ("movs", "stos", "lods", "scas", "cmps") and name[4] in _STRING_BYTES


def _is_vector(operand: Any) -> bool:
    return bool(operand.type == x86.X86_OP_REG and x86.X86_REG_XMM0 <= operand.reg <= x86.X86_REG_XMM31)


def _access(name: str, position: int) -> tuple[bool, bool]:
    """(reads, writes) of a memory operand."""
    if position > 0:
        return True, name.startswith(_SECOND_WRITTEN)
    if (name.startswith(_STORES) and not name.startswith(("movbe", "vpmovm2"))) or name == "movbe":
        return False, True
    if name.startswith(_READ_AND_WRITTEN):
        return True, True
    return True, not name.startswith(_COMPARES)


def _number(name: str | None) -> int | None:
    if name in GENERAL:
        return GENERAL.index(name)
    return -1 if name in (None, "", "riz", "eiz") else None
