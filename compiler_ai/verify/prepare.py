"""What a function's candidates are judged by: contexts, tests and seeds for more, made once from its captures and C type."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from compiler_ai.capture.errors import CaptureError
from compiler_ai.capture.format import Capture
from compiler_ai.capture.format import load as load_capture
from compiler_ai.sandbox.errors import SandboxError
from compiler_ai.sandbox.image import CaptureImage, build_image
from compiler_ai.sandbox.loader import load
from compiler_ai.sandbox.object import UNDEFINED, RelocatableObject
from compiler_ai.sandbox.pages import PAGE_BYTES, page_floor
from compiler_ai.sandbox.process import Outcome, OutcomeKind, Sandbox
from compiler_ai.sandbox.symbols import Reference, SymbolKind
from compiler_ai.verify.answered import calls_outside, constants
from compiler_ai.verify.arguments import Arguments
from compiler_ai.verify.argumentuse import ArgumentUse
from compiler_ai.verify.assumed import assumed
from compiler_ai.verify.beyond import Beyond
from compiler_ai.verify.calls import Callees
from compiler_ai.verify.callsites import CallSites
from compiler_ai.verify.closed import may_be_called
from compiler_ai.verify.code import pointers, reader
from compiler_ai.verify.coverage import UnknownTargetError, blocks
from compiler_ai.verify.equivalence import describe_end, is_dead
from compiler_ai.verify.footprint import BLOCK_BYTES
from compiler_ai.verify.kept import spread
from compiler_ai.verify.machine import Context, span
from compiler_ai.verify.members import called_members
from compiler_ai.verify.moving import Moving
from compiler_ai.verify.prototype import Prototype
from compiler_ai.verify.reaching import Reaching
from compiler_ai.verify.reals import reals
from compiler_ai.verify.relations import Relations
from compiler_ai.verify.settings import Settings
from compiler_ai.verify.state import EntryState, has_padding, integer_parameters
from compiler_ai.verify.sweeping import Sweeping
from compiler_ai.verify.telling import Telling
from compiler_ai.verify.testcase import Test, trace_body
from compiler_ai.verify.thin import Varying
from compiler_ai.verify.toolong import TooLong

_CALLING = 3  # times as many traces where a function calls out of its unit: arguments show only there
_PLACE_BYTES, _MOST_PLACES = 8, 24
_OF_CLASSES = ("_ZTV", "_ZTI", "_ZTS", "_ZTT")  # Itanium C++ ABI, 5.1.4
_SAVED = ("rbx", "rbp", "r12", "r13", "r14", "r15", "rsp")


class Preparation(Sweeping, Reaching, Varying, Telling, Moving, Beyond):
    """The tests of one function: at first its captured calls. `notes` say what was left out and why."""

    def __init__(
        self,
        sandbox: Sandbox,
        baseline_object: bytes,
        function: str,
        captures: Sequence[Path],
        prototype: Prototype | None,
        settings: Settings,
        unoptimised: bytes = b"",
    ) -> None:
        super().__init__(sandbox, baseline_object, function, prototype, settings, unoptimised)
        self.notes: list[str] = []
        for path in self._chosen(captures):
            try:
                self._add_capture(path)
            except (CaptureError, SandboxError) as error:
                self.notes.append(f"{path.name}: {error}")

    def make_tests(self) -> None:
        """All tests besides the captured calls; once. Raises SandboxError."""
        self._check_unoptimised()
        self._arrange()
        self._change_magnitudes()
        self._fill_up()
        self._overlap()
        self._alias()
        if self._uncovered:
            self._leave_out_what_cannot_be()
        self._reach_blocks()
        self._answer()
        self._reach_boundaries()
        self._walk_tables()
        self._reach_the_rest()
        if self.relations is not None and self.relations.one_sided():
            self._leave_out_what_cannot_be()
        self._reach_relations()
        self._stretch()
        self._lengthen()
        self._sweep_arguments()
        self._sweep_loads()
        self._vary_where_few_come()
        self._count_where_no_captured_call_comes()
        self._change_behind_calls()
        self._move_arguments()
        self._go_beyond()
        self._tell_conditions()
        self._trace()

    def _chosen(self, captures: Sequence[Path]) -> list[Path]:
        if len(captures) <= self.settings.captures:
            return list(captures)
        return sorted(random.Random(self.settings.seed).sample(list(captures), self.settings.captures))

    def _add_capture(self, path: Path) -> None:
        capture = load_capture(path)
        if capture.impure or capture.exit_registers is None:
            return
        image = build_image(capture)
        baseline = load(self.body.object_bytes, self.body.function, image.bases[0], image.resolver)
        context = Context(capture, image, baseline, {address: page.data for address, page in capture.pages.items()})
        context.writable = {address for address, page in capture.pages.items() if page.prot & 2}
        context.foreign = _foreign(self.body.unit, image)
        for start, end in context.foreign:  # its pages come from the module's file
            for page in range(page_floor(start), end, PAGE_BYTES):
                context.initial.setdefault(page, image.resolver.page(page, PAGE_BYTES))
        self.machine.contexts.append(context)
        self.body.adopt(context)
        state = EntryState(f"capture {path.stem}", "captured", image, image.registers)
        outcome = self.machine.run(state, baseline, self.settings.captured_limit_ns)
        reason = replay_difference(capture, outcome)
        if reason:
            self.machine.contexts.remove(context)
            self.notes.append(f"{path.name}: GCC's own body does not replay: {reason}")
            return
        if len(self.machine.contexts) == 1:
            self._learn(context)
        test, _ = self.test(state, self._uncovered)
        if test is None:
            self.notes.append(f"{path.name}: GCC's own body depends on what no callee may rely on")
            return
        self._keep(test)
        first = test.fills[0][0]
        self._plant(first)
        trace = self.machine.trace(first, baseline, self.settings.trace_steps)
        if any(step.rip == capture.entry_address for step in trace):  # through a pointer, that is
            self.settings = replace(self.settings, recursive=True)

    def _check_unoptimised(self) -> None:
        """Code that does otherwise than the program did on a captured call tells nothing of other calls."""
        for test in self.tests:
            state, expected = test.fills[0]
            outcome = self._unoptimised.run(state, expected.cpu_ns)
            if outcome is not None and self.differ(expected, outcome, state, frozenset()):
                self._unoptimised.distrust()

    def _learn(self, context: Context) -> None:
        """What the baseline's code and unit say: blocks, constants, the callees' names."""
        names = {}
        for symbol in self.body.unit.symbols:
            if symbol.name and (symbol.section == UNDEFINED or symbol.kind is SymbolKind.FUNCTION):
                reference = Reference(symbol.name, symbol.kind, symbol.is_local, 0, self.body.unit.unit)
                address = context.image.resolver.resolve(reference)
                if address is not None:
                    names[address] = symbol.name
        names |= {address: name for name, address in context.capture.symbols.items() if address not in names}
        if self.prototype is not None:
            self.callees = Callees(names, self.prototype.callees, self.prototype.pointed, self.prototype.methods)
        else:
            self.callees = Callees(names, {})
        self.machine.callees = self.callees
        pages = context.image.pages
        code, may_call = reader([context.baseline.pages]), partial(may_be_called, context.capture)
        sites = CallSites(may_call, names, code, span(context.baseline))
        self.arguments = Arguments(self.callees, ArgumentUse(reader([pages]), pointers(pages)), sites)
        self._assume(context)
        own = self.own(self.body, context)
        self.reals = reals(own, constants(context.baseline, context.image.pages))
        self.calls_outside = calls_outside(context.baseline, self.callees)
        try:
            found = blocks(own)
        except UnknownTargetError:
            return
        self._blocks = found
        sites.members = called_members(own.code, own.ranges, found.joins)
        self.relations = Relations(self.machine, self.body, found, context)
        self.constants = found.constants
        self._uncovered = {start - context.baseline.entry for start in found.starts}
        self._coming = {block: [] for block in self._uncovered}

    def _assume(self, context: Context) -> None:
        """Parameters are taken from the body where no C type has them."""
        found = assumed(self.prototype, self.read_by(self.body, context), context.image.registers, context.image.pages)
        self.prototype, self._too_long = found, TooLong(found)
        self._with_padding = not has_padding(found)

    def to_log(self) -> list[Test]:
        """Some of the made tests and of those on which comparisons come out equal: a body that goes one step too far and stores
        what is there already shows in its accesses only."""
        most = self.settings.logged_small
        small = [test for test in self._differing_in_kind() if test.state.answers is None]
        made = [test for test in small if test.state.origin == "generated"]
        near = [test for test in self._near_boundaries if test in small]
        chosen = [*self._at_all_places(small)[:_MOST_PLACES], *spread(made, most)[:most], *spread(near, most)[:most]]
        return list({id(test): test for test in chosen}.values())

    def _at_all_places(self, tests: Sequence[Test]) -> list[Test]:
        """Of these tests, those in which a pointer argument leads to a place in a block as in none before: what is read in a block of
        which something is read anyway cannot fault, and does not count."""
        parameters = integer_parameters(self.prototype) if self.prototype is not None else []
        pointers = [name for name, kind in parameters if kind.kind == "pointer"]
        seen: set[tuple[str, int]] = set()
        found = []
        for test in tests:
            places = {(name, test.state.registers[name] % BLOCK_BYTES // _PLACE_BYTES) for name in pointers}
            if not places <= seen:
                seen |= places
                found.append(test)
        return found

    def _trace(self) -> None:
        """Traces the baseline on small tests of all origins in turn."""
        small = self._differing_in_kind()
        by_origin = {
            origin: spread([test for test in small if test.state.origin == origin], self.settings.traces)
            for origin in ("generated", "mutated", "captured", "answered")
        }
        by_origin["boundary"] = spread(self._near_boundaries, self.settings.traces)
        left = self.settings.traces
        queues = [queue for queue in by_origin.values() if queue]
        steps, calling = 0, False
        while left > 0 and queues and steps < self.settings.traced_steps // 2:
            for queue in list(queues):
                if not queue:
                    queues.remove(queue)
                    continue
                test = queue.pop(0)
                if test.traced is not None:
                    continue
                traced = trace_body(self.machine, test.fills[0][0], self.body, self.callees, self.settings.trace_steps)
                steps += traced.steps
                if traced.complete:
                    test.traced = traced
                    left -= 1
                    if traced.calls and not calling:
                        calling = True
                        left += (_CALLING - 1) * self.settings.traces


def _foreign(unit: RelocatableObject, image: CaptureImage) -> tuple[tuple[int, int], ...]:
    """Where the constants lie that the unit gets from elsewhere, or may get from there in another program. What C++ keeps of a class
    is the same in all units."""
    names = {one.name for one in unit.symbols if one.name and (one.section == UNDEFINED or one.is_replaceable)}
    found = (image.resolver.constant(name) for name in sorted(names) if not name.startswith(_OF_CLASSES))
    return tuple(span for span in found if span is not None)


def replay_difference(capture: Capture, outcome: Outcome) -> str:
    """What a replay of the baseline does otherwise than the captured call did, or ""."""
    if outcome.kind is not OutcomeKind.RETURNED:
        return describe_end(outcome)
    assert capture.exit_registers is not None
    stack = capture.registers["rsp"]
    for name in _SAVED:
        if outcome.registers[name] != capture.exit_registers[name]:
            return f"{name} differs from the capture"
    for page in set(capture.changed) | {p for p in outcome.changed if p in capture.pages}:
        expected = capture.changed.get(page, capture.pages[page].data if page in capture.pages else b"")
        mine = outcome.changed.get(page, capture.pages[page].data if page in capture.pages else b"")
        if mine != expected:
            for at in range(min(len(mine), len(expected))):
                if mine[at] != expected[at] and not is_dead(page + at, stack):
                    return f"byte {page + at:#x} differs from the capture"
    return ""
