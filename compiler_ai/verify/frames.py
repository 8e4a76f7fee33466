"""Whether a body's unwind rules are right at every instruction on every path, told from its code alone.

Registers and stack slots are followed symbolically: as the canonical frame address plus a constant, or as a register's value at
entry. At each instruction the rules in force must give the frame address and find every callee-saved register's entry value.
What cannot be followed is not right: this only ever confirms. Memory that a called function or a store through another pointer could reach
is taken not to hold the frame's own slots; a body that overwrites those is refuted elsewhere.
Source: DWARF 5, 6.4 (call frame information); System V ABI AMD64, 3.2.1 (callee-saved registers).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import capstone
from capstone import x86_const as x86

from compiler_ai.sandbox.state import GENERAL
from compiler_ai.verify.code import OwnCode
from compiler_ai.verify.unwinding import SAVED, Rules, UnwindTable

_WORD = 8
_ENDS = ("ret", "ud2", "hlt", "int3")
_MOST_VISITS = 60  # of one instruction; each one loses knowledge, so there are few
_CALL_CLOBBERED = ("rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11")

Value = tuple[str, int]  # ("frame", k): the CFA + k; (a register's name, 0): its value at entry


@dataclass(frozen=True)
class _State:
    """Known register values, and known 8-byte slots by their distance from the CFA."""

    registers: dict[str, Value]
    slots: dict[int, Value]

    def merged(self, other: _State) -> _State:
        return _State(_common(self.registers, other.registers), _common(self.slots, other.slots))


def _common(a: dict[Any, Value], b: dict[Any, Value]) -> dict[Any, Value]:
    return {key: value for key, value in a.items() if b.get(key) == value}


class Paths:
    """Where the saved registers lie at every instruction that paths through a body's code lead to: followed once, asked often."""

    def __init__(self, own: OwnCode, table: UnwindTable) -> None:
        self._own = own
        self._table = table
        self._decoder = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
        self._decoder.detail = True
        self._decoded: dict[int, Any] = {}
        self._states: dict[int, _State] = {}
        self._visits: dict[int, int] = {}
        self._lost = self._follow()

    def unconfirmed(self, addresses: frozenset[int]) -> str:
        """Why the rules are not confirmed for the blocks at `addresses`, or ""."""
        return self._lost or self._check(addresses)

    def _follow(self) -> str:
        """Why the paths cannot be followed to their ends, or ""."""
        fresh = _State({**{name: (name, 0) for name in SAVED}, "rsp": ("frame", -_WORD)}, {})
        waiting = [(self._own.entry, fresh)]
        while waiting:
            at, state = waiting.pop()
            if not self._own.holds(at):
                continue
            known = self._states.get(at)
            if known is not None:
                state = known.merged(state)
                if state == known:
                    continue
            self._states[at] = state
            self._visits[at] = self._visits.get(at, 0) + 1
            if self._visits[at] > _MOST_VISITS:
                return "its paths are too many to follow"
            instruction = self._instruction(at)
            if instruction is None:
                continue
            after = _after(instruction, state)
            for target in self._called(instruction):
                waiting.append((target, fresh))
            waiting += [(target, after) for target in successors(self._own, instruction)]
        return ""

    def _check(self, wanted: frozenset[int]) -> str:
        ends = sorted({*wanted, *(high for _, high in self._own.ranges)})
        for start in sorted(wanted):
            stop = next((end for end in ends if end > start), start + 1)
            at = start
            while at < stop:
                instruction, state = self._instruction(at), self._states.get(at)
                if instruction is None or state is None:
                    if at == start:
                        return f"no known path leads to +{at - self._own.entry:#x}"
                    break
                rules = self._table.at(at)
                found = "no unwind rules" if rules is None else _wrong(rules, state)
                if found:
                    return f"{found} at +{at - self._own.entry:#x}"
                at += instruction.size
        return ""

    def _instruction(self, at: int) -> Any | None:
        if at not in self._decoded:
            self._decoded[at] = next(self._decoder.disasm(self._own.code(at), at, 1), None)
        return self._decoded[at]

    def _called(self, instruction: Any) -> list[int]:
        if instruction.mnemonic == "call" and instruction.operands[0].type == x86.X86_OP_IMM:
            return [instruction.operands[0].imm]
        return []


def successors(own: OwnCode, instruction: Any) -> Sequence[int]:
    """Where control goes from an instruction, as far as that is a place in the code or may be named by a table."""
    plain = instruction.mnemonic.rpartition(" ")[2]
    following = instruction.address + instruction.size
    if plain in _ENDS:
        return ()
    if instruction.group(x86.X86_GRP_JUMP):
        operand = instruction.operands[0]
        if operand.type != x86.X86_OP_IMM:
            return sorted(own.table_targets)
        return (operand.imm,) if plain == "jmp" else (operand.imm, following)
    return (following,)


def _wrong(rules: Rules, state: _State) -> str:
    if rules.strange:
        return f"unwind rules that are not understood ({rules.strange})"
    if state.registers.get(rules.register) != ("frame", -rules.offset):
        return f"{rules.register} is not known to lie {rules.offset} bytes below the frame address"
    for name in SAVED:
        value = state.slots.get(rules.saved[name]) if name in rules.saved else state.registers.get(name)
        if value != (name, 0):
            return f"{name} is not known to be where the unwind rules look for it"
    return ""


def _after(instruction: Any, state: _State) -> _State:
    """The state behind one instruction."""
    registers, slots = dict(state.registers), dict(state.slots)
    plain = instruction.mnemonic.rpartition(" ")[2]
    operands = instruction.operands
    if plain in ("push", "pushfq", "pop", "popfq", "leave"):
        _stack_operation(instruction, plain, registers, slots)
        return _State(registers, slots)
    if plain == "call":
        for name in _CALL_CLOBBERED:
            registers.pop(name, None)
        return _State(registers, slots)
    result = _result(instruction, plain, registers, slots)
    for name in written(instruction):
        registers.pop(name, None)
    if operands and operands[0].type == x86.X86_OP_MEM and plain not in ("cmp", "test", "jmp"):
        place = _frame_place(instruction, operands[0], state.registers)
        if place is not None:
            size = operands[0].size
            for slot in [slot for slot in slots if slot < place + size and slot + _WORD > place]:
                del slots[slot]
            if result is not None and size == _WORD:
                slots[place] = result
    elif result is not None and operands and operands[0].type == x86.X86_OP_REG:
        name = instruction.reg_name(operands[0].reg)
        if name in GENERAL:
            registers[name] = result
    return _State(registers, slots)


def _stack_operation(instruction: Any, plain: str, registers: dict[str, Value], slots: dict[int, Value]) -> None:
    if plain == "leave":
        base = registers.pop("rbp", None)
        registers.pop("rsp", None)
        if base is not None and base[0] == "frame":
            registers["rsp"] = ("frame", base[1] + _WORD)
            if base[1] in slots:
                registers["rbp"] = slots[base[1]]
        return
    stack = registers.pop("rsp", None)
    is_known = stack is not None and stack[0] == "frame"
    operand = instruction.operands[0] if instruction.operands else None
    name = instruction.reg_name(operand.reg) if operand is not None and operand.type == x86.X86_OP_REG else None
    if plain.startswith("push"):
        value = registers.get(name) if name else None
        if is_known and stack is not None:
            registers["rsp"] = ("frame", stack[1] - _WORD)
            slots.pop(stack[1] - _WORD, None)
            if value is not None:
                slots[stack[1] - _WORD] = value
        return
    if name:
        registers.pop(name, None)
    if is_known and stack is not None:
        registers["rsp"] = ("frame", stack[1] + _WORD)
        if name and stack[1] in slots:
            registers[name] = slots[stack[1]]


def _result(instruction: Any, plain: str, registers: dict[str, Value], slots: dict[int, Value]) -> Value | None:
    """What the instruction's first operand holds afterwards, when that can be told."""
    operands = instruction.operands
    if len(operands) != 2:
        return None
    first, second = operands
    if plain == "lea" and second.type == x86.X86_OP_MEM:
        place = _frame_place(instruction, second, registers)
        return ("frame", place) if place is not None else None
    if plain in ("mov", "movabs") and first.size == _WORD:
        if second.type == x86.X86_OP_REG:
            return registers.get(instruction.reg_name(second.reg))
        if second.type == x86.X86_OP_MEM:
            place = _frame_place(instruction, second, registers)
            return slots.get(place) if place is not None else None
    if plain in ("add", "sub") and first.type == x86.X86_OP_REG and second.type == x86.X86_OP_IMM:
        value = registers.get(instruction.reg_name(first.reg))
        if value is not None and value[0] == "frame":
            return ("frame", value[1] + (second.imm if plain == "add" else -second.imm))
    return None


def _frame_place(instruction: Any, operand: Any, registers: dict[str, Value]) -> int | None:
    """A memory operand's distance from the frame address."""
    memory = operand.mem
    if memory.index or memory.segment or not memory.base:
        return None
    value = registers.get(instruction.reg_name(memory.base))
    return value[1] + memory.disp if value is not None and value[0] == "frame" else None


def written(instruction: Any) -> set[str]:
    """The general registers that any part of is written."""
    return {whole for register in instruction.regs_access()[1] if (whole := _whole(instruction.reg_name(register)))}


def _whole(name: str) -> str:
    """The 64-bit register that `name` is a part of, "" for other registers."""
    if name in GENERAL:
        return name
    if name.startswith("r") and name[1:].rstrip("dwb").isdigit():
        return "r" + name[1:].rstrip("dwb")
    core = name.removeprefix("e").removesuffix("l").removesuffix("h")
    full = {"a": "rax", "b": "rbx", "c": "rcx", "d": "rdx", "s": "rsp"}
    if len(name) == 2 and name[1] in "lh" and core in ("a", "b", "c", "d"):
        return full[core]
    stem = name.removeprefix("e").removesuffix("l") if len(name) == 3 else name
    return f"r{stem}" if f"r{stem}" in GENERAL else ""
