"""The basic blocks of a body, so that evidence can say which of them its tests executed, and the constants it mentions."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import capstone
from capstone import x86_const as x86

from compiler_ai.verify.code import OwnCode
from compiler_ai.verify.conditions import Condition, code_of

_ENDS = ("jmp", "ret", "ud2", "hlt", "int3")


class UnknownTargetError(Exception):
    """Control may go where no table tells."""


@dataclass(frozen=True)
class Blocks:
    """`starts` are the blocks' addresses; `branches` maps a conditional jump to the two blocks that it chooses between;
    `conditions` maps it, and each conditional move and set and sum with carry (the `selects`), to its condition; `indirect` are the jumps through
    tables; `constants` the immediate operands; `indexes_frame` says whether places in the body's own frame are computed; `joins` are the blocks that a jump leads to;
    `shared` the conditional jumps with a side that is come to from elsewhere too, or that lies outside: no block shows that it was taken."""

    starts: frozenset[int]
    branches: dict[int, tuple[int, int]]
    selects: frozenset[int]
    conditions: dict[int, Condition]
    indirect: frozenset[int]
    constants: tuple[int, ...]
    indexes_frame: bool = False
    joins: frozenset[int] = frozenset()
    shared: frozenset[int] = frozenset()


def blocks(own: OwnCode) -> Blocks:
    """The blocks of a function. Padding that nothing reaches is no block; what `own` does not hold is not followed.

    Raises UnknownTargetError for an indirect jump when the unit's data holds no table with a target in the function.
    """
    decoder = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
    decoder.detail = True
    leaders: set[int] = set()
    branches: dict[int, tuple[int, int]] = {}
    selects: set[int] = set()
    conditions: dict[int, Condition] = {}
    indirect: set[int] = set()
    constants: set[int] = set()
    indexing: set[int] = set()  # registers by which places in the frame are computed, if they hold its address
    frame = {x86.X86_REG_RSP}
    joins = set(own.table_targets)
    edges = {(at, at) for at in (own.entry, *own.table_targets)}  # from where to where
    waiting = [own.entry, *sorted(own.table_targets)]
    seen: set[int] = set()
    while waiting:
        start = waiting.pop()
        if start in leaders or not own.holds(start):
            continue
        leaders.add(start)
        at, asked = start, ""
        while own.holds(at) and (at not in seen or at == start):
            seen.add(at)
            instruction = next(decoder.disasm(own.code(at), at, 1), None)
            if instruction is None:
                break
            following = at + instruction.size
            indexing |= _indexed(instruction)
            if instruction.mnemonic == "mov" and instruction.op_str == "rbp, rsp":
                frame.add(x86.X86_REG_RBP)
            plain = instruction.mnemonic.rpartition(" ")[2]
            jump = instruction.group(x86.X86_GRP_JUMP)
            if plain.startswith(("set", "cmov", "adc", "sbb")):
                selects.add(at)
            if code := code_of(plain):
                conditions[at] = Condition(code, asked)
            if x86.X86_REG_EFLAGS in instruction.regs_access()[1]:
                asked = _without_places(instruction)
            for operand in instruction.operands:
                if operand.type != x86.X86_OP_IMM:
                    continue
                if jump:
                    joins.add(operand.imm)
                if jump or plain == "call":
                    edges.add((at, operand.imm))
                    waiting.append(operand.imm)  # followed only if it is own code: a part, or what was brought along
                else:
                    constants.add(operand.imm)
            if jump and instruction.operands and instruction.operands[0].type != x86.X86_OP_IMM:
                operand = instruction.operands[0]
                if not (operand.type == x86.X86_OP_MEM and operand.mem.base == x86.X86_REG_RIP):  # else a tail call
                    indirect.add(at)
                    if not own.table_targets:
                        raise UnknownTargetError(f"the indirect jump at +{at - own.entry:#x}")
            if plain not in _ENDS:
                edges.add((at, following))
            if jump and plain != "jmp":
                waiting.append(following)
                if instruction.operands[0].type == x86.X86_OP_IMM:
                    branches[at] = (instruction.operands[0].imm, following)
                break
            if plain in _ENDS:
                break
            at = following
    ways = Counter(to for _, to in edges if to in leaders)
    shared = {at for at, sides in branches.items() if any(ways[side] != 1 for side in sides)}
    return Blocks(
        frozenset(leaders),
        branches,
        frozenset(selects),
        conditions,
        frozenset(indirect),
        tuple(sorted(constants)),
        not indexing.isdisjoint(frame),
        frozenset(joins),
        frozenset(shared),
    )


def _indexed(instruction: Any) -> set[int]:
    """The registers of which it makes an address that depends on another one too, or that it copies."""
    found = set()
    for number, operand in enumerate(instruction.operands):
        if operand.type == x86.X86_OP_MEM and (operand.mem.index or instruction.mnemonic == "lea"):
            found |= {operand.mem.base, operand.mem.index}
        if operand.type == x86.X86_OP_REG and number == 1 and instruction.mnemonic == "mov":
            found.add(operand.reg)
    target = instruction.operands[0].reg if instruction.operands else 0
    return set() if target in (x86.X86_REG_RSP, x86.X86_REG_RBP) else found


def _without_places(instruction: Any) -> str:
    """The instruction with the sizes of its operands in place of registers and addresses."""
    operands = (
        f"${operand.imm:#x}" if operand.type == x86.X86_OP_IMM else str(operand.size)
        for operand in instruction.operands
    )
    return f"{instruction.mnemonic} {' '.join(operands)}".strip()
