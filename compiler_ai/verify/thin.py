"""Tests with other data where few tests come, and with what callees may have changed."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from itertools import islice

from compiler_ai.sandbox.process import Trace
from compiler_ai.verify.answered import (
    answered_again,
)
from compiler_ai.verify.kept import FEW, Kept, spread
from compiler_ai.verify.machine import Body
from compiler_ai.verify.reloads import changed_by_callee, reloads
from compiler_ai.verify.state import EntryState
from compiler_ai.verify.testcase import Test
from compiler_ai.verify.variety import other_data, small_counts

_CHANGES, _CHANGE_TRIES, _MOST_CHANGES = (
    2,
    8,
    64,
)  # tests in which a callee changes what one load gives, and all of them
_VARIED_TESTS, _VARIATIONS = 6, 12  # of one block, and of one of these tests
_COUNTS, _MOST_COUNTED = 64, 512  # states with small numbers tried for one test, and for all
_TRIES, _TRIES_OF_LONG = 72, 6  # states tried for the variations of one test


class Varying(Kept):
    """Adds tests for blocks that few come to, and for what is loaded after calls."""

    def _vary_where_few_come(self) -> None:
        """Adds tests with other data in blocks that few tests come to, the fewest first. They are not varied further."""
        if self._blocks is None:
            return
        coming = self._few_come()
        left = self.settings.varied
        for block in sorted((block for block, tests in coming.items() if tests), key=lambda block: len(coming[block])):
            few = spread(sorted(coming.get(block, ()), key=lambda test: test.state.size), _VARIED_TESTS)[:_VARIED_TESTS]
            for test in few:
                if left <= 0 or block not in self._few_come():
                    break
                most = max(_VARIATIONS, FEW // len(few))
                for found in islice(self.varied_data(test, self.body, block, self._uncovered), min(left, most)):
                    left -= 1
                    self.tests.append(found)
        self._coming = {}  # nobody asks again

    def _count_where_no_captured_call_comes(self) -> None:
        """Adds tests with small numbers in blocks that only made tests come to, which vary other things there. They are not varied further."""
        left = _MOST_COUNTED
        for block, test in self._first_in_uncaptured_blocks():
            if not left:
                return
            state = test.fills[0][0]
            context = self.machine.context(state)
            body, decoder = self.body.at(context), self.body.decoder(context)
            trace = self.machine.trace(state, body, self.settings.trace_steps)
            chance = random.Random(f"{self.settings.seed} {block} {state.name}")
            states = small_counts(self.seed_of(state), trace, body.entry + block, decoder, self.prototype, chance)
            for number, counted in enumerate(islice(states, min(left, _COUNTS))):
                left -= 1
                found, _ = self.test(counted, self._uncovered)
                if found is not None:
                    self._add_variation(found, number)

    def _first_in_uncaptured_blocks(self) -> list[tuple[int, Test]]:
        """Two tests for each block (relative to the entry) that made ones come to and no captured one: those made of captured ones if any."""
        if self._blocks is None:
            return []
        own = [test for test in self.tests if test.state.answers is None]
        known = set().union(*(test.comes_to for test in own if test.state.origin == "captured"))
        first = self.machine.contexts[0].baseline.entry
        found = []
        for block in sorted({start - first for start in self._blocks.starts} - known):
            there = [test for test in own if block in test.comes_to]
            mutated = [test for test in there if test.state.origin == "mutated"] or there
            found += [(block, test) for test in mutated[:: max(1, len(mutated) // 2)][:2]]
        return found

    def varied_data(self, test: Test, body: Body, block: int, uncovered: set[int]) -> Iterator[Test]:
        """The test with other data, as far as `body` comes to its block (relative to the entry) with them."""
        state = test.fills[0][0]
        context = self.machine.context(state)
        loaded, limit_ns = body.at(context), self.settings.baseline_limit_ns

        def comes_there(state: EntryState) -> bool:
            return bool(self.machine.run(state, loaded, limit_ns, [loaded.entry + block]).covered)

        def traced(state: EntryState) -> Trace:
            return self.machine.trace(state, loaded, self.settings.trace_steps)

        trace = traced(state)
        states = other_data(
            self.seed_of(state), trace, loaded.entry + block, body.decoder(context), self.prototype, self.constants,
            comes_there, traced, _TRIES if len(trace) < self.settings.trace_steps else _TRIES_OF_LONG,
            random.Random(f"{self.settings.seed} {block} {state.name}"),
        )  # fmt: skip
        for number, state in enumerate(states):
            found, _ = self.test(answered_again(state, number), uncovered)
            if found is not None:
                found.fills = [found.fills[number % len(found.fills)]]
                found.is_variation = True
                yield found

    def _change_behind_calls(self) -> None:
        """Adds tests in which callees have changed what is loaded after them: for each such load, where several runs come to it."""
        tried: Counter[tuple[int, int]] = Counter()
        made: Counter[tuple[int, int]] = Counter()
        answered_ones = [test for test in self.tests if test.state.answers is not None]
        for test in sorted(answered_ones, key=lambda test: test.state.size):
            if made.total() >= _MOST_CHANGES:
                return
            state = test.fills[0][0]
            context = self.machine.context(state)
            body = self.body.at(context)
            trace = self.machine.trace(state, body, self.settings.trace_steps)
            seed = None
            for one in reloads(trace, self.body.decoder(context), state.registers["rsp"]):
                key = one.site - body.entry, one.call
                if made[key] >= _CHANGES or tried[key] >= _CHANGE_TRIES or made.total() >= _MOST_CHANGES:
                    continue
                tried[key] += 1
                seed = seed or self.seed_of(state)
                changed_state = changed_by_callee(seed, one)
                found = self.test(changed_state, self._uncovered)[0] if changed_state is not None else None
                if found is not None:
                    made[key] += 1
                    self.tests.append(found)
