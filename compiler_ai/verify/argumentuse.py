"""Which arguments a callee without a prototype reads, and how much of them: what its code reads before it writes it.

Its code is followed along every branch, and into what it calls as long as something may still hold an argument. Where it leads on
is not always known; then neither is what else is read.
Source: System V ABI AMD64, 3.2.2 (the stack frame), 3.2.3 (parameter passing).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import capstone
from capstone import x86_const as x86

from compiler_ai.verify.passing import VECTOR_ARGUMENTS

_PARTS = {  # of the argument registers in order: how many of the lowest bytes each part has (dh: of edx's lowest two)
    "rdi": {"rdi": 8, "edi": 4, "di": 2, "dil": 1},
    "rsi": {"rsi": 8, "esi": 4, "si": 2, "sil": 1},
    "rdx": {"rdx": 8, "edx": 4, "dx": 2, "dl": 1, "dh": 2},
    "rcx": {"rcx": 8, "ecx": 4, "cx": 2, "cl": 1, "ch": 2},
    "r8": {"r8": 8, "r8d": 4, "r8w": 2, "r8b": 1},
    "r9": {"r9": 8, "r9d": 4, "r9w": 2, "r9b": 1},
}
_BYTES = {name: size for parts in _PARTS.values() for name, size in parts.items()}
_WHOLE = {name: whole for whole, parts in _PARTS.items() for name in parts}
_MOST_INSTRUCTIONS = 4_000
_FIRST_ON_STACK_BYTES = 8
_MOVES = frozenset({"movaps", "movapd", "movdqa", "movups", "movupd", "movdqu"})
_ENDS = ("ud2", "hlt", "int3")

Place = str | int  # a register, or an offset from the stack pointer at entry


@dataclass
class Used:
    """The places that a function reads as arguments, each with how many of its lowest bytes; of those that are `unsure` maybe fewer.
    `knows_registers`, `knows_stack`: no other register, nothing else on the stack is."""

    places: dict[Place, int] = field(default_factory=dict)
    unsure: set[Place] = field(default_factory=set)
    knows_registers: bool = True
    knows_stack: bool = True

    def note(self, place: Place, size_bytes: int) -> None:
        self.places[place] = max(size_bytes, self.places.get(place, 0))


@dataclass(frozen=True)
class _Point:
    """What is known when an instruction is reached: which registers still hold which arguments, and how far the stack pointer and rbp are
    from where the stack pointer was at entry (None: elsewhere, in a callee of the callee too)."""

    held: Mapping[str, str]  # register -> the argument
    stack: int | None = 0
    frame: int | None = None

    def without(self, names: set[str]) -> _Point:
        gone = {_WHOLE.get(name, name.replace("ymm", "xmm").replace("zmm", "xmm")) for name in names}
        frame = None if "rbp" in names else self.frame
        return replace(self, held={name: of for name, of in self.held.items() if name not in gone}, frame=frame)


class ArgumentUse:
    """Decodes each callee once; `code` gives up to 16 bytes of code at an address, `word` the pointer that lies at an address, 0 for
    none."""

    def __init__(self, code: Callable[[int], bytes], word: Callable[[int], int] = lambda _: 0) -> None:
        self._code = code
        self._word = word
        self._capstone = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
        self._capstone.detail = True
        self._known: dict[int, Used] = {}

    def of(self, target: int) -> Used:
        """What the function at `target` reads."""
        if target not in self._known:
            self._known[target] = self._read(target)
        return self._known[target]

    def _read(self, target: int) -> Used:
        used = Used()
        seen: dict[tuple[int, int | None, int | None], set[tuple[str, str]]] = {}
        waiting = [(target, _Point({name: name for name in (*_PARTS, *VECTOR_ARGUMENTS)}))]
        budget = _MOST_INSTRUCTIONS
        while waiting:
            at, point = waiting.pop()
            before = seen.get((at, point.stack, point.frame))
            if not budget:
                self._give_up(point, used)
                continue
            if (before is not None and point.held.items() <= before) or (not point.held and point.stack is None):
                continue
            seen[at, point.stack, point.frame] = (before or set()) | set(point.held.items())
            budget -= 1
            instruction = next(self._capstone.disasm(self._code(at), at, 1), None)
            if instruction is None:
                self._give_up(point, used)
            else:
                waiting += self._step(instruction, point, used)
        return used

    @staticmethod
    def _give_up(point: _Point, used: Used) -> None:
        used.knows_registers = used.knows_registers and not point.held
        used.knows_stack = used.knows_stack and point.stack is None

    def _step(self, instruction: capstone.CsInsn, point: _Point, used: Used) -> list[tuple[int, _Point]]:
        """Notes what one instruction reads; where it leads on, and with what."""
        read, written = ({instruction.reg_name(r) for r in group} for group in instruction.regs_access())
        operands = instruction.operands
        following = instruction.address + instruction.size
        self._note_stack(instruction, point, used)
        copied = _copied(instruction)
        if copied is not None:
            source, target = copied
            after = point.without({target})
            held = {**after.held, target: point.held[source]} if source in point.held else after.held
            return [(following, replace(after, held=held))]
        if not _clears(instruction):
            _note_registers(instruction, read, point, used)
        if instruction.mnemonic == "syscall":
            self._give_up(replace(point, stack=None), used)
        if instruction.group(x86.X86_GRP_CALL):
            # What it calls may overwrite every register that can hold an argument.
            return [(following, replace(point, held={})), *self._led(instruction, replace(point, stack=None), used)]
        if instruction.group(x86.X86_GRP_JUMP):
            led = self._led(instruction, point, used)
            return led if instruction.mnemonic.rpartition(" ")[2] == "jmp" else [*led, (following, point)]
        if instruction.group(x86.X86_GRP_RET) or instruction.mnemonic in _ENDS:
            return []
        moved = _moved(instruction, point.stack, point.frame)
        frame = point.stack if instruction.mnemonic == "mov" and _is_frame(operands) else None
        after = replace(point.without(written), stack=moved)
        return [(following, replace(after, frame=frame) if frame is not None else after)]

    def _led(self, instruction: capstone.CsInsn, point: _Point, used: Used) -> list[tuple[int, _Point]]:
        operand = instruction.operands[0]
        if operand.type == x86.X86_OP_IMM:
            return [(operand.imm, point)]
        if operand.type == x86.X86_OP_MEM and operand.mem.base == x86.X86_REG_RIP and not operand.mem.index:
            target = self._word(instruction.address + instruction.size + operand.mem.disp)
            if target:
                return [(target, point)]
        self._give_up(point, used)
        return []

    @staticmethod
    def _note_stack(instruction: capstone.CsInsn, point: _Point, used: Used) -> None:
        """What lies above the return address is an argument, or what the caller has there."""
        for operand in instruction.operands:
            if operand.type != x86.X86_OP_MEM:
                continue
            bases = {x86.X86_REG_RSP: point.stack, x86.X86_REG_RBP: point.frame}
            base = bases.get(operand.mem.base)
            if base is None or base + operand.mem.disp < _FIRST_ON_STACK_BYTES:
                continue
            if instruction.mnemonic == "lea" or operand.mem.index:
                used.knows_stack = False
            elif operand.access & capstone.CS_AC_READ:
                used.note(base + operand.mem.disp, min(operand.size, _scalar_bytes(instruction)))


def _note_registers(instruction: capstone.CsInsn, read: set[str], point: _Point, used: Used) -> None:
    for name in read:
        whole = _WHOLE.get(name, name.replace("ymm", "xmm").replace("zmm", "xmm"))
        argument = point.held.get(whole)
        if argument is None:
            continue
        size = _BYTES.get(name, 0) or _scalar_bytes(instruction)
        used.note(argument, size)
        if name not in _BYTES and size > 8:
            used.unsure.add(argument)  # it may be saved whole, whatever counts


def _scalar_bytes(instruction: capstone.CsInsn) -> int:
    """How many bytes of a vector operand an instruction reads."""
    name = instruction.mnemonic.removeprefix("v")
    if name.startswith("p"):
        return 16
    if name in ("movq", "cvtsd2si") or "sd2" in name or name.endswith("sd"):
        return 8
    return 4 if name == "movd" or "ss2" in name or name.endswith("ss") else 16


def _copied(instruction: capstone.CsInsn) -> tuple[str, str] | None:
    """(from, to) of a move between vector registers: what is moved may be a scalar."""
    operands = instruction.operands
    if instruction.mnemonic.removeprefix("v") not in _MOVES or any(o.type != x86.X86_OP_REG for o in operands):
        return None
    target, source = (instruction.reg_name(operand.reg) for operand in operands)
    return (source, target) if source.startswith("xmm") else None


def _moved(instruction: capstone.CsInsn, stack: int | None, frame: int | None) -> int | None:
    """The stack pointer's distance after an instruction."""
    name, operands = instruction.mnemonic, instruction.operands
    if name == "leave":
        return frame + 8 if frame is not None else None
    if stack is None:
        return None
    if name in ("push", "pushfq"):
        return stack - 8
    if name in ("pop", "popfq"):
        return stack + 8
    if not operands or operands[0].type != x86.X86_OP_REG or operands[0].reg != x86.X86_REG_RSP:
        return stack
    if name in ("add", "sub") and operands[1].type == x86.X86_OP_IMM:
        return stack + int(operands[1].imm if name == "add" else -operands[1].imm)
    if name == "lea" and not operands[1].mem.index:
        base = {x86.X86_REG_RSP: stack, x86.X86_REG_RBP: frame}.get(operands[1].mem.base)
        return base + int(operands[1].mem.disp) if base is not None else None
    return None if operands[0].access & capstone.CS_AC_WRITE else stack


def _is_frame(operands: Sequence[capstone.x86.X86Op]) -> bool:
    """Whether it makes rbp what the stack pointer is."""
    registers = [operand.reg for operand in operands if operand.type == x86.X86_OP_REG]
    return registers == [x86.X86_REG_RBP, x86.X86_REG_RSP]


def _clears(instruction: capstone.CsInsn) -> bool:
    """Whether it sets a register to zero, whatever was there."""
    registers = [operand.reg for operand in instruction.operands if operand.type == x86.X86_OP_REG]
    name = instruction.mnemonic.removeprefix("v")
    return name in ("xor", "sub", "pxor", "xorps", "xorpd") and len(registers) > 1 and len({*registers[-2:]}) == 1
