"""Tests for conditions that may come out the other way without any test telling: `turned` says which variants there are.

Where a test is run by the body and by a variant of it, the two part at the turned condition, and often do the same in the end: what the
variant looks at behind it decides. So that is what gets other data.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from random import Random

from compiler_ai.sandbox.process import Outcome, OutcomeKind
from compiler_ai.verify.kept import Kept, spread
from compiler_ai.verify.mutate import Seed, changed, is_pointer
from compiler_ai.verify.state import EntryState
from compiler_ai.verify.testcase import Test
from compiler_ai.verify.turned import Turned, turned_conditions
from compiler_ai.verify.values import mutated_number

_SOME, _LOOKED_AT = 24, 300  # tests that are run by every variant, and whose conditions are looked at for the others
_SHOWING = 8  # tests in which the turned condition comes out otherwise that are run by a variant
_VARIED, _VARIATIONS = 4, 24  # of them, those whose data vary, and states with other data of one
_MOST_READS = 16  # behind the turned condition, and before it, that get other values
_CHANGED = (0.1, 0.3, 0.6)  # of them
_SAFETY_NS = 20_000_000  # for a variant's run, which may not end


class Telling(Kept):
    """Adds tests that tell the baseline from variants of it."""

    def _tell_conditions(self) -> None:
        """Tries other data in tests that come to a condition, for each of its variants that no test tells."""
        if self._blocks is None or self.relations is None:
            return
        some = spread(self.tests, _SOME)[:_SOME]
        untold = [turned for turned in self._variants() if not self._is_told(turned, some)]
        if not untold:
            return
        showing = self._by_kind()
        left = self.settings.telling * self._scale()
        for turned in untold:
            tests = [test for kind in turned.kinds for test in showing.get((turned.at, kind), ())]
            few = spread(tests, _SHOWING)[:_SHOWING] if tests else []
            if left <= 0 or self._is_told(turned, few):
                continue
            found, tried = self._found(turned, few, left)
            left -= tried
            if found is not None:
                found.is_variation = True
                self.tests.append(found)

    def _variants(self) -> Iterator[Turned]:
        assert self._blocks is not None
        context = self.machine.contexts[0]
        entry, code = context.baseline.entry, self.body.decoder(context).code
        conditions = {at - entry: condition for at, condition in self._blocks.conditions.items()}
        return turned_conditions(conditions, lambda at: code(entry + at))

    def _by_kind(self) -> dict[tuple[int, object], list[Test]]:
        """By condition and what it decided on, the tests in which it did, short ones first; of some tests only, where there are many."""
        assert self.relations is not None
        found: dict[tuple[int, object], list[Test]] = {}
        for test in sorted(spread(self.tests, _LOOKED_AT)[:_LOOKED_AT], key=lambda test: test.state.size):
            kinds = test.kinds or self.relations.look(test.fills[0][0]).kinds
            for key in kinds:
                found.setdefault(key, []).append(test)
        return found

    def _is_told(self, turned: Turned, tests: Sequence[Test]) -> bool:
        return any(self._tells(turned, *test.fills[0]) for test in tests)

    def _tells(self, turned: Turned, state: EntryState, expected: Outcome) -> bool:
        """Whether the variant does something else from a state than the baseline, which did what is `expected`."""
        baseline = self.machine.context(state).baseline
        outcome = self.machine.run(turned.applied(state, baseline.entry), baseline, expected.cpu_ns + _SAFETY_NS)
        if outcome.kind is OutcomeKind.TIMEOUT:
            return True
        return bool(self.differ(expected, outcome, state, frozenset()))

    def _found(self, turned: Turned, tests: Sequence[Test], most: int) -> tuple[Test | None, int]:
        """A test that tells the variant, and how many states were tried; at most `most`."""
        chance = Random(f"{self.settings.seed} {turned}")
        states = (state for test in tests[:_VARIED] for state in self._other_data(turned, test, chance))
        tried = 0
        for tried, state in enumerate(islice(states, most), 1):
            baseline = self.machine.context(state).baseline
            expected = self.machine.run(state, baseline, self.settings.baseline_limit_ns)
            if self._is_valid(expected, state) and self._tells(turned, state, expected):
                found, _ = self.test(state, self._uncovered)
                if found is not None and self._is_told(turned, [found]):
                    return found, tried
        return None, tried

    def _other_data(self, turned: Turned, test: Test, chance: Random) -> Iterator[EntryState]:
        """A test's state with other values in what the variant reads behind the condition, and right before it."""
        state = test.fills[0][0]
        baseline = self.machine.context(state).baseline
        seed = self.seed_of(turned.applied(state, baseline.entry))
        spans = self._around(turned, seed)
        for _ in range(_VARIATIONS if spans else 0):
            share = chance.choice(_CHANGED)
            chosen = [span for span in spans if chance.random() < share] or [chance.choice(spans)]
            patches = {start: mutated_number(seed.value((start, end)), chance, self.constants) for start, end in chosen}
            yield changed(state, f"other data at +{turned.at:#x}", dict(state.registers.general), patches)

    def _around(self, turned: Turned, seed: Seed) -> list[tuple[int, int]]:
        """The spans, none of pointers, that a run of the variant reads behind the condition first and before it last."""
        context = self.machine.context(seed.state)
        decoder = self.body.decoder(context)
        may_vary = {span for span in seed.reads if not is_pointer(seed, span)}
        before: dict[tuple[int, int], None] = {}
        behind: dict[tuple[int, int], None] = {}
        reads = before
        for step in self.machine.trace(seed.state, context.baseline, self.settings.trace_steps):
            if step.rip == context.baseline.entry + turned.at:
                reads = behind
            for operand in decoder.decoded(step.rip).operands:
                start = decoder.address(operand, step.general)
                if operand.reads and (start, start + operand.size_bytes) in may_vary:
                    reads[start, start + operand.size_bytes] = None
        return list(dict.fromkeys([*list(behind)[:_MOST_READS], *list(before)[-_MOST_READS:]]))
