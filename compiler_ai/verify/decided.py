"""What a body's conditions decide whatever it is called with: its integer code is followed from the entry, loops as often as they go round.

Where a condition depends on more than the code, both ways are followed until they meet again, and what differs there is unknown from
then on; around a loop that is left by such a condition, until nothing more becomes unknown. So every block that a call can reach, and
every way that a condition can come out, is among those found: what is not among them needs no test.
Source: Cousot and Cousot, "Abstract interpretation" (POPL 1977); where ways meet is the branch's immediate postdominator.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import capstone
import networkx as nx
from capstone import x86_const as x86

from compiler_ai.sandbox.loader import LoadedObject
from compiler_ai.sandbox.object import SHF_MERGE, RelocatableObject
from compiler_ai.verify.accesses import Decoder
from compiler_ai.verify.code import OwnCode, section_bases
from compiler_ai.verify.coverage import Blocks
from compiler_ai.verify.effects import Effect, effect_of
from compiler_ai.verify.integers import symbol
from compiler_ai.verify.known import STACK, State, UnfollowedError
from compiler_ai.verify.operands import half_set, register_set
from compiler_ai.verify.rounds import Block, Rounds, compared, in_frame, is_affine_instruction, only_sets, skipped

_EXIT = -1
_MOST_OPEN = 60  # conditions within each other that depend on more than the code
_MOST_WAYS = 8  # kept of those between two blocks
_EFFECTS_A_STEP = 16
_ENDS = ("ret", "ud2", "hlt", "int3")
_RETURN_TWICE = ("setjmp", "_setjmp", "sigsetjmp", "__sigsetjmp", "vfork", "getcontext")
_BOTH = frozenset({False, True})


@dataclass(frozen=True)
class Decided:
    """`reached` are the starts of the blocks that calls may reach, `outcomes` how conditions may come out, by their addresses."""

    reached: frozenset[int]
    outcomes: Mapping[int, frozenset[bool]]


@dataclass
class _Open:
    """A condition of which both ways are being followed; `again` is what is known when it is come to once more meanwhile."""

    again: State | None = None


@dataclass(frozen=True)
class Linked:
    """What is known besides the code: where in it which sections' addresses are (-1 for another object's), and which functions'; and
    whether a function so named gets arguments on the stack."""

    relocated: Mapping[int, int]
    named: Mapping[int, str]
    has_stack_arguments: Callable[[str], bool]


def decided(own: OwnCode, blocks: Blocks, decoder: Decoder, of_unit: Linked, most_steps: int) -> Decided | None:
    """None when the code cannot be followed, or not in so many steps, each of which is a block or what a block would be."""
    try:
        return _Following(own, blocks, decoder, of_unit, most_steps).followed()
    except UnfollowedError:
        return None


def linked(unit: RelocatableObject, body: LoadedObject, has_stack_arguments: Callable[[str], bool]) -> Linked:
    """What a loaded object says."""
    bases = section_bases(unit, body)
    # The linker moves what is in the others.
    kept = {index for index, section in unit.sections.items() if not section.flags & SHF_MERGE}
    relocations = [
        (bases[section.index] + relocation.offset, relocation.symbol)
        for section in unit.sections.values()
        if section.index in bases
        for relocation in section.relocations
    ]
    return Linked(
        {at: found.section if found.section in kept else -1 for at, found in relocations},
        {at: found.name for at, found in relocations},
        has_stack_arguments,
    )


class _Following:
    def __init__(self, own: OwnCode, blocks: Blocks, decoder: Decoder, of_unit: Linked, most_steps: int) -> None:
        self._own = own
        self._blocks = blocks
        self._decoder = decoder
        self._linked = of_unit
        self._left = most_steps
        self._capstone = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
        self._capstone.detail = True
        self._made: dict[int, Block] = {}
        self._reached: set[int] = set()
        self._outcomes: dict[int, set[bool]] = {at: set() for at in blocks.conditions}
        self._open: dict[int, _Open] = {}
        self._meeting: dict[int, int] = {}
        # Followed to the end, from one block to another: with what was known at the one, and then at the other.
        self._ways: dict[tuple[int, int], list[tuple[State, State | None]]] = {}
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
        rounds: Rounds | None = None
        while start != stop:
            if not self._own.holds(start):
                return None
            block = self._block(start)
            if rounds is None or rounds.block is not block:
                rounds = Rounds(block)
            self._reached.add(start)
            self._left -= 1 + len(block.effects) // _EFFECTS_A_STEP
            if self._left < 0:
                raise UnfollowedError("too long to follow")
            if block.is_affine and not rounds.is_over:
                rounds.plain.append(block.is_plain)
                state = skipped(rounds, state)
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
                rounds.compared.append(compared(state.flags, condition.code if condition is not None else ""))
                start = block.targets[0 if outcome else 1]
                continue
            met = self._both_ways(block, state)
            if met is None:
                return None
            state, start, rounds = met, self._meeting[start], None
        return state

    def _both_ways(self, block: Block, state: State) -> State | None:
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
            self._left -= 1
            if known.covers(state):
                return end
        outside, self._come_again = self._come_again, set()
        end = self._follow(start, state.copy(), stop)
        around = self._come_again & self._open.keys()
        self._come_again = outside | around
        if not around:  # else it is part of a loop that is being followed
            followed.append((state, end))
            del followed[:-_MOST_WAYS]
        return end

    def _check_return(self, block: Block, state: State) -> None:
        if block.returns and state.registers[STACK] != symbol(STACK):
            raise UnfollowedError("a return to somewhere else")

    # Blocks ------------------------------------------------------------------------------------------------------

    def _block(self, start: int) -> Block:
        if start not in self._made:
            self._made[start] = self._described(start)
        return self._made[start]

    def _described(self, start: int) -> Block:
        """Raises UnfollowedError."""
        effects: list[Effect] = []
        block = Block(start, effects, 0, ())
        narrow: list[int] = []
        written: list[int] = []
        is_affine, name, following = True, "", start
        for instruction in self._instructions(start):
            at, name = instruction.address, instruction.mnemonic.rpartition(" ")[2]
            following = at + instruction.size
            if instruction.group(x86.X86_GRP_JUMP):
                block.targets, block.condition = self._jump(instruction, name, following)
                is_affine = is_affine and all(written.count(register) == 1 for register in narrow)
                block.is_affine = is_affine and start in block.targets
                block.narrow = frozenset(narrow)
                return block
            if name in _ENDS:
                block.returns = name == "ret"
                return block
            effect = self._effect(instruction, name)
            if effect is not None:
                if any(one.mem.index for one in in_frame(instruction.operands)) or name == "call":
                    is_affine = False
                elif not is_affine_instruction(instruction, name):
                    register = only_sets(instruction)
                    is_affine = is_affine and register is not None
                    effect = self._watched(effect, block, at, register if register is not None else -1)
                else:
                    narrow += half_set(instruction, name)
                written += register_set(instruction, name)
                effects.append(effect)
            if following in self._blocks.starts:
                block.targets = (following,)
                return block
        if name != "call" or self._own.holds(following):
            raise UnfollowedError("code that ends within")
        return block  # the callee never returns

    def _effect(self, instruction: Any, name: str) -> Effect | None:
        if name == "call":
            return self._call(instruction)
        condition = self._blocks.conditions.get(instruction.address)
        return effect_of(instruction, self._decoder, condition, self._report, self._linked.relocated)

    def _watched(self, effect: Effect, block: Block, at: int, register: int) -> Effect:
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
        name = next((self._linked.named[at] for at in field if at in self._linked.named), "")
        if name in _RETURN_TWICE:
            raise UnfollowedError(name)
        has_stack_arguments = target == 0 or not name or self._linked.has_stack_arguments(name)
        return lambda state: state.call(has_stack_arguments)
