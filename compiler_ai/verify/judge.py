"""Judges one candidate by a function's tests: cheap comparisons first, the first difference ends it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import islice

from compiler_ai.artifacts import Counterexample, Evidence, Grade
from compiler_ai.sandbox.errors import SandboxError
from compiler_ai.sandbox.events import CallEvent
from compiler_ai.sandbox.footprint import Footprint
from compiler_ai.sandbox.process import Outcome, OutcomeKind
from compiler_ai.verify.answered import answered_again
from compiler_ai.verify.coverage import Blocks, UnknownTargetError, blocks
from compiler_ai.verify.decided import Decided
from compiler_ai.verify.equivalence import describe_end, is_dead
from compiler_ai.verify.escaping import Replaced, escaping, replaced
from compiler_ai.verify.footprint import footprint_of, only_read, overreach
from compiler_ai.verify.frames import Paths
from compiler_ai.verify.kept import half_scale_of, scale_of
from compiler_ai.verify.machine import Body, Context
from compiler_ai.verify.mutate import Seed
from compiler_ai.verify.prepare import Preparation
from compiler_ai.verify.relations import Relations, never_the_same, one_sided_differ, one_sided_selects, to_be_turned
from compiler_ai.verify.search import boundary_states, directed_states, leading_to
from compiler_ai.verify.state import EntryState
from compiler_ai.verify.testcase import Test, Traced, inside, log_body, trace_body
from compiler_ai.verify.unread import with_others
from compiler_ai.verify.unwinding import UnwindTable, read_table, wrong_rule

_ANY_FRAME_BYTES = 64  # of stack that the baseline may do without in a call that ends at once
_MOST_CALLEES = 4
_MOST_IDLE = 3  # turns of looking for what no test reached that reach nothing more
_MOST_THERE, _VARIATIONS = 40, 24  # blocks that only tests made for them reach, and tests with other data there
_MOST_SEEDS = 16  # that a candidate is traced on


class Refuted(Exception):
    """A difference was found: the test's name and the difference in words."""


class Undecided(Exception):
    """A safety limit was hit, or something is not understood: nothing more can be said of the candidate. Why, in words."""


class Judgement:
    """What is known of one candidate so far."""

    def __init__(self, prepared: Preparation, object_bytes: bytes) -> None:
        self._prepared = prepared
        self._settings = prepared.settings
        self._machine = prepared.machine
        self._object = object_bytes
        self._body = prepared.body
        self._tests = list(prepared.tests)
        self._counts = {"captured": 0, "mutated": 0, "generated": 0, "answered": 0}
        self._starts: set[int] = set()
        self._uncovered: set[int] = set()
        self._uncompared: set[int] = set()
        self._indirect: set[int] = set()
        self._tables: dict[tuple[Body, int], UnwindTable | None] = {}
        self._paths: dict[int, Paths] = {}
        self._replaced: dict[int, list[Replaced]] = {}
        self._steps = 0
        self._entries = 0
        self._logged_runs = 0
        self._unlogged: set[str] = set()
        self._lacking: list[str] = []
        self._reaching: list[EntryState] = []  # of tests that were the first in a block
        self._first_there: list[tuple[Test, int]] = []  # tests that were made for a block, and the block
        self._found: Blocks | None = None
        self._is_decided = False
        self._decided_always: Decided | None = None
        self._unreachable: set[int] = set()  # blocks
        self._decided: Refuted | Undecided | None = None
        self._doubt = ""

    def unreached(self) -> int:
        """How many of its blocks the function's tests do not reach; 0 when they decide about it. Raises SandboxError."""
        try:
            self._begin()
        except (Refuted, Undecided):
            return 0
        return len(self._uncovered)

    def evidence(self) -> Evidence:
        """The verdict. Raises SandboxError when the sandbox fails (not when the candidate does)."""
        try:
            found = self._begin()
            self._reach(found)
            if not self._lacking:  # else it stays unknown, whatever else is found
                self._reach_boundaries(found)
                self._compare_conditions(found)
            if not self._lacking:
                self._compare_traces()
                self._compare_rest()
                self._compare_first_calls()
                self._see_what_moved()
        except Refuted as refuted:
            test_name, difference = refuted.args
            return self._result(Grade.REFUTED, Counterexample(test_name, difference))
        except Undecided as reason:
            self._lacking.append(str(reason))
        if self._doubt:
            self._lacking.append(self._doubt)
        return self._result(Grade.UNKNOWN if self._lacking else Grade.TESTED, None)

    def replay(self) -> Counterexample | None:
        """The first difference on the captured calls alone. Raises SandboxError."""
        try:
            self._body = Body(self._object, self._prepared.body.function)
            for test in self._tests:
                if test.state.origin == "captured":
                    self._compare(test)
        except Refuted as refuted:
            return Counterexample(*refuted.args)
        except Undecided as reason:
            return Counterexample("captured calls", str(reason))
        return None

    # Steps of the judgement --------------------------------------------------------------------------------------

    def _begin(self) -> Blocks:
        """Holds the candidate against all tests, once. Raises Refuted, Undecided."""
        if self._decided is not None:
            raise self._decided
        if self._found is None:
            try:
                found = self._load()
                for test in self._tests:
                    self._held_against(test, self._compare)
                self._leave_out_unreachable(found)
            except (Refuted, Undecided) as decided:
                self._decided = decided
                raise
            self._found = found
        return self._found

    def _leave_out_unreachable(self, found: Blocks) -> None:
        """Blocks that no call can reach need no test."""
        if not self._uncovered or (decided := self._what_is_decided(found)) is None:
            return
        entry = self._body.at(self._machine.contexts[0]).entry
        reachable = {start - entry for start in decided.reached}
        if self._starts - self._uncovered <= reachable:  # else it is not to be trusted
            self._unreachable = self._starts - reachable
            self._uncovered &= reachable
            self._uncompared &= reachable

    def _what_is_decided(self, found: Blocks) -> Decided | None:
        """What its conditions decide whatever it is called with, as far as that is known; found out once."""
        if not self._is_decided:
            self._is_decided, self._decided_always = True, self._prepared.decided(self._body, found)
        return self._decided_always

    def _held_against(self, test: Test, compare: Callable[[Test], None]) -> bool:
        """`compare(test)`; False when it finds a difference where the source itself breaks, which is none, nor does that test show
        anything else then."""
        uncovered, uncompared = set(self._uncovered), set(self._uncompared)
        try:
            compare(test)
        except (Refuted, Undecided):
            if not self._prepared.is_undefined(test):
                raise
            self._uncovered, self._uncompared = uncovered, uncompared
            return False
        return True

    def _load(self) -> Blocks:
        context = self._machine.contexts[0]
        try:
            self._body = Body(self._object, self._prepared.body.function)
            entry = self._body.at(context).entry
        except SandboxError as error:
            raise Undecided(f"it cannot be loaded: {error}") from error
        try:
            found = blocks(self._prepared.own(self._body, context))
        except UnknownTargetError as error:
            raise Undecided(f"its basic blocks cannot be told: {error}") from error
        self._starts = {start - entry for start in found.starts}
        self._indirect = {jump - entry for jump in found.indirect}
        self._uncovered = set(self._starts)
        self._uncompared = set(self._starts)
        return found

    def _compare(self, test: Test) -> None:
        """Runs the candidate on all fills of one test."""
        context = self._machine.context(test.state)
        body, replaced_constants = self._body.at(context), self._replaced_in(context)
        for state, expected in test.fills:
            marks = [body.entry + offset for offset in self._uncovered]
            outcome = self._machine.run(state, body, test.limit_ns, marks)
            if outcome.covered:
                self._reaching.append(state)
            self._uncovered -= {address - body.entry for address in outcome.covered}
            if outcome.kind is OutcomeKind.TIMEOUT:
                raise Undecided(
                    f"{test.state.name}: it does not end within the safety limit of {test.limit_ns // 1_000_000} ms"
                )
            found = self._prepared.differ(expected, outcome, state, self._settings.preserved, self._body)
            if found:
                raise Refuted(test.state.name, found)
            if where := escaping(outcome, replaced_constants, state.registers["rsp"]):
                raise Undecided(f"{test.state.name}: {where} leads to a constant that is another one in its unit")
            if state.answers is not None:
                self._note_doubt(test, expected.events, outcome.events)
        self._counts["answered" if test.state.answers is not None else test.state.origin] += 1

    def _replaced_in(self, context: Context) -> list[Replaced]:
        place = self._body.place(context)
        if place not in self._replaced:
            self._replaced[place] = replaced(context.baseline, self._body.at(context))
        return self._replaced[place]

    def _note_doubt(self, test: Test, theirs: Sequence[CallEvent], mine: Sequence[CallEvent]) -> None:
        """What calls pass may differ: the body may be wrong, but that is not known."""
        if not self._doubt:
            found = self._prepared.doubt(theirs, mine, test.fills[0][0], self._body)
            if found and not self._prepared.is_undefined(test):
                self._doubt = f"{test.state.name}: {found}"

    def _reach(self, found: Blocks) -> None:
        """Looks for states that reach what no test reached, again and again as long as that reaches anything. What one candidate
        needs is no test of the next. Where it needed one, it gets others with other data."""
        kept = self._prepared.seeds
        there = {id(seed.state) for seed in kept}
        seeds = [*(self._prepared.seed_of(state) for state in self._reaching if id(state) not in there), *kept]
        turn = idle = 0
        while self._uncovered and idle < _MOST_IDLE:
            before = len(self._uncovered)
            self._reach_more(found, seeds, turn)
            idle = idle + 1 if len(self._uncovered) == before else 0
            turn += 1
        if self._uncovered:
            self._lacking.append(
                f"{len(self._uncovered)} of {len(self._starts)} blocks were reached by no test: {_places(self._uncovered)}"
            )
            return
        for test, block in self._first_there[:_MOST_THERE]:
            for varied in islice(self._prepared.varied_data(test, self._body, block, set()), _VARIATIONS):
                if self._held_against(varied, self._compare):
                    self._tests.append(varied)

    def _reach_more(self, found: Blocks, seeds: list[Seed], turn: int) -> None:
        """One turn; what reaches anything is added to the tests and the seeds."""
        prepared = self._prepared
        entry = self._body.at(self._machine.contexts[0]).entry
        states = directed_states(
            self._machine, self._body, seeds, prepared.prototype, prepared.constants + found.constants, found,
            lambda: leading_to(found, entry, self._uncovered), latest=turn > 0, turn=turn,
            wanted=lambda: self._uncovered,
        )  # fmt: skip
        most = self._settings.directed * scale_of(len(self._starts))
        for number, state in zip(range(most), states, strict=False):
            if not self._uncovered:
                return
            state = answered_again(state, number)
            test, _ = prepared.test_or_answered(state, set()) if self._may_reach(state) else (None, None)
            if test is None:
                continue
            before = set(self._uncovered)
            if self._held_against(test, self._compare):
                self._tests.append(test)
                if reached := before - self._uncovered:
                    seeds.append(prepared.seed_of(test.fills[0][0]))
                    self._first_there += [(test, block) for block in sorted(reached)]

    def _may_reach(self, state: EntryState) -> bool:
        """Whether the candidate reaches anything new from a state, which costs less to see than what the baseline does. With
        answered calls it may come farther than without."""
        body = self._body.at(self._machine.context(state))
        marks = [body.entry + offset for offset in self._uncovered]
        outcome = self._machine.run(state, body, self._settings.baseline_limit_ns, marks)
        ended = outcome.kind is OutcomeKind.RETURNED or not self._prepared.calls_outside
        return bool(outcome.covered) or not ended

    def _reach_boundaries(self, found: Blocks) -> None:
        """Tests on which the candidate's own comparisons come out equal or nearly so."""
        prepared = self._prepared
        states = boundary_states(
            self._machine, self._body, prepared.seeds, prepared.prototype, found, most_seeds=_MOST_SEEDS
        )
        most = self._settings.boundary * half_scale_of(len(self._starts)) // 4
        for _, state in zip(range(most), states, strict=False):
            test, _ = prepared.test_or_answered(state, set())
            if test is not None and self._held_against(test, self._compare):
                self._tests.append(test)

    def _compare_conditions(self, found: Blocks) -> None:
        """Both outcomes of every condition of the baseline must have been tested, or the candidate must have the same condition:
        what lies on a side that no test took may well be executed from elsewhere, but not when that side is taken. So must those
        of the candidate's own conditional moves and sets, which have no block to show that they were taken."""
        theirs = self._prepared.relations
        if theirs is None:
            return
        first, new = self._machine.contexts[0], self._tests[len(self._prepared.tests) :]
        entry = self._body.at(first).entry
        selects = frozenset(at - entry for at in found.selects)
        mine, one_sided = Relations(self._machine, self._body, found, first), set(theirs.unsettled().values())
        most_steps = self._settings.relation_steps * scale_of(len(self._starts))
        telling = list(new)  # and the tests on which its conditions come out as never before
        for test in sorted(
            self._tests, key=lambda test: (not test.is_novel, test.state.origin == "captured", test.state.size)
        ):
            is_hopeless = not new and never_the_same(one_sided, mine)
            if is_hopeless or not to_be_turned(one_sided, mine, selects) or mine.steps > most_steps:
                break
            look = mine.look(test.fills[0][0])
            mine.keep(look)
            if look.new:
                telling.append(test)
        left = one_sided_differ(theirs, mine) or one_sided_selects(theirs, mine, selects)
        if left and telling:
            # There the baseline may not have been looked at yet.
            theirs = theirs.copy()
            for test in telling:
                theirs.keep(theirs.look(test.fills[0][0]))
        left = one_sided_differ(theirs, mine)
        if not left and one_sided_selects(theirs, mine, selects) and (decided := self._what_is_decided(found)):
            mine.settle({at - entry: outcomes for at, outcomes in decided.outcomes.items()})
        left = left or one_sided_selects(theirs, mine, selects)
        if left:
            self._lacking.append(left)

    def _compare_traces(self) -> None:
        for test in self._tests:
            if test.traced is not None:
                self._held_against(test, self._compare_trace)
        for test in self._prepared.to_log():
            if test.traced is None:
                self._held_against(test, self._compare_logged)

    def _compare_rest(self) -> None:
        """Traces or logs further tests for the blocks whose loads and stores have not been compared yet: short runs first, for one
        long run takes as much as many of them."""
        tests = [test for test in self._tests if test.traced is None]
        tests.sort(key=lambda test: test.state.origin == "captured")
        for compare in (self._trace_short, self._trace_or_log):
            for test in tests:
                wanted = self._uncompared - self._uncovered
                if not wanted:
                    return
                body = self._body.at(self._machine.context(test.state))
                outcome = self._machine.run(
                    test.fills[0][0], body, test.limit_ns, [body.entry + offset for offset in wanted]
                )
                if outcome.covered:
                    self._held_against(test, compare)
        if self._uncompared - self._uncovered:
            self._lacking.append(
                f"no run that executes {_places(self._uncompared - self._uncovered)} was short enough, and its accesses plain"
                " enough, to compare every load and store"
                + "".join(f" ({reason})" for reason in sorted(self._unlogged)[:2])
            )

    def _trace_short(self, test: Test) -> None:
        self._trace_anew(test, self._settings.trace_steps)

    def _trace_or_log(self, test: Test) -> None:
        # Instrumented bodies make their calls.
        if (
            not self._trace_anew(test, self._settings.long_trace_steps)
            and test.state.answers is None
            and self._logged_runs < self._settings.logged_runs
        ):
            self._logged_runs += 1
            self._compare_logged(test)

    def _trace_anew(self, test: Test, most_steps: int) -> bool:
        """Single-steps a test that was not, unless it is known to be too long for that. Whether it was short enough."""
        if test.longer_than >= most_steps or self._steps > self._settings.traced_steps * scale_of(len(self._starts)):
            return False
        traced = trace_body(
            self._machine,
            test.fills[0][0],
            self._prepared.body,
            self._prepared.callees,
            most_steps,
        )
        self._steps += traced.steps
        if not traced.complete:
            test.longer_than = most_steps
        if traced.complete:
            self._compare_with(test, traced)
        return traced.complete

    def _compare_logged(self, test: Test) -> None:
        """One run too long for single steps, by instrumented copies of both bodies: what they access, how they end, and for
        the blocks that the candidate entered, its unwind rules."""
        left = self._settings.logged_entries - self._entries
        if left <= 0:
            return
        try:
            expected = self._prepared.logged(test)
            most = min(left, 8 * expected.footprint.entries + 10_000) if expected.footprint else left
            found = log_body(self._machine, test.fills[0][0], self._body, self._prepared.callees, most)
        except SandboxError as error:
            self._unlogged.add(str(error))
            return
        self._entries += found.footprint.entries if found.footprint else 0
        lacking = expected.lacking or found.lacking
        if lacking or expected.footprint is None or found.footprint is None:
            self._unlogged.add(lacking)
            return  # its blocks stay uncompared
        context = self._machine.context(test.state)
        state = test.fills[0][0]
        difference, whole = overreach(
            expected.footprint,
            found.footprint,
            state.registers["rsp"],
            self._stack_allowance_bytes(expected.footprint.lowest_stack, state.registers["rsp"]),
            [*inside(self._body.at(context)), *context.image.library],
        )
        difference = difference or self._prepared.differ(
            expected.outcome, found.outcome, state, self._settings.preserved
        )
        if difference:
            raise Refuted(test.state.name, difference)
        self._vary_what_only_it_reads(test, expected.footprint, found.footprint)
        entered = found.entered & self._starts
        reason = self._unconfirmed_frames(context, entered & self._uncompared)
        if reason:
            self._unlogged.add(reason)
        elif whole:
            self._uncompared -= entered
        else:
            self._unlogged.add(found.footprint.uncertain)

    def _vary_what_only_it_reads(self, test: Test, expected: Footprint, found: Footprint) -> None:
        """Once more with other contents in what the candidate reads and the baseline does not."""
        state = test.fills[0][0]
        context = self._machine.context(state)
        readable = [*inside(self._body.at(context)), *context.image.library]
        only = only_read(expected, found, state.registers["rsp"], readable)
        other = with_others(self._machine, state, only) if only else None
        if other is None:
            return
        theirs = self._machine.run(other, context.baseline, test.limit_ns)
        if theirs.kind is not test.fills[0][1].kind:
            return  # it reads it after all, in a way that cannot be seen
        mine = self._machine.run(other, self._body.at(context), test.limit_ns)
        if mine.kind is OutcomeKind.TIMEOUT:
            raise Undecided(f"{other.name}: it does not end in time")
        difference = self._prepared.differ(theirs, mine, other, self._settings.preserved, self._body)
        if difference:
            raise Refuted(other.name, difference)

    def _stack_allowance_bytes(self, lowest: int, stack: int) -> int:
        """How much more stack a run may take than the baseline's, which came down to `lowest`: where calls are nested as deeply as the
        data ask for, the stack that there is for them must go on to suffice."""
        allowance = self._settings.stack_allowance_bytes
        return min(allowance, _ANY_FRAME_BYTES + (stack - lowest) // 2) if self._settings.recursive else allowance

    def _unconfirmed_frames(self, context: Context, blocks_entered: frozenset[int]) -> str:
        """Why the unwind rules of these blocks (relative to the entry) are not known to be right, or ""."""
        prepared = self._prepared
        if prepared.frames(prepared.body, context) is None:
            return ""  # GCC's own body has no rules, which binds nobody
        table = prepared.frames(self._body, context)
        if table is None:
            return "it has no unwind rules"
        place, entry = self._body.place(context), self._body.at(context).entry
        if place not in self._paths:
            self._paths[place] = Paths(prepared.own(self._body, context), table)
        return self._paths[place].unconfirmed(frozenset(entry + offset for offset in blocks_entered))

    def _compare_trace(self, test: Test) -> None:
        assert test.traced is not None
        self._compare_with(test, test.traced)

    def _compare_with(self, test: Test, expected: Traced) -> None:
        """One run instruction by instruction: what it accesses, whom it calls, its unwind rules, where its jumps lead."""
        context = self._machine.context(test.state)
        state, stack = test.fills[0][0], test.fills[0][0].registers["rsp"]
        most = 8 * expected.steps + 2_000
        found = trace_body(self._machine, state, self._body, self._prepared.callees, most)
        self._steps += found.steps
        if not found.complete:
            if found.trace.outcome.kind in (OutcomeKind.MAX_STEPS, OutcomeKind.MAX_EVENTS):
                return  # its blocks stay uncompared
            end = describe_end(found.trace.outcome)
            raise Refuted(test.state.name, f"callees may leave anything in scratch registers, and then: {end}")
        readable = [*inside(self._body.at(context)), *context.image.library]
        footprints = footprint_of(expected.accesses), footprint_of(found.accesses)
        difference, whole = overreach(
            *footprints,
            stack,
            self._stack_allowance_bytes(expected.accesses.lowest_stack, stack),
            readable,
        )
        difference = difference or self._prepared.calls_differ(expected.calls, found.calls, state, self._body)
        # Once more, since in a trace the callees outside of the unit leave nothing behind in scratch registers.
        ends = expected.trace.outcome, found.trace.outcome
        difference = difference or self._prepared.differ(
            *ends, state, self._settings.preserved, self._body, traced=True
        )
        if difference:
            raise Refuted(test.state.name, difference)
        self._note_doubt(test, expected.calls, found.calls)
        self._vary_what_only_it_reads(test, *footprints)
        self._check_unwinding(test, expected, found)
        self._check_jumps(found)
        if whole:
            self._uncompared -= found.executed

    def _check_unwinding(self, test: Test, expected: Traced, found: Traced) -> None:
        theirs, they_understood = self._unwinding(self._prepared.body, test, expected)
        mine, understood = self._unwinding(self._body, test, found)
        if theirs or not they_understood:
            return  # a rule that GCC's own body does not keep, or that is not understood, binds nobody
        if mine:
            raise Refuted(test.state.name, mine)
        if not understood:
            raise Undecided("its unwind rules are not understood")

    def _unwinding(self, body: Body, test: Test, traced: Traced) -> tuple[str, bool]:
        context = self._machine.context(test.state)
        key = body, body.place(context)
        if key not in self._tables:
            ranges = self._prepared.own(body, context).function_ranges
            self._tables[key] = read_table(body.object_bytes, body.unit, body.at(context), ranges)
        table = self._tables[key]
        return wrong_rule(traced.trace, table, body.decoder(context)) if table else ("it has no unwind rules", True)

    def _check_jumps(self, found: Traced) -> None:
        """Jumps through tables must lead to known blocks: else there are blocks that nobody counted."""
        view = memoryview(found.trace.data).cast("Q")[::18]
        entry = view[0]
        for at in range(len(view) - 1):
            if view[at] - entry in self._indirect and view[at + 1] - entry not in self._starts:
                raise Undecided(f"the jump at +{view[at] - entry:#x} leads where no table of the unit says")

    def _compare_first_calls(self) -> None:
        """What callees outside of the unit can see when they are first called: arguments and memory, on many tests."""
        targets = {call.target for test in self._tests if test.traced is not None for call in test.traced.calls}
        for target in sorted(targets)[:_MOST_CALLEES]:
            for test in self._tests:
                if test.state.answers is not None:
                    continue  # there memory is compared at every call
                self._held_against(test, partial(self._compare_first_call, target))

    def _see_what_moved(self) -> None:
        """What was the same in every test may be a constant in the candidate."""
        places = self._prepared.passing()
        unmoved = self._prepared.unmoved(self._body, (test.fills[0][0] for test in self._tests))
        if places is None:
            self._lacking.append("where its arguments lie is not known, nor whether tests vary them")
        elif unmoved:
            self._lacking.append(f"{', '.join(map(str, unmoved[:4]))} had the same value in every test")

    def _compare_first_call(self, target: int, test: Test) -> None:
        prepared = self._prepared
        body = self._body.at(self._machine.context(test.state))
        theirs, mine = prepared.first_call(test, target), prepared.until(test, body, target)
        reached = [end.kind is OutcomeKind.FAULT and end.rip == target for end in (theirs, mine)]
        if reached == [True, True]:
            self._compare_call(test, target, theirs, mine)
        elif any(reached):
            name = prepared.callees.names.get(target, hex(target))
            raise Refuted(test.state.name, f"it calls {name}" if reached[1] else f"it does not call {name}")

    def _compare_call(self, test: Test, target: int, theirs: Outcome, mine: Outcome) -> None:
        callees, state = self._prepared.callees, test.fills[0][0]
        stack = state.registers["rsp"]
        calls = [self._machine.call_at(state, theirs)], [self._machine.call_at(state, mine)]
        found = self._prepared.calls_differ(*calls, state, self._body)
        if found:
            raise Refuted(test.state.name, found)
        self._note_doubt(test, *calls)
        for page in sorted(set(theirs.changed) | set(mine.changed)):
            a, b = (e.changed[page] if page in e.changed else self._machine.page(state, page) for e in (theirs, mine))
            if a == b:
                continue
            for at in range(len(a)):
                if a[at] != b[at] and not is_dead(page + at, stack):
                    name = callees.names.get(target, hex(target))
                    raise Undecided(
                        f"{test.state.name}: byte {page + at:#x} is {b[at]:#04x} instead of {a[at]:#04x} when it calls {name}"
                    )

    # The verdict -------------------------------------------------------------------------------------------------

    def _result(self, grade: Grade, counterexample: Counterexample | None) -> Evidence:
        return Evidence(
            grade=grade,
            captures=self._counts["captured"],
            mutated=self._counts["mutated"],
            generated=self._counts["generated"],
            answered=self._counts["answered"],
            blocks_total=len(self._starts - self._unreachable),
            blocks_covered=len(self._starts - self._unreachable) - len(self._uncovered),
            counterexample=counterexample,
            notes=tuple(self._lacking if grade is Grade.UNKNOWN else ()),
        )


def _places(offsets: Sequence[int] | set[int]) -> str:
    return ", ".join(f"+{offset:#x}" for offset in sorted(offsets)[:6])
