"""The control-flow graph of one function of a listing, as a networkx graph of basic blocks.

Over-approximate where the text does not say: an indirect jump goes to every label of the function whose address anything
takes, and may leave the function. x86-64, AT&T syntax.
"""

from __future__ import annotations

from dataclasses import dataclass

import networkx as nx

from compiler_ai.asm.function import Function
from compiler_ai.asm.listing import Listing
from compiler_ai.asm.statements import LOCAL_LABEL, directive_of, label_of, symbols_in, without_comment

# Functions that GCC and glibc declare noreturn and that compiled C calls.
_NORETURN = frozenset(
    {"abort", "exit", "_exit", "_Exit", "quick_exit", "__stack_chk_fail", "__assert_fail", "longjmp", "siglongjmp"}
    | {"__longjmp_chk", "__fortify_fail", "__chk_fail", "__builtin_unreachable", "_Unwind_Resume", "pthread_exit"}
)
_PREFIXES = ("notrack", "bnd", "rep", "repz", "repnz", "repe", "repne", "lock")
_TRAPS = ("ud2", "hlt", "int3")


@dataclass(frozen=True)
class BasicBlock:
    """Statements that run one after the other; ``lines`` are indexes into `Function.body_lines`, of instructions only."""

    index: int
    labels: tuple[str, ...]
    lines: tuple[int, ...]


@dataclass(frozen=True)
class Loop:
    """A natural loop; ``depth`` is 1 for an outermost one."""

    header: BasicBlock
    body: frozenset[BasicBlock]
    depth: int


@dataclass(frozen=True)
class Statement:
    """An instruction's mnemonic without prefixes, and its operands as text."""

    mnemonic: str
    operands: str

    @property
    def is_call(self) -> bool:
        return self.mnemonic in ("call", "callq", "lcall")

    @property
    def is_jump(self) -> bool:
        return self.mnemonic.startswith("j") or self.mnemonic.startswith("loop")

    @property
    def is_unconditional(self) -> bool:
        return self.mnemonic in ("jmp", "jmpq", "ljmp")

    @property
    def is_return(self) -> bool:
        return self.mnemonic in ("ret", "retq", "iret", "iretq")

    @property
    def is_indirect(self) -> bool:
        return (self.is_call or self.is_jump) and self.operands.startswith("*")

    @property
    def target(self) -> str:
        """The symbol that a direct call or jump goes to, without `@PLT`; "" for an indirect one."""
        return "" if self.is_indirect else self.operands.partition("@")[0].strip().strip('"')


def statement(line: str) -> Statement | None:
    """The instruction on a line, or None for a label, a directive, a comment or a blank line."""
    text = without_comment(line)
    label = label_of(text)
    if label:
        text = text[text.index(":") + 1 :]
    words = text.split(None, 1)
    while len(words) == 2 and words[0] in _PREFIXES:
        words = words[1].split(None, 1)
    if not words or words[0].startswith((".", "#", "/")):
        return None
    return Statement(words[0], words[1].strip() if len(words) == 2 else "")


def build(listing: Listing, function: Function) -> nx.DiGraph[BasicBlock]:
    """The graph; `graph.graph` holds "entry" (a block), "blocks" (in textual order) and "exits" (blocks that leave)."""
    blocks = _blocks(function)
    graph: nx.DiGraph[BasicBlock] = nx.DiGraph()
    graph.add_nodes_from(blocks)
    at = {label: block for block in blocks for label in block.labels}
    taken = [at[label] for label in _taken_labels(listing, function) if label in at]
    exits: list[BasicBlock] = []
    for block in blocks:
        successors, leaves = _successors(function, block, blocks, at, taken)
        graph.add_edges_from((block, successor) for successor in successors)
        if leaves:
            exits.append(block)
    graph.graph.update(entry=blocks[0], blocks=blocks, exits=tuple(exits))
    return graph


def entry(graph: nx.DiGraph[BasicBlock]) -> BasicBlock:
    block = graph.graph["entry"]
    assert isinstance(block, BasicBlock)
    return block


def dominators(graph: nx.DiGraph[BasicBlock]) -> dict[BasicBlock, BasicBlock]:
    """The immediate dominator of every reachable block but the entry."""
    first = entry(graph)
    found: dict[BasicBlock, BasicBlock | None] = nx.immediate_dominators(graph, first)
    return {block: parent for block, parent in found.items() if block is not first and parent is not None}


def unreachable(graph: nx.DiGraph[BasicBlock]) -> frozenset[BasicBlock]:
    first = entry(graph)
    reached: set[BasicBlock] = nx.descendants(graph, first)
    return frozenset(graph) - reached - {first}


def loops(graph: nx.DiGraph[BasicBlock]) -> tuple[Loop, ...]:
    """The natural loops, by header in textual order; back edges to one header make one loop (Aho et al., 9.6)."""
    above = dominators(graph)
    bodies: dict[BasicBlock, set[BasicBlock]] = {}
    dead = unreachable(graph)
    for tail, header in graph.edges:
        if tail in dead or not _dominates(header, tail, above):
            continue
        body = bodies.setdefault(header, {header})
        pending = [tail]
        while pending:
            block = pending.pop()
            if block not in body and block not in dead:
                body.add(block)
                pending.extend(graph.predecessors(block))
    return tuple(
        Loop(header, frozenset(body), sum(header in other for other in bodies.values()))
        for header, body in sorted(bodies.items(), key=lambda item: item[0].index)
    )


def _dominates(upper: BasicBlock, lower: BasicBlock, above: dict[BasicBlock, BasicBlock]) -> bool:
    block: BasicBlock | None = lower
    while block is not None and block is not upper:
        block = above.get(block)
    return block is upper


def _blocks(function: Function) -> tuple[BasicBlock, ...]:
    blocks: list[BasicBlock] = []
    labels: list[str] = []
    lines: list[int] = []

    def finish() -> None:
        if labels or lines:
            blocks.append(BasicBlock(len(blocks), tuple(labels), tuple(lines)))
            labels.clear()
            lines.clear()

    labels.append(function.name)
    for number, line in enumerate(function.body_lines):
        label = label_of(line)
        if label:
            if lines:
                finish()
            labels.append(label)
        found = statement(line)
        if found is None:
            continue
        lines.append(number)
        if found.is_jump or found.is_return or found.mnemonic in _TRAPS or _never_returns(found):
            finish()
    if lines or not blocks:
        finish()  # labels behind the last instruction (.LFE0) make no block
    return tuple(blocks)


def _never_returns(found: Statement) -> bool:
    return found.is_call and found.target in _NORETURN


def _successors(
    function: Function,
    block: BasicBlock,
    blocks: tuple[BasicBlock, ...],
    at: dict[str, BasicBlock],
    taken: list[BasicBlock],
) -> tuple[list[BasicBlock], bool]:
    """The blocks that may run next, and whether control may leave the function."""
    following = [blocks[block.index + 1]] if block.index + 1 < len(blocks) else []
    last = statement(function.body_lines[block.lines[-1]]) if block.lines else None
    if last is None:
        return following, not following
    if last.is_return:
        return [], True
    if last.mnemonic in _TRAPS or _never_returns(last):
        return [], False
    if not last.is_jump:
        return following, not following
    behind = [] if last.is_unconditional else following
    if last.is_indirect:
        return [*behind, *taken], True
    if last.target in at:
        return [*behind, at[last.target]], False
    return behind, True  # a tail call


def _taken_labels(listing: Listing, function: Function) -> list[str]:
    """The function's labels that data of the listing (jump tables) or a non-branch instruction of the body mentions."""
    own = function.local_labels
    inside = range(function.entry, function.size_line)
    elsewhere = {(number, label) for label in own for number in listing.mentions.get(label, ()) if number not in inside}
    found = dict.fromkeys(label for _, label in sorted(elsewhere))
    for line in function.body_lines:
        instruction = statement(line)
        if instruction is not None and not (instruction.is_jump and not instruction.is_indirect):
            found.update((label, None) for label in symbols_in(line) if label in own)
        elif directive_of(line) in (".long", ".quad", ".value", ".byte", ".4byte", ".8byte"):
            found.update((label, None) for label in LOCAL_LABEL.findall(line) if label in own)
    return list(found)
