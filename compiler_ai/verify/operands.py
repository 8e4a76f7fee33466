"""An instruction's operands on integers that are known from the code alone, whole registers, parts of them and memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from capstone import x86_const as x86

from compiler_ai.sandbox.state import GENERAL
from compiler_ai.verify.accesses import Decoder, Operand
from compiler_ai.verify.branches import NAMES
from compiler_ai.verify.integers import MASK, Low, Value, added, symbol, times
from compiler_ai.verify.known import (
    STATIC,
    WORD,
    State,
    UnfollowedError,
)


class Operands:
    """How the operands of one instruction are read and written. `relocated` maps the places of relocations in the code to the sections that they lead to, -1
    for another object's. All raise UnfollowedError for what is not followed."""

    def __init__(self, instruction: Any, decoder: Decoder, relocated: Mapping[int, int]) -> None:
        self._instruction = instruction
        self._decoder = decoder
        self._relocated = relocated

    def reader(self, operand: Any) -> Callable[[State], Value]:
        """An operand's value, zero-extended."""
        size = operand.size
        mask = (1 << 8 * size) - 1
        if operand.type == x86.X86_OP_IMM:
            value = self.immediate(operand)
            value = value & mask if type(value) is int else value if size >= 4 else None
            return lambda _state: value
        if operand.type == x86.X86_OP_MEM:
            address = self.address_of(self.memory(operand))
            return lambda state: state.load(address(state), size)
        register, shift = self._general(operand)

        def read(state: State) -> Value:
            held = state.registers[register]
            if size == WORD:
                return None if type(held) is Low else held
            if type(held) is int:
                return int(held >> shift & mask)
            return held.value if type(held) is Low and size == 1 and not shift else None

        return read

    def writer(self, operand: Any) -> Callable[[State, Value], None]:
        size = operand.size
        if operand.type == x86.X86_OP_MEM:
            address = self.address_of(self.memory(operand))

            def store(state: State, value: Value) -> None:
                state.store(address(state), size, value)

            return store
        register, shift = self._general(operand)
        mask = (1 << 8 * size) - 1 << shift

        def write(state: State, value: Value) -> None:
            if size >= 4:
                state.set(register, value if size == WORD or type(value) is int else None)
                return
            old = state.registers[register]
            if type(old) is int and type(value) is int:
                state.set(register, old & ~mask | value << shift)
            elif shift:
                state.set(register, old if type(old) is Low else None)
            else:
                state.set(register, Low(value & 0xFF) if type(value) is int else None)

        return write

    def _general(self, operand: Any) -> tuple[int, int]:
        found = register_of(self._instruction.reg_name(operand.reg))
        if found[0] < 0:
            raise UnfollowedError(self._instruction.mnemonic)
        return found

    def memory(self, operand: Any) -> Operand | None:
        described = self._decoder.memory_operand(self._instruction, operand)
        return None if described is None or described.segment else described

    def _static(self, value: int, field: int, is_place: bool = False) -> Value:
        """A number in the instruction, so many bytes from its start: when a relocation changes it, or it `is_place` by itself, the address
        of something, which says nothing of how far that is from what is in other sections."""
        section = self._relocated.get(self._instruction.address + field) if field else None
        if section is None and not is_place:
            return value & MASK
        section = section or 0
        return added(symbol(STATIC + section), value & MASK) if section >= 0 else None

    def immediate(self, operand: Any) -> Value:
        return self._static(operand.imm, self._instruction.imm_offset)

    def address_of(self, operand: Operand | None) -> Callable[[State], Value]:
        if operand is None:
            return lambda _state: None
        base, index, scale = operand.base, operand.index, operand.scale
        is_place = base < 0 and index < 0
        displacement = self._static(operand.displacement, self._instruction.disp_offset, is_place)

        def address(state: State) -> Value:
            registers = state.registers
            value = displacement
            if base >= 0:
                value = added(registers[base], value)
            if index >= 0:
                value = added(value, times(registers[index], scale))
            return value

        return address


def sized(value: Value, size_bytes: int) -> Value:
    if type(value) is int:
        return value & (1 << 8 * size_bytes) - 1
    return value if size_bytes == WORD else None


_PARTS: dict[str, tuple[int, int]] = {
    **{name: (index, 0) for name, (index, _) in NAMES.items()},
    **{f"{name[1]}h": (GENERAL.index(name), 8) for name in ("rax", "rbx", "rcx", "rdx")},
}


def register_of(name: str | None) -> tuple[int, int]:
    """The general register that a name is a part of, as an index into GENERAL, and the part's first bit; -1 for others."""
    return _PARTS.get(name or "", (-1, 0))


def register_set(instruction: Any, name: str) -> list[int]:
    """The general register that an instruction sets, if it does."""
    operands = instruction.operands
    is_set = name not in ("cmp", "test") and operands and is_general(instruction, operands[0])
    return [general(instruction, operands[0])] if is_set else []


def half_set(instruction: Any, name: str) -> list[int]:
    """The general register whose lower half an instruction sets, if it does."""
    return register_set(instruction, name) if instruction.operands and instruction.operands[0].size == 4 else []


def general(instruction: Any, operand: Any) -> int:
    """The general register that a register operand is a part of, as an index into GENERAL, -1 for others."""
    return register_of(instruction.reg_name(operand.reg))[0]


def is_general(instruction: Any, operand: Any) -> bool:
    """Whether an operand is a general register."""
    return operand.type == x86.X86_OP_REG and general(instruction, operand) >= 0


def is_vector(instruction: Any, operand: Any) -> bool:
    """Whether an operand is no integer: a vector, mask or floating-point register."""
    name = instruction.reg_name(operand.reg) if operand.type == x86.X86_OP_REG else ""
    return bool(name) and name.startswith(("xmm", "ymm", "zmm", "mm", "st", "k"))
