"""Rounds of a loop that are not followed one by one: a block that only copies and adds does the same to the same in every one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from capstone import x86_const as x86

from compiler_ai.verify.effects import Effect
from compiler_ai.verify.integers import MASK, Sum, Value, added, difference, signed
from compiler_ai.verify.known import HOLDS_FRAME, Compared, Flags, KnownFlags, State, is_of_frame
from compiler_ai.verify.operands import general, is_general, is_vector

_AFFINE = ("mov", "lea", "add", "sub", "inc", "dec", "cmp", "test", "nop")
_FRAME_BASES = (x86.X86_REG_RSP, x86.X86_REG_RBP)
_ROUNDS_SEEN, _MOST_SEEN = 3, 12  # of a loop, at least and at most, before some are skipped
_SKIPPED_LEAST = 4


@dataclass
class Block:
    """`effects` of its instructions; `condition` is the address of the conditional jump that ends it, 0 for none; `targets` where it leads, those of
    a conditional jump as (taken, not taken). `is_affine`: it leads to itself and does nothing but copy and add, as far as `is_plain`, which each
    round finds out, what it does else has unknown results; `narrow` are the registers of which it sets the lower half."""

    start: int
    effects: list[Effect]
    condition: int
    targets: tuple[int, ...]
    is_affine: bool = False
    narrow: frozenset[int] = frozenset()
    returns: bool = False
    is_plain: bool = True


@dataclass
class Rounds:
    """The rounds of a block that leads to itself: the states that it was entered with, whether the round before was plain, and what its
    jump compared; `is_over` once some were skipped, or there is no use in trying that again."""

    block: Block
    entered: list[State] = field(default_factory=list)
    plain: list[bool] = field(default_factory=list)
    compared: list[tuple[Value, Value, int]] = field(default_factory=list)
    is_over: bool = False


def compared(flags: Flags, code: str) -> tuple[Value, Value, int]:
    """What a condition compares whose outcome depends on which of two numbers is greater, or whether they are the same."""
    if code.removeprefix("n") in ("s", "o", "p"):
        return None, None, 0
    if type(flags) is Compared:
        return flags
    if type(flags) is KnownFlags and flags.size_bytes and code in ("e", "ne"):
        return flags.total, 0, flags.size_bytes
    return None, None, 0


def is_affine_instruction(instruction: Any, name: str) -> bool:
    """Whether all that it does to what is followed is to copy, to add and to compare, whole registers and words of the frame."""
    operands = instruction.operands
    if any(is_vector(instruction, one) for one in operands):
        return not (is_general(instruction, operands[0]) or x86.X86_REG_ECX in instruction.regs_access()[1])
    if name == "xor":
        registers = [one.reg for one in operands if one.type == x86.X86_OP_REG]
        return len(registers) == 2 and len(set(registers)) == 1 and operands[0].size >= 4
    words = [one for one in operands if one.type == x86.X86_OP_MEM and name not in ("lea", "cmp", "test")]
    return name in _AFFINE and all(one.size >= 4 for one in operands) and all(one.size == 8 for one in words)


def in_frame(operands: Sequence[Any]) -> list[Any]:
    """The memory operands that may be in the frame."""
    return [
        one
        for one in operands
        if one.type == x86.X86_OP_MEM and (one.mem.base in _FRAME_BASES or one.mem.index in _FRAME_BASES)
    ]


def only_sets(instruction: Any) -> int | None:
    """The one general register that an instruction sets, -1 when it sets none; None when it does more than that to what is followed."""
    first = instruction.operands[0] if instruction.operands else None
    written = [one for one in instruction.regs_access()[1] if one != x86.X86_REG_EFLAGS]
    if first is None or in_frame(instruction.operands):
        return None
    if first.type == x86.X86_OP_MEM:
        return None if written else -1
    return general(instruction, first) if first.type == x86.X86_OP_REG and set(written) <= {first.reg} else None


def skipped(rounds: Rounds, state: State) -> State:
    """The state a few rounds before the loop's end, when every round adds the same to the same, as a block does that only adds and copies
    and did so twice, and what is compared comes closer by as much each time; else the state."""
    rounds.entered.append(state.copy())
    if len(rounds.entered) < _ROUNDS_SEEN or len(rounds.compared) < _ROUNDS_SEEN - 1 or state.told:
        return state
    rounds.is_over = len(rounds.entered) >= _MOST_SEEN
    if not all(rounds.plain[1 - _ROUNDS_SEEN :]):
        return state
    steps = _steps(rounds.entered[-2], state)
    if steps is None or steps != _steps(rounds.entered[-3], rounds.entered[-2]):
        return state
    if any(steps[0][register] and is_of_frame(state.registers[register]) for register in HOLDS_FRAME):
        return state
    (first, second, size), earlier = rounds.compared[-1], rounds.compared[-2]
    apart, by, other = _apart(first, second), _step(earlier[0], first), _step(earlier[1], second)
    if apart is None or by is None or other is None or earlier[2] != size:
        return state
    closer = by - other
    if not closer or (apart > 0) == (closer > 0):
        return state
    count = abs(apart) // abs(closer) - 1
    if count < _SKIPPED_LEAST or not (
        _keeps_its_half(first, by * count, size) and _keeps_its_half(second, other * count, size)
    ):
        return state
    narrow = [(state.registers[register], steps[0][register]) for register in rounds.block.narrow]
    if not all(type(value) is int and 0 <= value + step * count < 1 << 32 for value, step in narrow if step):
        return state
    rounds.is_over = True
    return _advanced(state, steps, count)


_Steps = tuple[list[int], dict[tuple[int, int], int]]  # of the registers, and of the slots


def _steps(before: State, after: State) -> _Steps | None:
    if before.slots.keys() != after.slots.keys() or (before.told, before.lost) != (after.told, after.lost):
        return None
    registers = [_step(old, new) for old, new in zip(before.registers, after.registers, strict=True)]
    slots = {at: _step(before.slots[at][1], new) for at, (_, new) in after.slots.items()}
    if None in registers or None in slots.values():
        return None
    return [one for one in registers if one is not None], {at: one for at, one in slots.items() if one is not None}


def _step(before: Value, after: Value) -> int | None:
    if before == after:
        return 0
    apart = difference(after, before)
    return signed(apart) if type(apart) is int else None


def _apart(first: Value, second: Value) -> int | None:
    if type(first) is int and type(second) is int:
        return first - second
    apart = difference(first, second)
    return signed(apart) if type(apart) is int else None


def _keeps_its_half(value: Value, change: int, size_bytes: int) -> bool:
    """Whether a compared number neither wraps nor changes its sign on the way, so that it is less or greater in either sense."""
    number = value.constant if type(value) is Sum else value if type(value) is int else None
    if number is None:
        return False
    half = 1 << 8 * size_bytes - 1
    end = number + change
    return 0 <= end < 2 * half and (number < half) == (end < half)


def _advanced(state: State, steps: _Steps, count: int) -> State:
    found = state.copy()
    for register, step in enumerate(steps[0]):
        if step:
            found.registers[register] = added(found.registers[register], step * count & MASK)
    for at, step in steps[1].items():
        if step:
            size, value = found.slots[at]
            found.slots[at] = size, added(value, step * count & MASK)
    return found
