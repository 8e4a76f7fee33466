"""Calls that need more memory than there is: numbers of 64 bits that are larger by 2^32, so that one whose upper half a body ignores
is the same number to it. No such call is a test, but a body that comes back from one does not do what GCC's does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from compiler_ai.verify.making import Making
from compiler_ai.verify.mutate import Seed
from compiler_ai.verify.prototype import Prototype
from compiler_ai.verify.state import EntryState
from compiler_ai.verify.sums import inputs_of, with_inputs
from compiler_ai.verify.unoptimised import lacks_memory

_WIDE_BYTES = 8
_FARTHER = 1 << 32
_SEEDS, _MOST_TRIED = 6, 24


def farther(seeds: Sequence[Seed], prototype: Prototype | None) -> Iterator[EntryState]:
    """The seeds' calls with each number of 64 bits that they get, larger by 2^32."""
    for seed in seeds:
        for one in inputs_of(seed, prototype):
            if one.size_bytes == _WIDE_BYTES and not one.is_float:
                yield with_inputs(seed.state, {one: (one.value + _FARTHER) % (1 << 8 * _WIDE_BYTES)})


class Beyond(Making):
    """Finds such calls; those that GCC's body comes back from are tests."""

    beyond: tuple[EntryState, ...] = ()

    def _go_beyond(self) -> None:
        found = []
        for state in islice(farther(self.seeds[:_SEEDS], self.prototype), _MOST_TRIED):
            test, outcome = self.test(state, self._uncovered)
            if test is not None:
                test.is_variation = True
                self.tests.append(test)
            elif lacks_memory(outcome, state.registers["rsp"]):
                found.append(self._filled(state, 0))
        self.beyond = tuple(found)
