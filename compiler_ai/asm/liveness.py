"""Which registers are live where in a function: backward data flow over register pieces (Aho et al., 9.2.5)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import networkx as nx

from compiler_ai.asm.cfg import BasicBlock, Statement, statement
from compiler_ai.asm.decode import Instruction, Piece, pieces_of, widened
from compiler_ai.asm.function import Function
from compiler_ai.toolchains.description import Toolchain


@dataclass(frozen=True)
class Effect:
    """What a statement does to registers; ``kills`` are those whose old value nobody can read afterwards."""

    reads: frozenset[Piece]
    kills: frozenset[Piece]


@dataclass(frozen=True)
class Liveness:
    """Full registers (widest names) live at each block's start and end, and after each line of `Function.body_lines`."""

    live_in: Mapping[BasicBlock, frozenset[str]]
    live_out: Mapping[BasicBlock, frozenset[str]]
    after: Mapping[int, frozenset[str]]


CallModel = Callable[[Statement], Effect]


def pieces(registers: Iterable[str]) -> frozenset[Piece]:
    """All pieces of full registers."""
    return frozenset(piece for register in registers for piece in pieces_of(register))


def abi_call(toolchain: Toolchain) -> CallModel:
    """A callee of which only the ABI is known: it may read every argument register and keeps the callee-saved ones."""
    effect = Effect(pieces(arguments(toolchain)), pieces(toolchain.call_clobbered))
    return lambda _call: effect


def arguments(toolchain: Toolchain) -> frozenset[str]:
    """Registers that may carry something into a function: arguments, the vector count (rax), the static chain (r10)."""
    return frozenset({*toolchain.integer_arguments, *toolchain.vector_arguments, "rax", "r10"})


@dataclass(frozen=True)
class ExitModel:
    """What is read after control leaves: by the caller after a return, by the function that a tail call goes to."""

    returns: frozenset[Piece]
    tail_calls: frozenset[Piece]


def abi_exit(toolchain: Toolchain, returned: frozenset[str] | None = None) -> ExitModel:
    """The ABI's view; `returned` are the registers of the function's return type, default all that a type may need."""
    if returned is None:
        returned = frozenset({*toolchain.integer_returns, *toolchain.vector_returns})
    saved = toolchain.callee_saved
    return ExitModel(pieces(returned | saved), pieces(arguments(toolchain) | saved))


NOTHING_AT_EXIT = ExitModel(frozenset(), frozenset())


def live_after(
    graph: nx.DiGraph[BasicBlock],
    function: Function,
    instructions: Sequence[Instruction],
    toolchain: Toolchain,
    call: CallModel | None = None,
    at_exit: ExitModel | None = None,
) -> Liveness:
    """Solve the data-flow equations. `call` says what a call does (default: the ABI), `at_exit` what callers may read.

    A statement that was not decoded (inline assembly) may read everything and kills nothing.
    """
    call = call or abi_call(toolchain)
    at_exit = abi_exit(toolchain) if at_exit is None else at_exit
    effects = line_effects(function, graph, instructions, toolchain, call)
    leaving = {block: _read_behind(function, block, at_exit) for block in graph.graph["exits"]}
    live_in: dict[BasicBlock, frozenset[Piece]] = dict.fromkeys(graph, frozenset())
    live_out: dict[BasicBlock, frozenset[Piece]] = dict.fromkeys(graph, frozenset())
    pending = list(graph.graph["blocks"])
    while pending:
        block = pending.pop()
        live = frozenset[Piece]().union(*(live_in[successor] for successor in graph.successors(block)))
        live_out[block] = live = live | leaving.get(block, frozenset())
        for line in reversed(block.lines):
            live = (live - effects[line].kills) | effects[line].reads
        if live != live_in[block]:
            live_in[block] = live
            pending.extend(graph.predecessors(block))
    after: dict[int, frozenset[str]] = {}
    for block in graph:
        live = live_out[block]
        for line in reversed(block.lines):
            after[line] = widened(live)
            live = (live - effects[line].kills) | effects[line].reads
    return Liveness(
        {block: widened(live) for block, live in live_in.items()},
        {block: widened(live) for block, live in live_out.items()},
        after,
    )


def line_effects(
    function: Function,
    graph: nx.DiGraph[BasicBlock],
    instructions: Sequence[Instruction],
    toolchain: Toolchain,
    call: CallModel,
) -> dict[int, Effect]:
    """The effect of every statement of the graph's blocks, by line."""
    unknown = Effect(pieces({*toolchain.call_clobbered, *toolchain.callee_saved}), frozenset())
    decoded: dict[int, Effect] = {}
    for instruction in instructions:
        effect = Effect(instruction.reads, instruction.kills)
        earlier = decoded.get(instruction.line)
        if earlier is not None:
            effect = Effect(earlier.reads | (effect.reads - earlier.kills), earlier.kills | effect.kills)
        decoded[instruction.line] = effect
    effects: dict[int, Effect] = {}
    for block in graph:
        for line in block.lines:
            effect = decoded.get(line, unknown)
            found = statement(function.body_lines[line])
            if found is not None and found.is_call and line in decoded:
                model = call(found)
                # An indirect call's own operand is read; what Capstone says of the stack pointer changes nothing here.
                effect = Effect(effect.reads | model.reads, model.kills)
            effects[line] = effect
    return effects


def _read_behind(function: Function, block: BasicBlock, at_exit: ExitModel) -> frozenset[Piece]:
    last = statement(function.body_lines[block.lines[-1]]) if block.lines else None
    return at_exit.returns if last is not None and last.is_return else at_exit.tail_calls | at_exit.returns
