"""What callees outside of the unit can see when a candidate first calls them."""

from __future__ import annotations

from functools import partial

from compiler_ai.sandbox.process import Outcome, OutcomeKind
from compiler_ai.verify.equivalence import is_dead
from compiler_ai.verify.judging import Judging, Refuted, Undecided
from compiler_ai.verify.testcase import Test

_MOST_CALLEES = 4


class FirstCalls(Judging):
    """Compares arguments and memory there."""

    def _compare_first_calls(self) -> None:
        """What callees outside of the unit can see when they are first called: arguments and memory, on many tests."""
        targets = {call.target for test in self._tests if test.traced is not None for call in test.traced.calls}
        for target in sorted(targets)[:_MOST_CALLEES]:
            for test in self._tests:
                if test.state.answers is not None:
                    continue  # there memory is compared at every call
                self._held_against(test, partial(self._compare_first_call, target))

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
