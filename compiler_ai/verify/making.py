"""Tests that are made of captured calls and of C types, without looking at what the body decides on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from itertools import zip_longest

from compiler_ai.sandbox.pages import page_floor
from compiler_ai.sandbox.process import OutcomeKind
from compiler_ai.sandbox.symbols import Reference, SymbolKind
from compiler_ai.verify.aliases import aliased
from compiler_ai.verify.arrays import NEAR_OVERLAPS, arranged, overlapping
from compiler_ai.verify.generate import Base, generated
from compiler_ai.verify.kept import Kept
from compiler_ai.verify.mutate import magnitudes, mutations, with_one
from compiler_ai.verify.passing import passing
from compiler_ai.verify.state import EntryState
from compiler_ai.verify.testcase import Test

_BLOCKS_A_REPLICA = 24  # of large functions, which have more
_MOST_REPLICAS = 4
_MOST_ARRANGED = 180
_OTHER_MAGNITUDES = 4
_MOST_BASES, _MOST_ALIASED = 4, 96
_LARGEST_COUNT = 40
_OVERLAPPING = range(63, 130)  # the lengths of calls whose arrays are made to overlap


class Making(Kept):
    """Arranged, mutated and generated tests."""

    def _fill_up(self) -> None:
        """Mutated and generated states in turn, until there are enough or enough were tried."""
        wanted = {"mutated": self.settings.mutated, "generated": self.settings.generated}
        sources = [self._generated(), self._mutated()]
        if self.settings.local:
            sources.append(self._misaligned(self.tests[0].state))
        tried = replicas = 0
        most_replicas = max(_MOST_REPLICAS, self._size() // _BLOCKS_A_REPLICA)
        while sources and tried < self.settings.attempts:
            for source in list(sources):
                group = next(source, None)
                if group is None or wanted.get(group[0].origin, 1) <= 0:
                    sources.remove(source)
                    continue
                test = self._smallest(group)
                tried += 1
                if test is not None:
                    self._keep(test)
                    wanted[test.state.origin] -= 1
                    if "elsewhere" in test.state.name and replicas < most_replicas:
                        replicas += 1
                        self._plant(test.fills[0][0])

    def _arrange(self) -> None:
        """The first captured call with its arrays in other orders, and overlapping."""
        if self.prototype is None:
            return
        first = self.tests[0].fills[0][0]
        states = arranged(first, self.prototype, partial(self.machine.memory, first))
        for _, state in zip(range(_MOST_ARRANGED), states, strict=False):
            test, _ = self.test(state, self._uncovered)
            if test is not None:
                self._keep(test)

    def _change_magnitudes(self) -> None:
        """The first few captured calls with floating-point numbers of other signs and magnitudes."""
        for seed in self.seeds[:_OTHER_MAGNITUDES]:
            for state in magnitudes(seed):
                test, _ = self.test(state, self._uncovered)
                if test is not None:
                    self._keep(test)

    def _overlap(self) -> None:
        """A made call on arrays of its own, of some length, with these overlapping by every distance."""
        made = [test for test in self.tests if test.state.origin == "generated" and test.state.size in _OVERLAPPING]
        if not made or self.prototype is None:
            return
        longest = max(made, key=lambda test: self._steps(test.fills[0][0]))
        first = longest.fills[0][0]
        self._add_variations(overlapping(first, self.prototype, partial(self.machine.memory, first)))

    def overlapped(self, test: Test) -> Iterator[EntryState]:
        """The test's call with its arrays overlapping by a few elements."""
        first = test.fills[0][0]
        if self.prototype is None:
            return iter(())
        return overlapping(first, self.prototype, partial(self.machine.memory, first), NEAR_OVERLAPS)

    def counted_down(self, test: Test) -> Iterator[EntryState]:
        """The test's call with every smaller number up to a few dozen in place of each of its integers."""
        state = test.fills[0][0]
        for one, value in self.seed_of(state).arguments(self.prototype).items():
            if one.type.kind == "integer":
                largest = min(value & (1 << 8 * one.type.size_bytes) - 1, _LARGEST_COUNT + 1)
                yield from (with_one(state, one, count) for count in reversed(range(largest)))

    def aliased(self, state: EntryState) -> Iterator[EntryState]:
        """The call with pointers to what it reads elsewhere."""
        return aliased(self.seed_of(state), self.prototype, self._private(state))

    def _alias(self) -> None:
        """The longest and the shortest captured calls with pointers to what they read elsewhere."""
        bases = [base.state for base in self._bases()][:_MOST_BASES]
        states = [state for base in bases for state in self.aliased(base)]
        self._add_variations(states[:_MOST_ALIASED])

    def _add_variations(self, states: Iterable[EntryState]) -> None:
        for number, state in enumerate(states):
            test, _ = self.test(state, self._uncovered)
            if test is not None:
                self._add_variation(test, number)

    def _private(self, state: EntryState) -> list[tuple[int, int]]:
        """Where the unit's local variables lie: GCC knows of those whose address is not taken that no pointer leads there."""
        unit, resolver = self.body.unit, self.machine.context(state).image.resolver
        variables = [one for one in unit.symbols if one.is_local and one.kind is SymbolKind.DATA and one.size_bytes]
        places = [
            (resolver.resolve(Reference(one.name, one.kind, True, one.size_bytes, unit.unit)), one.size_bytes)
            for one in variables
        ]
        return [(at, at + size) for at, size in places if at is not None]

    def _smallest(self, group: list[EntryState]) -> Test | None:
        """The test on the first state of a group on which the baseline does not fault, if it is one."""
        test, outcome = self.test(group[0], self._uncovered)
        if test is not None or outcome.kind is not OutcomeKind.FAULT or len(group) == 1:
            return test
        largest, _ = self.test(group[-1], self._uncovered)
        if largest is None:
            return None  # more room does not help
        for state in group[1:-1]:
            test, outcome = self.test(state, self._uncovered)
            if test is not None or outcome.kind is not OutcomeKind.FAULT:
                return test
        return largest

    def _generated(self) -> Iterator[list[EntryState]]:
        if self.prototype is not None:
            yield from generated(self._bases(), self.prototype, self.constants, self.settings.seed)

    def _bases(self) -> list[Base]:
        """The captured calls, the longest and the shortest in turn: replicas are made and varied of the first few."""
        states = [test.state for test in self.tests if test.state.origin == "captured"]
        states.sort(key=self._steps)
        states = [state for pair in zip_longest(states[::-1], states) for state in pair][: len(states)]
        return [Base(state, partial(self.machine.memory, state), self.reals) for state in states]

    def _mutated(self) -> Iterator[list[EntryState]]:
        """Variations of all seeds in turn, those found on the way included."""
        streams: list[Iterator[EntryState]] = []
        planted = 0
        while True:
            while planted < len(self.seeds):
                seed = self.seeds[planted]
                streams.append(
                    mutations(seed, self.prototype, self.constants, f"{self.settings.seed} {seed.state.name}")
                )
                planted += 1
            if not streams:
                return
            for stream in list(streams):
                state = next(stream, None)
                if state is None:
                    streams.remove(stream)
                else:
                    yield [replace(state, origin="mutated")]

    def _misaligned(self, base: EntryState) -> Iterator[list[EntryState]]:
        """The same call with the stack 8 bytes lower: GCC may call a local function with less alignment."""
        stack = base.registers["rsp"]
        if page_floor(stack) in self.machine.context(base).initial and self.prototype is not None:
            places = passing(self.prototype)
            if places is None or places.stack_bytes:
                return
            moved = {stack - 8: base.image.return_address.to_bytes(8, "little")}
            registers = base.registers.with_general(rsp=stack - 8)
            name = f"{base.name}, stack at 8"
            yield [replace(base, name=name, origin="mutated", registers=registers, patches=moved)]
