"""Tests in which a byte has every value that it can have, and those with long runs of one number."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from itertools import islice
from random import Random

from compiler_ai.sandbox.errors import SandboxError
from compiler_ai.verify.everyvalue import Span, Sweep, apart, byte_places, swept_arguments
from compiler_ai.verify.footprint import Bits
from compiler_ai.verify.generate import Base
from compiler_ai.verify.longcalls import Contents, all_pairs, calls_with, every_byte, long_runs
from compiler_ai.verify.making import Making
from compiler_ai.verify.mutate import Seed
from compiler_ai.verify.prototype import Prototype
from compiler_ai.verify.state import EntryState
from compiler_ai.verify.testcase import Test, log_body

_ACCESSES_AN_ELEMENT = 32  # at most, of runs that may be made as long as any
_MOST_LOOKED_AT = 40  # seeds
_MOST_SWEPT = 4
_LOGGED_ENTRIES = 100_000
_ARGUMENT_BASES, _MOST_ARGUMENTS = 4, 2


class Sweeping(Making):
    """Adds tests for single values and long runs. They are not varied further, and each has one of its fills only."""

    def _lengthen(self) -> None:
        """Calls on buffers of every byte, and of one number again and again; the longest runs, and every pair of bytes, where what they take is
        known not to grow faster than they do."""
        if self.prototype is None:
            return
        add = partial(self._add_long, self._bases(), self.prototype)
        add(every_byte(self.settings.seed))
        runs = add(long_runs())
        if runs and self._is_linear(runs[-1]):
            add(long_runs(longest=True))
            add(all_pairs())

    def _add_long(self, bases: Sequence[Base], prototype: Prototype, all_contents: Iterable[Contents]) -> list[Test]:
        found = []
        for number, contents in enumerate(all_contents):
            group = calls_with(bases[number % len(bases)], prototype, contents, number)
            test = self._smallest(group) if group else None
            if test is not None:
                self._add_variation(test, len(self.tests))
                found.append(test)
        return found

    def _is_linear(self, test: Test) -> bool:
        """Whether a run is known to access memory not much more often than in proportion to its length."""
        most = _ACCESSES_AN_ELEMENT * test.state.size
        try:
            return not log_body(self.machine, test.fills[0][0], self.body, self.callees, most).lacking
        except SandboxError:
            return False

    def _sweep_arguments(self) -> None:
        """Every value of each argument that is a byte, in calls of several kinds."""
        if self.prototype is None:
            return
        bases = [test.state for test in self.tests if test.state.origin == "captured"][:_ARGUMENT_BASES]
        bases += [seed.state for seed in self.seeds[len(bases) : 2 * _ARGUMENT_BASES]]
        for state in islice(swept_arguments(bases, self.prototype), _MOST_ARGUMENTS * self.settings.swept):
            test, _ = self.test_or_answered(state, self._uncovered)
            if test is not None:
                self._add_variation(test, len(self.tests))

    def _sweep_loads(self) -> None:
        """Every value of what the baseline loads as a byte, or as two, from memory that a caller may have filled."""
        left = self.settings.swept
        for seed, places in self._places_by_seed():
            entry = self.body.at(self.machine.context(seed.state)).entry
            sweep = Sweep(seed, places, Random(f"{self.settings.seed} {seed.state.name}"))
            while left > 0 and (state := sweep.state()) is not None:
                left -= 1
                test, outcome = self.test(state, self._uncovered, marked={site - entry for site in places})
                sweep.note(outcome.covered, self._read(state) if sweep.is_walking else None)
                if test is not None:
                    self._add_variation(test, len(self.tests))

    def _places_by_seed(self) -> list[tuple[Seed, dict[int, Sequence[Span]]]]:
        """A few seeds, with what instructions load there as bytes that do so in none before, by address of the instruction: first the one
        where most do, and fewest what others do too."""
        looks = []
        # On buffers of its own, each thing that a seed reads can vary by itself.
        for seed in sorted(self.seeds[:_MOST_LOOKED_AT], key=lambda seed: not seed.state.extra):
            context = self.machine.context(seed.state)
            loaded = self.body.at(context)
            trace = self.machine.trace(seed.state, loaded, self.settings.trace_steps)
            places = byte_places(trace, self.body.decoder(context), seed.reads)
            looks.append((seed, loaded.entry, {site - loaded.entry: spans for site, spans in places.items()}))
        known: set[int] = set()
        chosen: list[tuple[Seed, dict[int, Sequence[Span]]]] = []
        for _ in range(_MOST_SWEPT if looks else 0):
            left = [
                (seed, entry, {at: one for at, one in all_.items() if at not in known}) for seed, entry, all_ in looks
            ]
            seed, entry, places = max(left, key=lambda look: (bool(look[2]), 2 * len(apart(look[2])) - len(look[2])))
            new = apart(places)
            if not new:
                break
            known |= new.keys()
            chosen.append((seed, {entry + site: spans for site, spans in new.items()}))
        return chosen

    def _read(self, state: EntryState) -> Bits | None:
        """What the baseline reads from a state (page -> bits), None when that is not known."""
        if state.answers is not None:
            return None  # instrumented bodies make their calls
        try:
            found = log_body(self.machine, state, self.body, self.callees, _LOGGED_ENTRIES)
        except SandboxError:
            return None
        return found.footprint.reads if found.footprint is not None else None
