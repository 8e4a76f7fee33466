"""What a function's candidates are judged by: contexts, tests and seeds for more, made once from its captures and C type."""

from __future__ import annotations

import random
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import combinations, islice, zip_longest
from pathlib import Path

from compiler_ai.capture.errors import CaptureError
from compiler_ai.capture.format import Capture
from compiler_ai.capture.format import load as load_capture
from compiler_ai.sandbox.errors import SandboxError
from compiler_ai.sandbox.image import build_image
from compiler_ai.sandbox.loader import load
from compiler_ai.sandbox.object import UNDEFINED
from compiler_ai.sandbox.pages import page_floor
from compiler_ai.sandbox.process import Outcome, OutcomeKind, Sandbox, Trace
from compiler_ai.sandbox.symbols import Reference, SymbolKind
from compiler_ai.verify.answered import (
    answered,
    answered_again,
    calls_outside,
)
from compiler_ai.verify.argumentuse import ArgumentUse
from compiler_ai.verify.arrays import arranged, overlapping
from compiler_ai.verify.baseline import Baseline
from compiler_ai.verify.branches import by_any_sides
from compiler_ai.verify.calls import Callees
from compiler_ai.verify.code import reader
from compiler_ai.verify.coverage import Blocks, UnknownTargetError, blocks
from compiler_ai.verify.decided import Decided, decided, known_of
from compiler_ai.verify.equivalence import describe_end, is_dead
from compiler_ai.verify.footprint import BLOCK_BYTES
from compiler_ai.verify.generate import Base, generated
from compiler_ai.verify.machine import Body, Context
from compiler_ai.verify.mutate import Seed, magnitudes, mutations
from compiler_ai.verify.prototype import Prototype
from compiler_ai.verify.relations import Relations
from compiler_ai.verify.reloads import changed_by_callee, reloads
from compiler_ai.verify.search import boundary_states, directed_states, leading_to, stretch_states
from compiler_ai.verify.settings import Settings
from compiler_ai.verify.state import EntryState, integer_parameters
from compiler_ai.verify.sums import sum_states
from compiler_ai.verify.testcase import Test, trace_body
from compiler_ai.verify.variety import other_data
from compiler_ai.verify.walks import walks

_ROUNDS = 2  # of bringing comparisons to equality: the second begins where those of the first came out
_VARIED_AGAIN = 12
_MOST_SEEDS = 24  # or as many as the function has blocks
_BLOCKS_A_REPLICA = 24  # of large functions, which have more
_BLOCKS = 64  # for which as much is tried as the settings say
_MORE_SEEDS = 32  # besides, those whose comparisons came out as never before
_CHANGES, _CHANGE_TRIES, _MOST_CHANGES = (
    2,
    8,
    64,
)  # tests in which a callee changes what one load gives, and all of them
_FEW = 64  # tests that come to a block: with fewer, what it works on is varied
_VARIED_TESTS, _VARIATIONS = 6, 12  # of one block, and of one of these tests
_TRIES, _TRIES_OF_LONG = 72, 6  # states tried for the variations of one test
_BROADLY = 2  # times as much where a condition came out the same way in every test
_MOST_IDLE = 4  # turns that reach nothing more
_MOST_REPLICAS = 4
_MOST_ARRANGED = 180
_OTHER_MAGNITUDES = 4
_OVERLAPPING = range(63, 130)  # the lengths of calls whose arrays are made to overlap
_CALLING = 3  # times as many traces where a function calls out of its unit: arguments show only there
_PLACE_BYTES, _MOST_PLACES = 8, 24
_SMALL = 33  # the length of a test worth tracing
_ANSWERED_STATES = 24
_SAVED = ("rbx", "rbp", "r12", "r13", "r14", "r15", "rsp")


def scale_of(blocks: int) -> int:
    """How many times as much as the settings say is tried for a function of so many blocks."""
    return max(1, blocks // _BLOCKS)


def half_scale_of(blocks: int) -> int:
    """The same of what takes long: half as many times."""
    return max(1, scale_of(blocks) // 2)


class Preparation(Baseline):
    """The tests of one function: at first its captured calls. `notes` say what was left out and why."""

    def __init__(
        self,
        sandbox: Sandbox,
        baseline_object: bytes,
        function: str,
        captures: Sequence[Path],
        prototype: Prototype | None,
        settings: Settings,
        unoptimised: bytes = b"",
    ) -> None:
        super().__init__(sandbox, baseline_object, function, prototype, settings, unoptimised)
        self.seeds: list[Seed] = []
        self.notes: list[str] = []
        self.constants: tuple[int, ...] = ()
        self._blocks: Blocks | None = None  # the baseline's in the first context; None when they cannot be told
        self.relations: Relations | None = None
        self._is_decided = False
        self._turn = 0  # of looking for what no test has reached
        self._novel = 0  # seeds kept for how comparisons came out
        self._uncovered: set[int] = set()
        self._near_boundaries: list[Test] = []
        for path in self._chosen(captures):
            try:
                self._add_capture(path)
            except (CaptureError, SandboxError) as error:
                self.notes.append(f"{path.name}: {error}")

    def make_tests(self) -> None:
        """All tests besides the captured calls; once. Raises SandboxError."""
        self._check_unoptimised()
        self._arrange()
        self._change_magnitudes()
        self._fill_up()
        self._overlap()
        if self._uncovered:
            self._leave_out_what_cannot_be()
        self._reach_blocks()
        self._answer()
        self._reach_boundaries()
        self._walk_tables()
        self._reach_the_rest()
        if self.relations is not None and self.relations.one_sided():
            self._leave_out_what_cannot_be()
        self._reach_relations()
        self._stretch()
        self._vary_where_few_come()
        self._change_behind_calls()
        self._trace()

    def _chosen(self, captures: Sequence[Path]) -> list[Path]:
        if len(captures) <= self.settings.captures:
            return list(captures)
        return sorted(random.Random(self.settings.seed).sample(list(captures), self.settings.captures))

    # Captures ----------------------------------------------------------------------------------------------------

    def _add_capture(self, path: Path) -> None:
        capture = load_capture(path)
        if capture.impure or capture.exit_registers is None:
            return
        image = build_image(capture)
        baseline = load(self.body.object_bytes, self.body.function, image.bases[0], image.resolver)
        context = Context(capture, image, baseline, {address: page.data for address, page in capture.pages.items()})
        context.writable = {address for address, page in capture.pages.items() if page.prot & 2}
        self.machine.contexts.append(context)
        self.body.adopt(context)
        state = EntryState(f"capture {path.stem}", "captured", image, image.registers)
        outcome = self.machine.run(state, baseline, self.settings.captured_limit_ns)
        reason = replay_difference(capture, outcome)
        if reason:
            self.machine.contexts.remove(context)
            self.notes.append(f"{path.name}: GCC's own body does not replay: {reason}")
            return
        if len(self.machine.contexts) == 1:
            self._learn(context)
        test, _ = self.test(state, self._uncovered)
        if test is None:
            self.notes.append(f"{path.name}: GCC's own body depends on what no callee may rely on")
            return
        self._keep(test)
        self._plant(test.fills[0][0])

    def _check_unoptimised(self) -> None:
        """Code that does otherwise than the program did on a captured call tells nothing of other calls."""
        for test in self.tests:
            state, expected = test.fills[0]
            outcome = self._unoptimised.run(state, expected.cpu_ns)
            if outcome is not None and self.differ(expected, outcome, state, frozenset()):
                self._unoptimised.distrust()

    def _learn(self, context: Context) -> None:
        """What the baseline's code and unit say: blocks, constants, the callees' names."""
        names = {}
        for symbol in self.body.unit.symbols:
            if symbol.name and (symbol.section == UNDEFINED or symbol.kind is SymbolKind.FUNCTION):
                reference = Reference(symbol.name, symbol.kind, symbol.is_local, 0, self.body.unit.unit)
                address = context.image.resolver.resolve(reference)
                if address is not None:
                    names[address] = symbol.name
        names |= {address: name for name, address in context.capture.symbols.items() if address not in names}
        self.callees = Callees(names, self.prototype.callees if self.prototype is not None else {})
        self.machine.callees = self.callees
        self._uses = ArgumentUse(reader([context.image.pages]))
        self.calls_outside = calls_outside(context.baseline, self.callees)
        try:
            found = blocks(self.own(self.body, context))
        except UnknownTargetError:
            return
        self._blocks = found
        self.relations = Relations(self.machine, self.body, found, context)
        self.constants = found.constants
        self._uncovered = {start - context.baseline.entry for start in found.starts}

    # More states -------------------------------------------------------------------------------------------------

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

    def _size(self) -> int:
        """How many blocks the function has, as far as is known: of large ones more is tried."""
        return len(self._blocks.starts) if self._blocks is not None else 0

    def _scale(self) -> int:
        return scale_of(self._size())

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
        for number, state in enumerate(overlapping(first, self.prototype, partial(self.machine.memory, first))):
            test, _ = self.test(state, self._uncovered)
            if test is not None:
                test.fills = [test.fills[number % len(test.fills)]]
                test.is_variation = True
                self.tests.append(test)

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
        return [Base(state, lambda at, size, s=state: self.machine.memory(s, at, size)) for state in states]  # type: ignore[misc]

    def _steps(self, state: EntryState) -> int:
        """The length of the baseline's run from a state, as far as it is traced."""
        return len(self.machine.trace(state, self.machine.context(state).baseline, self.settings.trace_steps))

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

    def to_log(self) -> list[Test]:
        """Some of the made tests and of those on which comparisons come out equal: a body that goes one step too far and stores
        what is there already shows in its accesses only."""
        most = self.settings.logged_small
        small = [test for test in self._differing_in_kind() if test.state.answers is None]
        made = [test for test in small if test.state.origin == "generated"]
        near = [test for test in self._near_boundaries if test in small]
        chosen = [*self._at_all_places(small)[:_MOST_PLACES], *_spread(made, most)[:most], *_spread(near, most)[:most]]
        return list({id(test): test for test in chosen}.values())

    def _at_all_places(self, tests: Sequence[Test]) -> list[Test]:
        """Of these tests, those in which a pointer argument leads to a place in a block as in none before: what is read in a block of
        which something is read anyway cannot fault, and does not count."""
        parameters = integer_parameters(self.prototype) if self.prototype is not None else []
        pointers = [name for name, kind in parameters if kind.kind == "pointer"]
        seen: set[tuple[str, int]] = set()
        found = []
        for test in tests:
            places = {(name, test.state.registers[name] % BLOCK_BYTES // _PLACE_BYTES) for name in pointers}
            if not places <= seen:
                seen |= places
                found.append(test)
        return found

    def _differing_in_kind(self) -> list[Test]:
        """The tests worth tracing: small ones, of which the many that differ in their data only would take all places."""
        return [test for test in self.tests if test.state.size <= _SMALL and not test.is_variation]

    def _misaligned(self, base: EntryState) -> Iterator[list[EntryState]]:
        """The same call with the stack 8 bytes lower: GCC may call a local function with less alignment."""
        stack = base.registers["rsp"]
        if page_floor(stack) in self.machine.context(base).initial and self.prototype is not None:
            if len(self.prototype.parameters) > 6:
                return
            moved = {stack - 8: base.image.return_address.to_bytes(8, "little")}
            registers = base.registers.with_general(rsp=stack - 8)
            name = f"{base.name}, stack at 8"
            yield [replace(base, name=name, origin="mutated", registers=registers, patches=moved)]

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

    def decided(self, body: Body, found: Blocks) -> Decided | None:
        """Of a body with these blocks in the first context, what its conditions decide whatever it is called with."""
        context = self.machine.contexts[0]
        known = known_of(body.unit, body.at(context), self.callees.may_have_stack_arguments)
        return decided(self.own(body, context), found, body.decoder(context), known, self.settings.decided_steps)

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
        small = [test.state for test in self.tests if test.state.size <= _SMALL]
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
        self._turn_conditions(relations, self._blocks, relations.open_sites, broad=False)

    def _turn_conditions(
        self, relations: Relations, blocks: Blocks, sites: Callable[[], set[int]], broad: bool
    ) -> None:
        much = self._scale() * (_BROADLY if broad else 1)
        most_steps = relations.steps + self.settings.relation_steps * much
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
        for _, state in zip(range(self.settings.relations * much), states, strict=False):
            if not sites() or relations.steps > most_steps:
                return
            found = relations.look(state)
            if found.new:
                test, _ = self.test_or_answered(state, self._uncovered)
                if test is not None:
                    relations.keep(found)
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

    def _vary_where_few_come(self) -> None:
        """Adds tests with other data in blocks that few tests come to, the fewest first. They are not varied further."""
        if self._blocks is None:
            return
        coming = self._few_come()
        left = self.settings.varied
        for block in sorted(coming, key=lambda block: len(coming[block])):
            few = _spread(sorted(coming[block], key=lambda test: test.state.size), _VARIED_TESTS)[:_VARIED_TESTS]
            for test in few:
                if left <= 0 or len(coming[block]) >= _FEW:
                    break
                most = max(_VARIATIONS, _FEW // len(few))
                for found in islice(self.varied_data(test, self.body, block, self._uncovered), min(left, most)):
                    left -= 1
                    self.tests.append(found)
                    for other in self._come_to(found, set(coming)):
                        coming[other].append(found)

    def _few_come(self) -> dict[int, list[Test]]:
        """By block (relative to the entry), the tests that come there, of those to which some but few do."""
        assert self._blocks is not None
        entry = self.machine.contexts[0].baseline.entry
        coming: dict[int, list[Test]] = {start - entry: [] for start in self._blocks.starts}
        for test in self.tests:
            for block in self._come_to(test, set(coming)):
                coming[block].append(test)
                if len(coming[block]) >= _FEW:
                    del coming[block]
        return {block: tests for block, tests in coming.items() if tests}

    def _come_to(self, test: Test, blocks: set[int]) -> set[int]:
        """Those of the blocks, relative to the entry, that a test comes to."""
        baseline = self.machine.context(test.state).baseline
        marks = [baseline.entry + block for block in blocks]
        outcome = self.machine.run(test.fills[0][0], baseline, test.limit_ns, marks)
        return {address - baseline.entry for address in outcome.covered}

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

    def _trace(self) -> None:
        """Traces the baseline on small tests of all origins in turn."""
        small = self._differing_in_kind()
        by_origin = {
            origin: _spread([test for test in small if test.state.origin == origin], self.settings.traces)
            for origin in ("generated", "mutated", "captured", "answered")
        }
        by_origin["boundary"] = _spread(self._near_boundaries, self.settings.traces)
        left = self.settings.traces
        queues = [queue for queue in by_origin.values() if queue]
        steps, calling = 0, False
        while left > 0 and queues and steps < self.settings.traced_steps // 2:
            for queue in list(queues):
                if not queue:
                    queues.remove(queue)
                    continue
                test = queue.pop(0)
                if test.traced is not None:
                    continue
                traced = trace_body(self.machine, test.fills[0][0], self.body, self.callees, self.settings.trace_steps)
                steps += traced.steps
                if traced.complete:
                    test.traced = traced
                    left -= 1
                    if traced.calls and not calling:
                        calling = True
                        left += (_CALLING - 1) * self.settings.traces


def _varied_origins(states: list[EntryState]) -> list[EntryState]:
    """At most `_ANSWERED_STATES` of them, some of each origin."""
    by_origin = [[s for s in states if s.origin == origin] for origin in ("captured", "generated", "mutated")]
    each = max(1, _ANSWERED_STATES // 3)
    return [state for group in by_origin for state in group[:: max(1, len(group) // each)][:each]]


def _spread(tests: list[Test], count: int) -> list[Test]:
    """All of them, `count` that lie evenly among them first."""
    step = max(1, len(tests) // count)
    return [*tests[step // 2 :: step], *(test for n, test in enumerate(tests) if n % step != step // 2)]


def replay_difference(capture: Capture, outcome: Outcome) -> str:
    """What a replay of the baseline does otherwise than the captured call did, or ""."""
    if outcome.kind is not OutcomeKind.RETURNED:
        return describe_end(outcome)
    assert capture.exit_registers is not None
    stack = capture.registers["rsp"]
    for name in _SAVED:
        if outcome.registers[name] != capture.exit_registers[name]:
            return f"{name} differs from the capture"
    for page in set(capture.changed) | {p for p in outcome.changed if p in capture.pages}:
        expected = capture.changed.get(page, capture.pages[page].data if page in capture.pages else b"")
        mine = outcome.changed.get(page, capture.pages[page].data if page in capture.pages else b"")
        if mine != expected:
            for at in range(min(len(mine), len(expected))):
                if mine[at] != expected[at] and not is_dead(page + at, stack):
                    return f"byte {page + at:#x} differs from the capture"
    return ""
