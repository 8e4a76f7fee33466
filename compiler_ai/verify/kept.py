"""The tests of one function so far, and which of them are worth varying."""

from __future__ import annotations

from collections.abc import Set
from functools import cached_property

from compiler_ai.sandbox.process import Sandbox
from compiler_ai.verify.answering import described
from compiler_ai.verify.baseline import Baseline
from compiler_ai.verify.coverage import Blocks
from compiler_ai.verify.decided import Decided, decided, linked
from compiler_ai.verify.heights import growth
from compiler_ai.verify.machine import Body
from compiler_ai.verify.mutate import Seed
from compiler_ai.verify.prototype import Prototype
from compiler_ai.verify.relations import Relations
from compiler_ai.verify.settings import Settings
from compiler_ai.verify.state import EntryState
from compiler_ai.verify.testcase import Test

_MOST_SEEDS = 24  # or as many as the function has blocks
BLOCKS = 64  # for which as much is tried as the settings say
_MORE_SEEDS = 32  # besides, those whose comparisons came out as never before
FEW = 64  # tests that come to a block: with fewer, what it works on is varied
SMALL = 33  # the length of a test worth tracing


def scale_of(blocks: int) -> int:
    """How many times as much as the settings say is tried for a function of so many blocks."""
    return max(1, blocks // BLOCKS)


def half_scale_of(blocks: int) -> int:
    """The same of what takes long: half as many times."""
    return max(1, scale_of(blocks) // 2)


def spread(tests: list[Test], count: int) -> list[Test]:
    """All of them, `count` that lie evenly among them first."""
    step = max(1, len(tests) // count)
    return [*tests[step // 2 :: step], *(test for n, test in enumerate(tests) if n % step != step // 2)]


class Kept(Baseline):
    """Keeps tests, and as seeds for more those that reach what none did before, or on which comparisons come out as never before."""

    def __init__(
        self,
        sandbox: Sandbox,
        baseline_object: bytes,
        function: str,
        prototype: Prototype | None,
        settings: Settings,
        unoptimised: bytes,
    ) -> None:
        super().__init__(sandbox, baseline_object, function, prototype, settings, unoptimised)
        self.seeds: list[Seed] = []
        self.constants: tuple[int, ...] = ()
        self.relations: Relations | None = None
        self._blocks: Blocks | None = None  # the baseline's in the first context; None when they cannot be told
        self._is_decided = False
        self._turn = 0  # of looking for what no test has reached
        self._novel = 0  # seeds kept for how comparisons came out
        self._uncovered: set[int] = set()
        self._near_boundaries: list[Test] = []
        self._coming: dict[int, list[Test]] = {}  # to blocks, as long as these are few
        self._counted = 0  # tests whose blocks are in there

    def _size(self) -> int:
        """How many blocks the function has, as far as is known: of large ones more is tried."""
        return len(self._blocks.starts) if self._blocks is not None else 0

    def indexes_frame(self) -> bool:
        """Whether the baseline computes places in its own frame."""
        return self._blocks is not None and self._blocks.indexes_frame

    def growing(self, body: Body) -> str:
        """Why what `body` takes of the stack may grow with its data, "" when it does not."""
        return growth(self.own(body, self.machine.contexts[0]), self._never_return)

    @cached_property
    def stack_grows(self) -> bool:
        """Whether what the baseline takes of the stack may grow with its data."""
        return bool(self.growing(self.body))

    @cached_property
    def _never_return(self) -> frozenset[int]:
        return frozenset(address for address, callee in described(self.callees).items() if callee.never_returns)

    def _scale(self) -> int:
        return scale_of(self._size())

    def _steps(self, state: EntryState) -> int:
        """The length of the baseline's run from a state, as far as it is traced."""
        return len(self.machine.trace(state, self.machine.context(state).baseline, self.settings.trace_steps))

    def _few_come(self) -> dict[int, list[Test]]:
        """By block (relative to the entry), the tests that come there, as long as these are few."""
        for test in self.tests[self._counted :]:
            for block in test.comes_to & self._coming.keys():
                self._coming[block].append(test)
                if len(self._coming[block]) >= FEW:
                    del self._coming[block]
        self._counted = len(self.tests)
        return self._coming

    def _watched(self) -> Set[int]:
        return self._few_come().keys()

    def _differing_in_kind(self) -> list[Test]:
        """The tests worth tracing: small ones, of which the many that differ in their data only would take all places."""
        return [test for test in self.tests if test.state.size <= SMALL and not test.is_variation]

    def decided(self, body: Body, found: Blocks) -> Decided | None:
        """Of a body with these blocks in the first context, what its conditions decide whatever it is called with."""
        context = self.machine.contexts[0]
        of_unit = linked(body.unit, body.at(context), self.callees.may_have_stack_arguments)
        return decided(self.own(body, context), found, body.decoder(context), of_unit, self.settings.decided_steps)

    def _add_variation(self, test: Test, number: int) -> None:
        """A test that is not varied further, with one of its fills, which `number` chooses."""
        test.fills = [test.fills[number % len(test.fills)]]
        test.is_variation = True
        self.tests.append(test)

    def _keep(self, test: Test, looked_at: bool = True) -> None:
        """Adds a test; one on which some comparison comes out as never before is, when `looked_at`, also one to vary."""
        self.tests.append(test)
        relations, state = self.relations, test.fills[0][0]
        if relations is None or not looked_at or relations.is_complete():
            return
        if relations.steps > self.settings.relation_steps * self._scale():
            return
        found = relations.look(state)
        relations.keep(found)
        test.kinds = found.kinds
        test.is_novel = bool(found.new)
        if found.new and test.state.origin != "captured":
            self._plant_novel(state)

    def _plant_novel(self, state: EntryState) -> None:
        """Keeps a state on which some comparison came out as never before, unless it is kept already."""
        if self._novel < _MORE_SEEDS and all(seed.state is not state for seed in self.seeds):
            self._novel += 1
            self.seeds.append(self.seed_of(state))

    def _reaches(self, state: EntryState) -> None:
        self._plant(state)

    def _plant(self, state: EntryState) -> None:
        """Keeps a state as one to vary. Its reads are those of the first part of its run."""
        if len(self.seeds) - self._novel < max(_MOST_SEEDS, self._size()):
            self.seeds.append(self.seed_of(state))
