"""What a body's conditions decide whatever it is called with: its integer code is followed from the entry, loops as often as they go round.

Where a condition depends on more than the code, both ways are followed until they meet again, and what differs there is unknown from
then on; around a loop that is left by such a condition, until nothing more becomes unknown. So every block that a call can reach, and
every way that a condition can come out, is among those found: what is not among them needs no test.
Source: Cousot and Cousot, "Abstract interpretation" (POPL 1977); where ways meet is the branch's immediate postdominator.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import capstone
import networkx as nx
from capstone import x86_const as x86

from compiler_ai.sandbox.loader import LoadedObject
from compiler_ai.sandbox.object import RelocatableObject
from compiler_ai.verify.accesses import Decoder
from compiler_ai.verify.code import OwnCode, section_bases
from compiler_ai.verify.coverage import Blocks
from compiler_ai.verify.effects import (
    STACK,
    Compared,
    Effect,
    Flags,
    KnownFlags,
    State,
    UnfollowedError,
    effect_of,
    general,
    half_set,
    is_general,
    is_vector,
)
from compiler_ai.verify.integers import MASK, Sum, Value, added, difference, signed, symbol

_EXIT = -1
_MOST_OPEN = 60  # conditions within each other that depend on more than the code
_ENDS = ("ret", "ud2", "hlt", "int3")
_AFFINE = ("mov", "lea", "add", "sub", "inc", "dec", "cmp", "test", "nop")
_FRAME_BASES = (x86.X86_REG_RSP, x86.X86_REG_RBP)
_ROUNDS_SEEN, _MOST_SEEN = 3, 12  # of a loop, at least and at most, before some are skipped
_SKIPPED_LEAST = 4
_RETURN_TWICE = ("setjmp", "_setjmp", "sigsetjmp", "__sigsetjmp", "vfork", "getcontext")
_BOTH = frozenset({False, True})


@dataclass(frozen=True)
class Decided:
    """`reached` are the starts of the blocks that calls may reach, `outcomes` how conditions may come out, by their addresses."""

    reached: frozenset[int]
    outcomes: Mapping[int, frozenset[bool]]


@dataclass
class _Block:
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
class _Open:
    """A condition of which both ways are being followed; `again` is what is known when it is come to once more meanwhile."""

    again: State | None = None


@dataclass(frozen=True)
class Known:
    """What is known besides the code: where in it which sections' addresses are (-1 for another object's), and which functions'; and
    whether a function so named gets arguments on the stack."""

    relocated: Mapping[int, int]
    named: Mapping[int, str]
    has_stack_arguments: Callable[[str], bool]


def decided(own: OwnCode, blocks: Blocks, decoder: Decoder, known: Known, most_steps: int) -> Decided | None:
    """None when the code cannot be followed, or not in so many steps, each of which is a block or what a block would be."""
    try:
        return _Following(own, blocks, decoder, known, most_steps).followed()
    except UnfollowedError:
        return None


@dataclass
class _Rounds:
    """The rounds of a block that leads to itself: the states that it was entered with, whether the round before was plain, and what its
    jump compared; `is_over` once some were skipped, or there is no use in trying that again."""

    block: _Block
    entered: list[State] = field(default_factory=list)
    plain: list[bool] = field(default_factory=list)
    compared: list[tuple[Value, Value, int]] = field(default_factory=list)
    is_over: bool = False


def known_of(unit: RelocatableObject, body: LoadedObject, has_stack_arguments: Callable[[str], bool]) -> Known:
    """What a loaded object says."""
    bases = section_bases(unit, body)
    relocations = [
        (bases[section.index] + relocation.offset, relocation.symbol)
        for section in unit.sections.values()
        if section.index in bases
        for relocation in section.relocations
    ]
    return Known(
        {at: found.section if found.section in unit.sections else -1 for at, found in relocations},
        {at: found.name for at, found in relocations},
        has_stack_arguments,
    )


class _Following:
    def __init__(self, own: OwnCode, blocks: Blocks, decoder: Decoder, known: Known, most_steps: int) -> None:
        self._own = own
        self._blocks = blocks
        self._decoder = decoder
        self._known = known
        self._left = most_steps
        self._capstone = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
        self._capstone.detail = True
        self._made: dict[int, _Block] = {}
        self._reached: set[int] = set()
        self._outcomes: dict[int, set[bool]] = {at: set() for at in blocks.conditions}
        self._open: dict[int, _Open] = {}
        self._meeting: dict[int, int] = {}
        self._ways: dict[
            tuple[int, int], list[tuple[State, State | None]]
        ] = {}  # followed to the end, from what to what
        self._come_again: set[int] = set()  # open conditions that were come to once more

    def followed(self) -> Decided:
        self._meeting = self._postdominators()
        self._follow(self._own.entry, State.at_entry(), _EXIT)
        outcomes = {at: frozenset(found) for at, found in self._outcomes.items()}
        return Decided(frozenset(self._reached), outcomes)

    def _report(self, at: int, outcome: bool | None) -> None:
        self._outcomes.setdefault(at, set()).update(_BOTH if outcome is None else (outcome,))

    def _postdominators(self) -> dict[int, int]:
        """By block, where all ways from it meet first; `_EXIT` when that is behind the function's end."""
        graph: Any = nx.DiGraph()
        waiting = [self._own.entry]
        while waiting:
            start = waiting.pop()
            if start in graph and graph.nodes[start].get("done"):
                continue
            graph.add_node(start, done=True)
            block = self._block(start)
            targets = [target for target in block.targets if self._own.holds(target)]
            graph.add_edges_from((target, start) for target in targets)  # backwards
            if not targets or len(targets) < len(block.targets) or block.returns:
                graph.add_edge(_EXIT, start)
            waiting += targets
        if _EXIT not in graph:
            raise UnfollowedError("it never returns")
        found = dict(nx.immediate_dominators(graph, _EXIT))
        if any(block not in found for block in graph if block != _EXIT):
            raise UnfollowedError("a loop without an end")
        return found

    def _follow(self, start: int, state: State, stop: int) -> State | None:
        """What is known at the block `stop`, None when no way leads there."""
        rounds: _Rounds | None = None
        while start != stop:
            if not self._own.holds(start):
                return None
            block = self._block(start)
            if rounds is None or rounds.block is not block:
                rounds = _Rounds(block)
            self._reached.add(start)
            self._left -= 1
            if self._left < 0:
                raise UnfollowedError("too long to follow")
            if block.is_affine and not rounds.is_over:
                rounds.plain.append(block.is_plain)
                state = _skipped(rounds, state)
                block.is_plain = True
            for effect in block.effects:
                effect(state)
            if not block.targets:
                self._check_return(block, state)
                return None
            if not block.condition and len(block.targets) == 1:
                start = block.targets[0]
                continue
            outcome = None
            if block.condition:
                condition = self._blocks.conditions.get(block.condition)
                outcome = state.holds(condition) if condition is not None else None
                self._report(block.condition, outcome)
            if outcome is not None:
                rounds.compared.append(_compared(state.flags, condition.code if condition is not None else ""))
                start = block.targets[0 if outcome else 1]
                continue
            met = self._both_ways(block, state)
            if met is None:
                return None
            state, start, rounds = met, self._meeting[start], None
        return state

    def _both_ways(self, block: _Block, state: State) -> State | None:
        """What is known where all ways from a block meet, None when that is behind the end."""
        open_already = self._open.get(block.start)
        if open_already is not None:
            again = open_already.again
            open_already.again = state if again is None else again.joined(state)
            self._come_again.add(block.start)
            return None
        if len(self._open) >= _MOST_OPEN:
            raise UnfollowedError("too many conditions within each other")
        meeting = self._meeting[block.start]
        while True:
            self._open[block.start] = opened = _Open()
            # The way on first: what is known there of one check after another is least, and does for all ways out.
            ends = [self._way(target, state, meeting) for target in reversed(list(dict.fromkeys(block.targets)))]
            del self._open[block.start]
            joined = state if opened.again is None else state.joined(opened.again)
            if joined == state:
                break
            state = joined
        met = [end for end in ends if end is not None]
        if not met or meeting == _EXIT:
            return None
        found = met[0].copy()
        for other in met[1:]:
            found = found.joined(other)
        return found

    def _way(self, start: int, state: State, stop: int) -> State | None:
        """`_follow`, but not once more where as little or less was known before."""
        followed = self._ways.setdefault((start, stop), [])
        for known, end in followed:
            if known.joined(state) == known:
                return end
        outside, self._come_again = self._come_again, set()
        end = self._follow(start, state.copy(), stop)
        around = self._come_again & self._open.keys()
        self._come_again = outside | around
        if not around:  # else it is part of a loop that is being followed
            followed.append((state, end))
        return end

    def _check_return(self, block: _Block, state: State) -> None:
        if block.returns and state.registers[STACK] != symbol(STACK):
            raise UnfollowedError("a return to somewhere else")

    # Blocks ------------------------------------------------------------------------------------------------------

    def _block(self, start: int) -> _Block:
        if start not in self._made:
            self._made[start] = self._described(start)
        return self._made[start]

    def _described(self, start: int) -> _Block:
        """Raises UnfollowedError."""
        effects: list[Effect] = []
        block = _Block(start, effects, 0, ())
        narrow: list[int] = []
        is_affine = True
        for instruction in self._instructions(start):
            at, name = instruction.address, instruction.mnemonic.rpartition(" ")[2]
            following = at + instruction.size
            if instruction.group(x86.X86_GRP_JUMP):
                block.targets, block.condition = self._jump(instruction, name, following)
                block.is_affine = is_affine and start in block.targets and len(narrow) == len(set(narrow))
                block.narrow = frozenset(narrow)
                return block
            if name in _ENDS:
                block.returns = name == "ret"
                return block
            effect = self._effect(instruction, name)
            if effect is not None:
                if any(one.mem.index for one in _in_frame(instruction.operands)) or name == "call":
                    is_affine = False
                elif not _is_affine(instruction, name):
                    register = _only_sets(instruction)
                    is_affine = is_affine and register is not None
                    effect = self._watched(effect, block, at, register if register is not None else -1)
                else:
                    narrow += half_set(instruction, name)
                effects.append(effect)
            if following in self._blocks.starts:
                block.targets = (following,)
                return block
        raise UnfollowedError("code that ends within")

    def _effect(self, instruction: Any, name: str) -> Effect | None:
        if name == "call":
            return self._call(instruction)
        known, condition = self._known, self._blocks.conditions.get(instruction.address)
        return effect_of(instruction, self._decoder, condition, self._report, known.relocated)

    def _watched(self, effect: Effect, block: _Block, at: int, register: int) -> Effect:
        """The effect, which makes the block's round one that is not plain when the register, or its condition's outcome, is known."""
        condition = self._blocks.conditions.get(at)

        def watched(state: State) -> None:
            if condition is not None and state.holds(condition) is not None:
                block.is_plain = False
            effect(state)
            if register >= 0 and state.registers[register] is not None:
                block.is_plain = False

        return watched

    def _instructions(self, start: int) -> Iterator[Any]:
        at = start
        while self._own.holds(at):
            instruction = next(self._capstone.disasm(self._own.code(at), at, 1), None)
            if instruction is None:
                return
            yield instruction
            at += instruction.size

    def _jump(self, instruction: Any, name: str, following: int) -> tuple[tuple[int, ...], int]:
        """Where it leads, and its address if that depends on a condition."""
        operand = instruction.operands[0]
        if name.startswith("loop"):
            raise UnfollowedError(name)
        if operand.type == x86.X86_OP_IMM:
            targets = (operand.imm,) if name == "jmp" else (operand.imm, following)
            return targets, 0 if name == "jmp" else instruction.address
        if instruction.address not in self._blocks.indirect:
            return (), 0  # a tail call
        return tuple(sorted(self._own.table_targets)), instruction.address

    def _call(self, instruction: Any) -> Effect:
        operand = instruction.operands[0]
        target = operand.imm if operand.type == x86.X86_OP_IMM else 0
        if self._own.holds(target):
            raise UnfollowedError("a call of what it brought along")
        field = range(instruction.address, instruction.address + instruction.size)
        name = next((self._known.named[at] for at in field if at in self._known.named), "")
        if name in _RETURN_TWICE:
            raise UnfollowedError(name)
        has_stack_arguments = target == 0 or not name or self._known.has_stack_arguments(name)
        return lambda state: state.call(has_stack_arguments)


def _compared(flags: Flags, code: str) -> tuple[Value, Value, int]:
    """What a condition compares whose outcome depends on which of two numbers is greater, or whether they are the same."""
    if code.removeprefix("n") in ("s", "o", "p"):
        return None, None, 0
    if type(flags) is Compared:
        return flags
    is_of_result = type(flags) is KnownFlags and code in ("e", "ne")
    return (flags.result, 0, flags.size_bytes) if is_of_result else (None, None, 0)  # type: ignore[union-attr]


def _is_affine(instruction: Any, name: str) -> bool:
    """Whether all that it does to what is followed is to copy, to add and to compare, whole registers and words of the frame."""
    operands = instruction.operands
    if any(is_vector(instruction, one) for one in operands):
        return not (is_general(instruction, operands[0]) or x86.X86_REG_ECX in instruction.regs_access()[1])
    if name == "xor":
        registers = [one.reg for one in operands if one.type == x86.X86_OP_REG]
        return len(registers) == 2 and len(set(registers)) == 1 and operands[0].size >= 4
    words = [one for one in operands if one.type == x86.X86_OP_MEM and name not in ("lea", "cmp", "test")]
    return name in _AFFINE and all(one.size >= 4 for one in operands) and all(one.size == 8 for one in words)


def _in_frame(operands: Sequence[Any]) -> list[Any]:
    return [one for one in operands if one.type == x86.X86_OP_MEM and one.mem.base in _FRAME_BASES]


def _only_sets(instruction: Any) -> int | None:
    """The one general register that an instruction sets, -1 when it sets none; None when it does more than that to what is followed."""
    first = instruction.operands[0] if instruction.operands else None
    written = [one for one in instruction.regs_access()[1] if one != x86.X86_REG_EFLAGS]
    if first is None or _in_frame(instruction.operands):
        return None
    if first.type == x86.X86_OP_MEM:
        return None if written else -1
    return general(instruction, first) if first.type == x86.X86_OP_REG and set(written) <= {first.reg} else None


def _skipped(rounds: _Rounds, state: State) -> State:
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
