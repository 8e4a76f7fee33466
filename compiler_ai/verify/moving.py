"""Tests for arguments that are the same in all others."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import islice

from compiler_ai.verify.answered import answered
from compiler_ai.verify.kept import Kept
from compiler_ai.verify.mutate import with_values
from compiler_ai.verify.scalars import Argument, arguments_of, other_value, value_of
from compiler_ai.verify.state import EntryState

_TRIES, _ENOUGH = 24, 4  # tests tried and kept for what has not moved
_MOST_ALONE = 16  # arguments that are moved each by itself
_FARTHER_BYTES = 16


class Moving(Kept):
    """Varies what nothing else has varied."""

    def _move_arguments(self) -> None:
        """Adds tests in which arguments are others that have been the same so far: all of them, then each that still is."""
        if left := self._unmoved():
            self._add(self._moved([one for one in left if one.type.target_kind != "function"]))
            for one in self._unmoved()[:_MOST_ALONE]:
                self._add(self._called_elsewhere(one) if one.type.target_kind == "function" else self._moved([one]))

    def _unmoved(self) -> list[Argument]:
        return self.unmoved(self.body, [test.fills[0][0] for test in self.tests])

    def _add(self, states: Iterator[EntryState]) -> None:
        tests = (self.test_or_answered(state, self._uncovered)[0] for state in states)
        for test in islice((test for test in tests if test is not None), _ENOUGH):
            self._keep(test)

    def _moved(self, some: Sequence[Argument]) -> Iterator[EntryState]:
        chance = random.Random(f"{self.settings.seed} {len(some)} {some[:1]}")
        for test in self.tests[:_TRIES] if some else ():
            values = self._values(test.state)
            others = {one: other_value(one, values, self.constants, self.reals, chance) for one in some}
            yield with_values(test.state, others)

    def _called_elsewhere(self, one: Argument) -> Iterator[EntryState]:
        """With another function, whose calls are answered."""
        known = [at for at in self.callees.names if not self.callees.is_transparent(at)]
        for number, test in zip(range(_TRIES), self.tests, strict=False):
            value = self._values(test.state)[one]
            others = [at for at in known if at != value] or [value + _FARTHER_BYTES]
            yield answered(with_values(test.state, {one: others[number % len(others)]}), number)

    def _values(self, state: EntryState) -> dict[Argument, int]:
        memory = partial(self.machine.memory, state)
        return {one: value_of(one, state.registers, memory) for one in arguments_of(self.prototype)}
