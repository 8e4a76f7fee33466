"""What the baseline does from a state: tests made of states, and what of another body's run differs from its own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from dataclasses import replace

from compiler_ai.sandbox.events import CallEvent
from compiler_ai.sandbox.loader import LoadedObject
from compiler_ai.sandbox.pages import page_floor
from compiler_ai.sandbox.process import Outcome, OutcomeKind, Sandbox, cpu_limit_ns
from compiler_ai.sandbox.state import GENERAL
from compiler_ai.verify.answered import (
    answered,
    answered_difference,
    constants,
    leads_outside,
    own_constants,
)
from compiler_ai.verify.arguments import Arguments
from compiler_ai.verify.argumentuse import ArgumentUse, Used
from compiler_ai.verify.calls import Callees
from compiler_ai.verify.code import OwnCode, functions_of, own_code, pointers, reader
from compiler_ai.verify.equivalence import breaks_abi, difference, float_element_bytes, is_dead
from compiler_ai.verify.events import Run, events_differ, events_doubt
from compiler_ai.verify.machine import Body, Context, Machine
from compiler_ai.verify.moved import may_read, never_moved
from compiler_ai.verify.mutate import Seed
from compiler_ai.verify.passedvalues import Side
from compiler_ai.verify.passing import GENERAL_ARGUMENTS, Passing, passing
from compiler_ai.verify.prototype import Prototype
from compiler_ai.verify.scalars import Argument, arguments_of
from compiler_ai.verify.settings import Settings
from compiler_ai.verify.state import DEAD_STACK_BYTES, EntryState, has_padding, varied
from compiler_ai.verify.testcase import Logged, Test, log_body, trace_body
from compiler_ai.verify.toolong import TooLong
from compiler_ai.verify.unoptimised import Unoptimised
from compiler_ai.verify.unwinding import UnwindTable, read_table

_FILLS = 2
_QUICK_NS = 25_000_000  # below this, a candidate's limit does not depend on what the baseline took
_TRAP = b"\x0f\x0b"  # ud2


class Baseline:
    """GCC's own body of one function, run for comparison."""

    def __init__(
        self,
        sandbox: Sandbox,
        baseline_object: bytes,
        function: str,
        prototype: Prototype | None,
        settings: Settings,
        unoptimised: bytes,
    ) -> None:
        self.machine = Machine(sandbox)
        self.body = Body(baseline_object, function)
        self._unoptimised = Unoptimised(self.machine, unoptimised, function)
        self.shared = functions_of(self.body.unit)
        self.prototype = prototype
        self.settings = settings
        self.callees = Callees({}, {})
        self._carrying_nothing = _carrying_nothing(prototype)
        self.arguments = Arguments(self.callees, ArgumentUse(lambda _: b""))
        self.calls_outside = False
        self.tests: list[Test] = []
        self.reals: tuple[float, ...] = ()
        self._too_long = TooLong(prototype)
        self._dead_stack_bytes = DEAD_STACK_BYTES  # as deep as its runs were seen to go
        self._with_padding = not has_padding(prototype)  # what no member of an argument takes is left as it was
        self._timeout: Outcome | None = None  # one that ran into its limit

    def own(self, body: Body, context: Context) -> OwnCode:
        """The code that `body` answers for, as loaded in `context`."""
        return own_code(body.unit, body.function, body.at(context), self.shared)

    def read_by(self, body: Body, context: Context) -> Used:
        """What `body` reads of arguments."""
        pages = body.at(context).pages, context.image.pages
        words = [pointers(one) for one in pages]
        uses = ArgumentUse(reader(pages), lambda at: next((word(at) for word in words if word(at)), 0))
        return uses.of(body.at(context).entry)

    def passing(self) -> Passing | None:
        """Where the function's parameters lie, as far as that is known."""
        return passing(self.prototype) if self.prototype is not None else None

    def unmoved(self, body: Body, states: Iterable[EntryState]) -> list[Argument]:
        """The arguments that the function's own body or this one reads, and that are the same in all these states."""
        found = never_moved(arguments_of(self.prototype), states, self.machine.memory)
        read = [self.read_by(one, self.machine.contexts[0]) for one in (self.body, body)] if found else []
        return [one for one in found if any(may_read(used, one) for used in read)]

    def test(
        self, state: EntryState, uncovered: set[int], only_new: bool = False, marked: Set[int] = frozenset()
    ) -> tuple[Test | None, Outcome]:
        """The state with the baseline's outcomes, or None when it is no valid test; and the first outcome.

        The blocks of the baseline that it reaches are taken out of `uncovered`; `only_new` asks for at least one. Of these, of what is
        watched, and of `marked` instructions (relative to the entry) the test says which it comes to. What is expected to run into its
        limit is not run.
        """
        if self._timeout is not None and self._too_long.is_expected(state):
            return None, self._timeout
        baseline = self.machine.context(state).baseline
        limit_ns = self.settings.captured_limit_ns if state.origin == "captured" else self.settings.baseline_limit_ns
        fills: list[tuple[EntryState, Outcome]] = []
        reached: set[int] = set()
        watched = self._watched() | marked
        for fill in range(_FILLS):
            filled = self._filled(state, fill)
            marks = [baseline.entry + offset for offset in uncovered | watched] if not fill else []
            outcome = self.machine.run(filled, baseline, limit_ns, marks)
            if self._goes_deeper(outcome, filled):
                filled = self._filled(state, fill)
                outcome = self.machine.run(filled, baseline, limit_ns, marks)
            fills.append((filled, outcome))
            reached |= {address - baseline.entry for address in outcome.covered}
            if outcome.kind is OutcomeKind.TIMEOUT:
                self._timeout = outcome
            if outcome.kind is not OutcomeKind.FAULT:  # which says nothing of how long it would have taken
                self._too_long.note(state, outcome.kind is OutcomeKind.TIMEOUT)
            if (only_new and not reached & uncovered) or not self._is_valid(outcome, filled):
                return None, fills[0][1]
        (first_state, first), (second_state, second) = fills[0], fills[1]
        alike = _with_garbage_of(second_state, first, first_state)
        if self.differ(alike, second, second_state, frozenset(), expected_from=first_state):
            if self._with_padding:
                return None, first
            return self._test_with_padding(state, uncovered, only_new, marked)
        if reached & uncovered:
            uncovered -= reached
            if state.origin != "captured":
                self._reaches(first_state)
        self._note_calls(first.events)
        limit_ns = cpu_limit_ns(max(first.cpu_ns, second.cpu_ns, _QUICK_NS))
        return Test(state, fills, limit_ns, comes_to=frozenset(reached)), first

    def _note_calls(self, events: Iterable[CallEvent]) -> None:
        if self.arguments.sites is not None:
            self.arguments.sites.note(events)

    def _test_with_padding(
        self, state: EntryState, uncovered: set[int], only_new: bool, marked: Set[int]
    ) -> tuple[Test | None, Outcome]:
        """A copy of an argument may take what no member has along; from then on it is left as it was."""
        self._with_padding = True
        found = self.test(state, uncovered, only_new, marked)
        self._with_padding = found[0] is not None
        return found

    def _filled(self, state: EntryState, fill: int) -> EntryState:
        size = min(self._dead_stack_bytes, self.machine.stack_room_bytes(state))
        seed = fill + 17 * self.settings.seed
        return varied(state, self.prototype, self.machine.sandbox.layout, seed, size, self._with_padding)

    def _goes_deeper(self, outcome: Outcome, state: EntryState) -> bool:
        """Whether a run stored farther down the stack than any before it: all of that is varied from now on, and what a candidate may
        use besides."""
        stack = state.registers["rsp"]
        filled = page_floor(stack - self._dead_stack_bytes)  # written too, but not by the run
        own = (page for page in outcome.written if page < filled or page in outcome.changed)
        deep = max((stack - page for page in own if is_dead(page, stack)), default=0) + DEAD_STACK_BYTES
        is_deeper = deep > self._dead_stack_bytes
        self._dead_stack_bytes = max(deep, self._dead_stack_bytes)
        return is_deeper

    def test_or_answered(
        self, state: EntryState, uncovered: set[int], only_new: bool = False
    ) -> tuple[Test | None, Outcome]:
        """`test`, or the same with answered calls where what the unit calls ended the run, or without where it makes none."""
        test, outcome = self.test(state, uncovered, only_new)
        if test is None and state.answers is not None and not outcome.events:
            variables = self.machine.closed(self.machine.context(state)).variables  # which it may have read or changed
            extra = state.extra if variables in state.extra else (*state.extra, variables)
            return self.test(replace(state, origin="mutated", answers=None, extra=extra), uncovered, only_new)
        if test is not None or state.answers is not None or not self.calls_outside:
            return test, outcome
        context = self.machine.context(state)
        if not leads_outside(outcome, context.baseline, self.machine.closed(context).variables):
            return test, outcome
        return self.test(answered(state, len(self.tests)), uncovered, only_new)

    def _watched(self) -> Set[int]:
        """Blocks of which it is to be known whether a test comes to them."""
        return frozenset()

    def _reaches(self, state: EntryState) -> None:
        """Called with each made state from which the baseline reaches a block that was wanted."""

    @staticmethod
    def _is_valid(outcome: Outcome, state: EntryState) -> bool:
        """Whether the baseline's run is one to compare with; with answered calls that is one that made some."""
        if state.answers is not None and not outcome.events:
            return False
        if outcome.kind in (OutcomeKind.LEFT, OutcomeKind.MAX_EVENTS):
            return True
        return not breaks_abi(outcome, state.registers)

    def differ(
        self,
        expected: Outcome,
        outcome: Outcome,
        state: EntryState,
        preserved: frozenset[str],
        body: Body | None = None,
        traced: bool = False,
        expected_from: EntryState | None = None,
    ) -> str:
        """The first difference between two outcomes of runs from `state` that a caller, or a callee whose calls are answered,
        could see, or "". The second is `body`'s, the baseline's own without it; the first began in `expected_from`, if that is another fill."""
        if state.answers is not None:
            run = self._run(expected_from or state)
            found = self._answered_difference(expected, outcome, state, body or self.body, traced, run)
            if found or expected.kind is not OutcomeKind.RETURNED:
                return found
        return difference(
            expected,
            outcome,
            state.registers,
            self.prototype,
            self.machine.sandbox.layout,
            lambda page: self.machine.page(state, page),
            preserved,
        )

    def _answered_difference(
        self, expected: Outcome, outcome: Outcome, state: EntryState, body: Body, traced: bool, run: Run
    ) -> str:
        context = self.machine.context(state)
        bodies = context.baseline, body.at(context)

        def until(number: int) -> tuple[Outcome, Outcome]:
            assert state.answers is not None
            cut = replace(state, answers=replace(state.answers, max_events=number))
            limit_ns = self.settings.captured_limit_ns
            return self.machine.run(cut, bodies[0], limit_ns), self.machine.run(cut, bodies[1], limit_ns)

        return answered_difference(
            expected, outcome, self._sides(expected.events, outcome.events, context, body), self.arguments, run,
            lambda page: self.machine.page(state, page), float_element_bytes(self.prototype), None if traced else until,
        )  # fmt: skip

    def doubt(self, theirs: Sequence[CallEvent], mine: Sequence[CallEvent], state: EntryState, body: Body) -> str:
        """What the same calls of both sides pass otherwise in places that may hold no argument, or ""."""
        context = self.machine.context(state)
        return events_doubt(*self._sides(theirs, mine, context, body), self.arguments, self._run(state))

    def calls_differ(
        self, theirs: Sequence[CallEvent], mine: Sequence[CallEvent], state: EntryState, body: Body
    ) -> str:
        """The first difference in the calls that two runs from `state` made, or ""."""
        context = self.machine.context(state)
        found, _ = events_differ(*self._sides(theirs, mine, context, body), self.arguments, self._run(state))
        if not found and len(theirs) != len(mine):
            return f"it makes {len(mine)} calls instead of {len(theirs)}"
        return found

    @staticmethod
    def _sides(
        theirs: Sequence[CallEvent], mine: Sequence[CallEvent], context: Context, body: Body
    ) -> tuple[Side, Side]:
        pages, bodies = context.image.pages, (context.baseline, body.at(context))
        return (
            Side(theirs, constants(bodies[0], pages), own_constants(bodies[0])),
            Side(mine, constants(bodies[1], pages), own_constants(bodies[1])),
        )

    def _run(self, state: EntryState) -> Run:
        registers = state.registers
        values = [registers[name] for name in self._carrying_nothing]
        return Run(
            registers["rsp"],
            lambda address, size: self.machine.memory(state, address, size),
            frozenset((value & 2**64 - 1).to_bytes(8, "little") for value in values if value >> 32),
        )

    def is_undefined(self, test: Test) -> bool:
        """Whether the source itself, compiled without optimisation, touches memory that is not there: then a difference is none."""
        if test.is_undefined is None:
            state, outcome = test.fills[0]
            test.is_undefined = state.origin != "captured" and self._unoptimised.faults(state, outcome.cpu_ns)
        return test.is_undefined

    def until(self, test: Test, body: LoadedObject, target: int) -> Outcome:
        """The run of `body` up to its first call of `target`, where it faults."""
        return self.machine.run(test.fills[0][0], body, test.limit_ns, patches=[(target, _TRAP)])

    def first_call(self, test: Test, target: int) -> Outcome:
        """`until` for the baseline, kept."""
        if target not in test.first_calls:
            test.first_calls[target] = self.until(test, self.machine.context(test.state).baseline, target)
        return test.first_calls[target]

    def logged(self, test: Test) -> Logged:
        """What the instrumented baseline does in a test, kept. Raises SandboxError when it cannot be instrumented."""
        if test.logged is None:
            most = self.settings.logged_entries
            test.logged = log_body(self.machine, test.fills[0][0], self.body, self.callees, most)
        return test.logged

    def frames(self, body: Body, context: Context) -> UnwindTable | None:
        """The unwind rules of all code that `body` answers for, read once; None when there are none."""
        key = body.place(context)
        if key not in body.frames:
            loaded = body.at(context)
            body.frames[key] = read_table(body.object_bytes, body.unit, loaded, self.own(body, context).ranges)
        return body.frames[key]

    def seed_of(self, state: EntryState) -> Seed:
        """`state` with what the baseline reads from it of memory that a caller may have filled, or of other units' constants."""
        traced = trace_body(self.machine, state, self.body, self.callees, self.settings.trace_steps)
        self._note_calls(traced.calls)
        filled, stack = self.machine.filled_pages(state), state.registers["rsp"]
        context = self.machine.context(state)

        def is_foreign(start: int) -> bool:
            return any(low <= start < high for low, high in context.foreign)

        # What a mask leaves out of a read may lie behind the memory that is there.
        reads = sorted(
            (start, end if page_floor(end - 1) in filled or is_foreign(start) else page_floor(end - 1))
            for start, end in traced.accesses.reads
            if end - start <= 64 and start != stack and not is_dead(start, stack)
            if page_floor(start) in filled or is_foreign(start)
        )
        return Seed(
            state, reads, lambda at, size: self.machine.memory(state, at, size), traced.accesses.floats, self.reals
        )


def _with_garbage_of(state: EntryState, outcome: Outcome, run_from: EntryState) -> Outcome:
    """`outcome` of a run from one fill, where that left the garbage beside arguments on the stack as it was, with that of another fill."""
    stack = state.registers["rsp"]
    beside = [at for at in run_from.patches if not is_dead(at, stack) and run_from.patches[at] != state.patches.get(at)]
    changed = {page: bytearray(data) for page, data in outcome.changed.items()}
    for at in beside:
        page, before = changed.get(page_floor(at)), run_from.patches[at]
        place = at - page_floor(at)
        if page is not None and page[place : place + len(before)] == before:
            page[place : place + len(before)] = state.patches[at]
    return replace(outcome, changed={page: bytes(data) for page, data in changed.items()}) if beside else outcome


def _carrying_nothing(prototype: Prototype | None) -> tuple[str, ...]:
    """The general registers in which the function gets no argument for sure, the stack pointer left out."""
    known = passing(prototype) if prototype is not None and not prototype.variadic else None
    taken = {part.place for part in known.parts} if known is not None else {*GENERAL_ARGUMENTS}
    if known is not None and known.result_in_memory:
        taken.add(GENERAL_ARGUMENTS[0])
    return tuple(name for name in GENERAL if name not in taken and name != "rsp")
