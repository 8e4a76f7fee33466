"""A candidate's runs instruction by instruction, or by their logs: what it accesses, whom it calls, its unwind rules, where its jumps lead."""

from __future__ import annotations

from collections.abc import Sequence

from compiler_ai.sandbox.errors import SandboxError
from compiler_ai.sandbox.footprint import Footprint
from compiler_ai.sandbox.process import OutcomeKind
from compiler_ai.verify.equivalence import describe_end
from compiler_ai.verify.footprint import footprint_of, only_read, overreach
from compiler_ai.verify.frames import Paths
from compiler_ai.verify.judging import Judging, Refuted, Undecided
from compiler_ai.verify.kept import scale_of
from compiler_ai.verify.machine import Body, Context
from compiler_ai.verify.testcase import Test, Traced, inside, log_body, trace_body
from compiler_ai.verify.unread import with_others
from compiler_ai.verify.unwinding import read_table, wrong_rule

_ANY_FRAME_BYTES = 64  # of stack that the baseline may do without in a call that ends at once


class Accessing(Judging):
    """Compares what ends of runs do not show."""

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
                f"no run that executes {places(self._uncompared - self._uncovered)} was short enough, and its accesses plain"
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
            self._stack_allowance_bytes(
                expected.footprint.lowest_stack, state.registers["rsp"], expected.calls or found.calls
            ),
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

    def _stack_allowance_bytes(self, lowest: int, stack: int, calls: bool) -> int:
        """How much more stack a run may take than the baseline's, which came down to `lowest`: where calls are nested as deeply as the
        data ask for, the stack that there is for them must go on to suffice. In a run that `calls` nothing, nothing is nested."""
        allowance = self._settings.stack_allowance_bytes
        is_nested = self._settings.recursive and calls
        return min(allowance, _ANY_FRAME_BYTES + (stack - lowest) // 2) if is_nested else allowance

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
            self._stack_allowance_bytes(
                expected.accesses.lowest_stack, stack, expected.accesses.calls or found.accesses.calls
            ),
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


def places(offsets: Sequence[int] | set[int]) -> str:
    """The first few of them, in words."""
    return ", ".join(f"+{offset:#x}" for offset in sorted(offsets)[:6])
