"""Whether what a body takes of the stack may grow with its data, told from its code alone.

It may not where every way round a loop leaves the stack as high as it was, and where it is moved elsewhere by constants only, or to
where a register says that compilers keep a frame's address in. So the frames of the code are bounded; calls of itself are looked at elsewhere.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Any

import capstone
import networkx as nx
from capstone import x86_const as x86

from compiler_ai.verify.code import OwnCode
from compiler_ai.verify.frames import successors, written

_STACK = (x86.X86_REG_RSP, x86.X86_REG_ESP, x86.X86_REG_SP)
_BASES = (x86.X86_REG_RSP, x86.X86_REG_RBP, x86.X86_REG_R10, x86.X86_REG_R13)  # the latter where GCC realigns the stack
_KNOWN = ("call", "ret", "push", "pushfq", "popfq", "leave")


def growth(own: OwnCode, never_return: Container[int] = ()) -> str:
    """Why the stack that it takes may grow with its data, "" when it does not; `never_return` are callees of which no call comes back."""
    decoder = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
    decoder.detail = True
    graph: Any = nx.DiGraph()
    moves: dict[int, int | None] = {}
    waiting = [own.entry, *own.table_targets]
    while waiting:
        at = waiting.pop()
        if at in moves or not own.holds(at):
            continue
        instruction = next(decoder.disasm(own.code(at), at, 1), None)
        if instruction is None:
            continue
        if _is_by_data(instruction):
            return f"its stack is moved by what is not constant at +{at - own.entry:#x}"
        moves[at] = _moved_by(instruction)
        callee = _callee(instruction)
        following = successors(own, instruction) if callee not in never_return else ()
        graph.add_edges_from((at, target) for target in following)
        waiting += following
        if callee is not None:
            waiting.append(callee)
    for loop in nx.strongly_connected_components(graph):
        if (found := _unbalanced(graph.subgraph(loop), moves)) is not None:
            return f"its stack is not as high as before each time round at +{found - own.entry:#x}"
    return ""


def _callee(instruction: Any) -> int | None:
    """What it calls by its address."""
    is_direct = _plain(instruction) == "call" and instruction.operands[0].type == x86.X86_OP_IMM
    return int(instruction.operands[0].imm) if is_direct else None


def _is_by_data(instruction: Any) -> bool:
    name, operands = _plain(instruction), instruction.operands
    if name == "pop":
        return operands[0].type == x86.X86_OP_REG and operands[0].reg in _STACK
    if name in _KNOWN or "rsp" not in written(instruction):
        return False
    if name == "mov":
        return bool(operands[1].type != x86.X86_OP_REG or operands[1].reg != x86.X86_REG_RBP)
    if name == "lea":
        return bool(operands[1].mem.index or operands[1].mem.base not in _BASES)
    return name not in ("add", "sub", "and") or operands[1].type != x86.X86_OP_IMM


def _moved_by(instruction: Any) -> int | None:
    """By how many bytes it moves the stack pointer; None when it puts it elsewhere."""
    name, operands = _plain(instruction), instruction.operands
    if name in ("call", "ret") or "rsp" not in written(instruction):
        return 0
    if name.startswith(("push", "pop")):
        size = operands[0].size if operands else 8
        return size if name.startswith("pop") else -size
    if name in ("add", "sub"):
        return int(operands[1].imm if name == "add" else -operands[1].imm)
    if name == "lea" and operands[1].mem.base in _STACK:
        return int(operands[1].mem.disp)
    return None


def _plain(instruction: Any) -> str:
    """Without prefixes."""
    return str(instruction.mnemonic.rpartition(" ")[2])


def _unbalanced(loop: Any, moves: dict[int, int | None]) -> int | None:
    """Where in a loop (a strongly connected part) the stack is not at one height, or None."""
    if not loop.number_of_edges():
        return None
    start = next(iter(loop))
    heights, waiting = {start: 0}, [start]
    while waiting:
        at = waiting.pop()
        move = moves[at]
        if move is None:
            return int(at)
        for target in loop.successors(at):
            if target not in heights:
                heights[target] = heights[at] + move
                waiting.append(target)
            elif heights[target] != heights[at] + move:
                return int(target)
    return None
