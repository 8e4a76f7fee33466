"""Tests that are looked for: such as reach what no test has reached, or bring a condition to come out as it never did."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import combinations, islice

from compiler_ai.verify.answered import (
    answered,
    answered_again,
)
from compiler_ai.verify.branches import by_any_sides
from compiler_ai.verify.coverage import Blocks
from compiler_ai.verify.kept import SMALL, Kept, half_scale_of
from compiler_ai.verify.relations import Look, Relations
from compiler_ai.verify.search import boundary_states, directed_states, leading_to, stretch_states
from compiler_ai.verify.state import EntryState
from compiler_ai.verify.sums import sum_states
from compiler_ai.verify.testcase import Test
from compiler_ai.verify.walks import walks
from compiler_ai.verify.withincalls import WithinCalls

_ROUNDS = 2  # of bringing comparisons to equality: the second begins where those of the first came out
_VARIED_AGAIN = 12
_BROADLY = 2  # times as much where a condition came out the same way in every test
_WITHIN_CALLS = 4  # times as much for a condition on what a callee returns
_MOST_IDLE = 4  # turns that reach nothing more
_ANSWERED_STATES = 24


class Reaching(Kept):
    """Adds tests as long as blocks or ways of conditions are left that calls may reach."""

    def _reach_blocks(self, latest: bool = False) -> None:
        """Looks for states that reach what no test has reached, from the latest seeds on where the others had their turn already."""
        if not self._uncovered or self._blocks is None:
            return
        blocks, entry = self._blocks, self.machine.contexts[0].baseline.entry
        states = directed_states(
            self.machine, self.body, self.seeds, self.prototype, self.constants, blocks,
            lambda: leading_to(blocks, entry, self._uncovered), latest=latest, turn=self._turn,
            wanted=lambda: self._uncovered,
        )  # fmt: skip
        most = self.settings.directed * self._scale()
        self._turn += 1
        for number, state in zip(range(most), states, strict=False):
            if not self._uncovered:
                return
            test, _ = self.test_or_answered(answered_again(state, number), self._uncovered, only_new=True)
            if test is not None:
                self._keep(test)

    def _leave_out_what_cannot_be(self) -> None:
        """No test is looked for that would reach a block that no call can reach, or a way that no condition can come out; once."""
        if self._is_decided or self._blocks is None or self.relations is None:
            return
        self._is_decided = True
        found, entry = self.decided(self.body, self._blocks), self.machine.contexts[0].baseline.entry
        if found is not None:
            self._uncovered &= {start - entry for start in found.reached}
            self.relations.settle({at - entry: outcomes for at, outcomes in found.outcomes.items()})

    def _reach_the_rest(self) -> None:
        """What is reached now may lead on: again and again, as long as that reaches anything."""
        idle = 0
        while self._uncovered and idle < _MOST_IDLE:
            before = len(self._uncovered)
            self._reach_blocks(latest=True)
            idle = idle + 1 if len(self._uncovered) == before else 0

    def _answer(self) -> None:
        """Adds tests in which calls out of the unit are answered: some at all, and those that reach what no test has reached."""
        if not self.calls_outside:
            return
        small = [test.state for test in self.tests if test.state.size <= SMALL]
        waiting = deque([*(s for s in small if s.answers is not None), *_varied_origins(small)])
        kept = 0
        for number in range(self.settings.answered):
            only_new = kept >= self.settings.answered_kept
            if not waiting or (only_new and not self._uncovered):
                break
            state = waiting.popleft()
            test, outcome = self.test(answered(state, number), self._uncovered, only_new)
            if outcome.events:
                waiting.append(state)
            if test is not None:
                self._keep(test)
                kept += 1
        if kept:
            self._reach_blocks(latest=True)

    def _reach_boundaries(self) -> None:
        """Adds tests on which comparisons come out equal or nearly so."""
        if self._blocks is None:
            return
        lacks = self.relations.lacks if self.relations is not None else None
        seeds = self.seeds
        for round_ in range(_ROUNDS):
            states = boundary_states(self.machine, self.body, seeds, self.prototype, self._blocks, lacks)
            found = []
            most = self.settings.boundary * half_scale_of(self._size()) // _ROUNDS
            for number, state in zip(range(most), states, strict=False):
                test, _ = self.test_or_answered(state, self._uncovered)
                if test is not None:
                    self._keep(test, looked_at=round_ == 0)
                    test.fills = [test.fills[number % len(test.fills)]]  # there are many of them
                    found.append(test)
            self._near_boundaries += found
            seeds = [self.seed_of(test.fills[0][0]) for test in self._differing(found)]
        sums = sum_states(
            self.machine, self.body, list(self.seeds), self.prototype, self._blocks, self.settings.sum_steps
        )
        for _, state in zip(range(self.settings.sums), sums, strict=False):
            test, _ = self.test(state, self._uncovered)
            if test is not None:
                self._keep(test)

    def _differing(self, tests: Sequence[Test]) -> list[Test]:
        """A few of the tests, which show most pairs of comparisons to come out together as in no other test."""
        captured = [test for test in self.tests if test.state.origin == "captured"]
        known = {frozenset(pair) for test in captured for pair in combinations(test.kinds, 2)}
        pairs = {number: {frozenset(pair) for pair in combinations(test.kinds, 2)} for number, test in enumerate(tests)}
        chosen: list[Test] = []
        while pairs and len(chosen) < _VARIED_AGAIN:
            number = max(pairs, key=lambda n: (len(pairs[n] - known), -n))
            known |= pairs.pop(number)
            chosen.append(tests[number])
        return chosen

    def _walk_tables(self) -> None:
        """Adds tests in which two jumps through tables after each other lead elsewhere."""
        if self._blocks is None or not self._blocks.indirect:
            return
        states = walks(self.machine, self.body, list(self.seeds), self._blocks, self.seed_of)
        for _, state in zip(range(self.settings.walks), states, strict=False):
            test, _ = self.test(state, self._uncovered)
            if test is not None:
                self._keep(test)

    def _reach_relations(self) -> None:
        """Adds tests on which comparisons come out as on no test before, as long as some condition lacks any."""
        relations = self.relations
        if relations is None or self._blocks is None:
            return
        self._turn_conditions(relations, self._blocks, lambda: set(relations.unsettled()), broad=True)
        self._turn_behind_calls(relations)
        self._turn_conditions(relations, self._blocks, relations.open_sites, broad=False)

    def _turn_conditions(
        self, relations: Relations, blocks: Blocks, sites: Callable[[], set[int]], broad: bool
    ) -> None:
        much = self._scale() * (_BROADLY if broad else 1)
        states = directed_states(
            self.machine,
            self.body,
            self.seeds,
            self.prototype,
            self.constants,
            blocks,
            sites,
            narrow=True,
            broad=broad,
            latest=True,
            is_turned=relations.is_turned_by if broad else by_any_sides,
        )
        tried = islice(states, self.settings.relations * much)
        self._add_novel(relations, relations.novel(tried, sites, self.settings.relation_steps * much))

    def _turn_behind_calls(self, relations: Relations) -> None:
        """Adds tests on which a callee's result brings a condition to come out as on no test before."""
        before = len(self._uncovered)
        within = WithinCalls(self.machine, self.body, partial(self.own, self.body), self.seed_of, self.prototype)
        unsettled = relations.unsettled()
        for site, states in within.states(self.seeds, unsettled).items() if unsettled else ():

            def left(site: int = site) -> set[int]:
                return {site} & relations.unsettled().keys()

            tried = islice(states, self.settings.within_calls)
            self._add_novel(relations, relations.novel(tried, left, self.settings.relation_steps * _WITHIN_CALLS))
        if len(self._uncovered) < before:
            self._reach_the_rest()

    def _add_novel(self, relations: Relations, found: Iterable[tuple[EntryState, Look]]) -> None:
        for state, look in found:
            test, _ = self.test_or_answered(state, self._uncovered)
            if test is not None:
                relations.keep(look)
                test.is_novel = True
                self.tests.append(test)
                self._plant_novel(test.fills[0][0])

    def _stretch(self) -> None:
        """Adds tests in which what is compared goes on to agree. They are not varied further: others have come farther."""
        if self._blocks is None:
            return
        states = stretch_states(self.machine, self.body, list(self.seeds), self.prototype, self.constants, self._blocks)
        for number, state in zip(range(self.settings.stretches), states, strict=False):
            test, _ = self.test(state, self._uncovered)
            if test is None:
                continue
            self.tests.append(test)
            test.fills = [test.fills[number % len(test.fills)]]
            if self.relations is not None and not self.relations.is_complete():
                looked_at = self.relations.look(test.fills[0][0])
                self.relations.keep(looked_at)
                test.is_novel = bool(looked_at.new)


def _varied_origins(states: list[EntryState]) -> list[EntryState]:
    """At most `_ANSWERED_STATES` of them, some of each origin."""
    by_origin = [[s for s in states if s.origin == origin] for origin in ("captured", "generated", "mutated")]
    each = max(1, _ANSWERED_STATES // 3)
    return [state for group in by_origin for state in group[:: max(1, len(group) // each)][:each]]
