"""What in-unit callers rely on beyond the ABI: GCC's -fipa-ra keeps values in call-clobbered registers across calls of
functions that do not write them (GCC manual, "Optimize Options"). A new body must leave those registers alone.

A register is relied on when the baseline does not write it, itself or through its callees, and a caller may read it
after the call: surely, by an instruction, or possibly, by another call or a return, if the caller had put something there.
A caller's own callers count too: what they keep across the caller, they keep across its callees.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import networkx as nx

from compiler_ai.asm import cfg
from compiler_ai.asm.decode import DecodeError, Instruction, Unit, widened
from compiler_ai.asm.function import Function
from compiler_ai.asm.listing import Listing
from compiler_ai.asm.liveness import NOTHING_AT_EXIT, Effect, abi_exit, arguments, live_after, pieces
from compiler_ai.asm.statements import VISIBILITY, directive_of, symbols_in
from compiler_ai.toolchains.description import Toolchain


def ipa_ra_registers(
    listing: Listing,
    function_name: str,
    toolchain: Toolchain,
    assembler: Sequence[str] = ("as",),
    returned: Mapping[str, frozenset[str]] | None = None,
    calls: CallGraph | None = None,
) -> frozenset[str] | None:
    """The call-clobbered registers (widest names) that a new body of the function must not write.

    `returned` gives the return registers of functions whose type is known; of the others every return register may hold
    a value at their `ret`, even one that they got as an argument. `calls` are the listing's, when the caller has them. None when it
    cannot be told (the listing does not assemble, code outside of functions calls it): the function is then to be left alone.
    """
    if listing.function(function_name) is None:
        return None
    calls = calls or CallGraph(listing)
    if not calls.callers(function_name):
        return None if calls.strays(function_name) else frozenset()
    try:
        return _Analysis(listing, toolchain, Unit(listing, toolchain, assembler), calls, returned or {}).required(
            function_name
        )
    except DecodeError:
        return None


def clobbered_registers(unit: Unit, function_name: str, toolchain: Toolchain) -> frozenset[str]:
    """The call-clobbered registers that a call of the function may write, transitively through in-unit callees.

    Everything when it calls outside of the unit, indirectly, or from inline assembly. Raises DecodeError.
    """
    return _Analysis(unit.listing, toolchain, unit, CallGraph(unit.listing), {}).clobbered(function_name)


class CallGraph:
    """Who calls or tail-calls whom in one listing, by the text; aliases stand for their functions."""

    def __init__(self, listing: Listing) -> None:
        self.functions = {function.name: function for function in listing.functions}
        self._names = {alias: target for alias, target in listing.aliases.items() if target in self.functions}
        self._names.update((name, name) for name in self.functions)
        self.graph: nx.DiGraph[str] = nx.DiGraph()
        self.graph.add_nodes_from(self.functions)
        self._outside: set[str] = set()
        self.address_taken = self._address_taken(listing)
        for name, function in self.functions.items():
            for line in function.body_lines:
                found = cfg.statement(line)
                if found is not None and (found.is_call or found.is_jump):
                    self.graph.add_edges_from((name, callee) for callee in self.callees(found))

    def callees(self, found: cfg.Statement) -> frozenset[str]:
        """The functions of the unit that a call or jump may go to; an indirect call may reach any whose address is taken."""
        if not found.is_indirect:
            return frozenset({self._names[found.target]} if found.target in self._names else ())
        named = {
            self._names[symbol]
            for symbol in symbols_in(f"\t{found.mnemonic}\t{found.operands}")
            if symbol in self._names
        }
        return frozenset(named or self.address_taken)

    def goes_outside(self, found: cfg.Statement) -> bool:
        return found.is_indirect or found.target not in self._names

    def callers(self, name: str) -> frozenset[str]:
        return frozenset(self.graph.predecessors(name))

    def ancestors(self, name: str) -> frozenset[str]:
        return frozenset(nx.ancestors(self.graph, name)) | {name}

    def is_recursive(self, name: str) -> bool:
        """Whether a function of the unit may come to call itself, as far as that goes through functions of the unit."""
        return any(name == callee or nx.has_path(self.graph, callee, name) for callee in self.graph.successors(name))

    def strays(self, name: str) -> bool:
        """Whether code that belongs to no function of the listing mentions this one in a call or jump."""
        return name in self._outside

    def _address_taken(self, listing: Listing) -> frozenset[str]:
        inside = {
            number for function in self.functions.values() for number in range(function.entry, function.size_line)
        }
        taken: set[str] = set()
        for number, line in enumerate(listing.lines):
            if not listing.sections[number].allocated or directive_of(line) in _NO_REFERENCE:
                continue
            found = cfg.statement(line) if listing.sections[number].executable else None
            symbols = {self._names[symbol] for symbol in symbols_in(line) if symbol in self._names}
            if not symbols:
                continue
            if found is not None and (found.is_call or found.is_jump):
                if number not in inside:
                    self._outside |= symbols
            else:
                taken |= symbols
        return frozenset(taken)


_NO_REFERENCE = frozenset({".type", ".size", ".globl", ".global", ".weak", ".local", ".set", ".section", *VISIBILITY})


class _Analysis:
    """One listing's clobbers and reliances, each computed at most once."""

    def __init__(
        self,
        listing: Listing,
        toolchain: Toolchain,
        unit: Unit,
        calls: CallGraph,
        returned: Mapping[str, frozenset[str]],
    ) -> None:
        self._listing = listing
        self._toolchain = toolchain
        self._unit = unit
        self._calls = calls
        self._returned = returned
        self._decoded: dict[str, tuple[Instruction, ...]] = {}
        self._direct: dict[str, tuple[frozenset[str], bool]] = {}
        self._clobbered: dict[str, frozenset[str]] = {}
        self._graphs: dict[str, nx.DiGraph[cfg.BasicBlock]] = {}
        self._read: dict[str, list[tuple[cfg.Statement, frozenset[str]]]] = {}

    def required(self, name: str) -> frozenset[str] | None:
        found: set[str] = set()
        for callee in self._calls.ancestors(name):
            if self._calls.strays(callee):
                return None
            kept = self._toolchain.call_clobbered - self.clobbered(callee)
            for caller in self._calls.callers(callee):
                if not kept <= found:
                    found |= kept & self._relied_on(caller, callee)
        return frozenset(found)

    def clobbered(self, name: str) -> frozenset[str]:
        if name not in self._clobbered:
            self._clobbered[name] = self._clobbers(name)
        return self._clobbered[name]

    def _clobbers(self, name: str) -> frozenset[str]:
        registers: set[str] = set()
        for member in nx.descendants(self._calls.graph, name) | {name}:
            writes, outside = self._written(member)
            if outside:
                return self._toolchain.call_clobbered
            registers |= writes
        return frozenset(registers) & self._toolchain.call_clobbered

    def _graph(self, name: str) -> nx.DiGraph[cfg.BasicBlock]:
        if name not in self._graphs:
            self._graphs[name] = cfg.build(self._listing, self._calls.functions[name])
        return self._graphs[name]

    def _instructions(self, name: str) -> tuple[Instruction, ...]:
        if name not in self._decoded:
            self._decoded[name] = self._unit.decode(self._calls.functions[name])
        return self._decoded[name]

    def _written(self, name: str) -> tuple[frozenset[str], bool]:
        """What the function's own instructions write, and whether control leaves the unit other than by returning."""
        if name not in self._direct:
            function = self._calls.functions[name]
            outside = function.has_inline_assembly
            for line in function.body_lines:
                found = cfg.statement(line)
                if found is None or not (found.is_call or found.is_jump) or found.target in function.local_labels:
                    continue
                if found.is_jump and found.is_indirect and function.local_labels and self._is_table_jump(function):
                    continue
                outside = outside or self._calls.goes_outside(found)
            writes = (instruction.writes for instruction in self._instructions(name))
            self._direct[name] = widened(frozenset[tuple[str, int]]().union(*writes)), outside
        return self._direct[name]

    def _is_table_jump(self, function: Function) -> bool:
        """Whether indirect jumps of the function have targets of its own; as clobbers, those add nothing."""
        graph = self._graph(function.name)
        return any(graph.out_degree(block) for block in graph.graph["exits"])

    def _effect(self, found: cfg.Statement, reads: frozenset[str]) -> Effect:
        callees = self._calls.callees(found)
        if self._calls.goes_outside(found) and not callees:
            return Effect(pieces(reads), pieces(self._toolchain.call_clobbered))
        # Whichever callee it is, only what all of them write is surely gone.
        gone = [self.clobbered(callee) for callee in callees]
        return Effect(pieces(reads), pieces(frozenset[str](gone[0]).intersection(*gone)))

    def _relied_on(self, caller: str, callee: str) -> frozenset[str]:
        """What `caller` may read after its calls of `callee` return."""
        if caller not in self._read:
            self._read[caller] = self._read_after_calls(caller)
        reads = (read for call, read in self._read[caller] if callee in self._calls.callees(call))
        return frozenset[str]().union(*reads)

    def _read_after_calls(self, caller: str) -> list[tuple[cfg.Statement, frozenset[str]]]:
        """The calls in `caller`, each with what may be read after it returns."""
        function = self._calls.functions[caller]
        graph = self._graph(caller)
        code = self._instructions(caller)
        none, every = frozenset[str](), arguments(self._toolchain)
        surely = live_after(
            graph, function, code, self._toolchain, lambda call: self._effect(call, none), NOTHING_AT_EXIT
        )
        possibly = live_after(
            graph,
            function,
            code,
            self._toolchain,
            lambda call: self._effect(call, every),
            abi_exit(self._toolchain, self._returned.get(caller)),
        )
        filled = self._filled(graph, function, code)
        return [
            (found, surely.after[line] | (possibly.after[line] & filled[line]))
            for line, found in _calls_in(function, graph)
        ]

    def _filled(
        self, graph: nx.DiGraph[cfg.BasicBlock], function: Function, code: Sequence[Instruction]
    ) -> dict[int, frozenset[str]]:
        """Registers that may hold something of the caller's before each line: forward, meeting in the union."""
        written: dict[int, frozenset[str]] = {}
        for instruction in code:
            written[instruction.line] = written.get(instruction.line, frozenset()) | widened(instruction.writes)
        returned = frozenset({*self._toolchain.integer_returns, *self._toolchain.vector_returns})
        calls = dict(_calls_in(function, graph))
        at_end: dict[cfg.BasicBlock, frozenset[str]] = dict.fromkeys(graph, frozenset())
        before: dict[int, frozenset[str]] = {}
        pending: list[cfg.BasicBlock] = list(graph.graph["blocks"])
        while pending:
            block = pending.pop(0)
            held = frozenset[str]().union(*(at_end[other] for other in graph.predecessors(block)))
            if block is cfg.entry(graph):
                held |= arguments(self._toolchain)
            for line in block.lines:
                before[line] = held
                if line in calls and calls[line].is_call:
                    gone = widened(self._effect(calls[line], frozenset()).kills)
                    held = (held - gone) | returned
                else:
                    held |= written.get(line, self._toolchain.call_clobbered)
            if held != at_end[block]:
                at_end[block] = held
                pending.extend(graph.successors(block))
        return before


def _calls_in(function: Function, graph: Iterable[cfg.BasicBlock]) -> list[tuple[int, cfg.Statement]]:
    found = ((line, cfg.statement(function.body_lines[line])) for block in graph for line in block.lines)
    return [(line, instruction) for line, instruction in found if instruction is not None and instruction.is_call]
