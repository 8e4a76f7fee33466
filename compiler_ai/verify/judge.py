"""Judges one candidate by a function's tests: cheap comparisons first, the first difference ends it."""

from __future__ import annotations

from collections.abc import Set
from itertools import chain, islice, zip_longest

from compiler_ai.artifacts import Counterexample, Evidence, Grade
from compiler_ai.sandbox.errors import SandboxError
from compiler_ai.sandbox.process import OutcomeKind
from compiler_ai.verify.accessing import Accessing, places
from compiler_ai.verify.answered import answered_again
from compiler_ai.verify.coverage import Blocks, UnknownTargetError, blocks
from compiler_ai.verify.decided import Decided
from compiler_ai.verify.escaping import Replaced, escaping, replaced
from compiler_ai.verify.firstcalls import FirstCalls
from compiler_ai.verify.judging import Refuted, Undecided
from compiler_ai.verify.kept import half_scale_of, scale_of
from compiler_ai.verify.machine import Body, Context
from compiler_ai.verify.mutate import Seed
from compiler_ai.verify.relations import Relations, never_the_same, one_sided_differ, one_sided_unshown, to_be_turned
from compiler_ai.verify.search import boundary_states, directed_states, leading_to
from compiler_ai.verify.state import EntryState
from compiler_ai.verify.testcase import Test

_MOST_IDLE = 3  # turns of looking for what no test reached that reach nothing more
_MOST_THERE, _VARIATIONS = 40, 24  # blocks that only tests made for them reach, and tests with other data there
_MOST_OVERLAPPED = 12  # tests
_FEW_THERE = 4  # tests that come to a block by chance
_MOST_SEEDS = 16  # that a candidate is traced on
_MOST_NEAR = 400  # calls with pointers that lead to what others lead to, or with smaller counts


class Judgement(Accessing, FirstCalls):
    """What is known of one candidate so far."""

    def unreached(self) -> int:
        """How many of its blocks the function's tests do not reach; 0 when they decide about it. Raises SandboxError."""
        try:
            self._begin()
        except (Refuted, Undecided):
            return 0
        return len(self._uncovered)

    def evidence(self) -> Evidence:
        """The verdict. Raises SandboxError when the sandbox fails (not when the candidate does)."""
        try:
            found = self._begin()
            self._reach(found)
            if not self._lacking:  # else it stays unknown, whatever else is found
                self._reach_boundaries(found)
                self._compare_conditions(found)
            if not self._lacking:
                self._compare_traces()
                self._compare_rest()
                self._compare_first_calls()
                self._see_what_moved()
                self._compare_beyond()
        except Refuted as refuted:
            test_name, difference = refuted.args
            return self._result(Grade.REFUTED, Counterexample(test_name, difference))
        except Undecided as reason:
            self._lacking.append(str(reason))
        if self._doubt:
            self._lacking.append(self._doubt)
        return self._result(Grade.UNKNOWN if self._lacking else Grade.TESTED, None)

    def replay(self) -> Counterexample | None:
        """The first difference on the captured calls alone. Raises SandboxError."""
        try:
            self._body = Body(self._object, self._prepared.body.function)
            for test in self._tests:
                if test.state.origin == "captured":
                    self._compare(test)
        except Refuted as refuted:
            return Counterexample(*refuted.args)
        except Undecided as reason:
            return Counterexample("captured calls", str(reason))
        return None

    # Steps of the judgement --------------------------------------------------------------------------------------

    def _begin(self) -> Blocks:
        """Holds the candidate against all tests, once. Raises Refuted, Undecided."""
        if self._decided is not None:
            raise self._decided
        if self._found is None:
            try:
                found = self._load()
                for test in self._tests:
                    self._held_against(test, self._compare)
                self._leave_out_unreachable(found)
            except (Refuted, Undecided) as decided:
                self._decided = decided
                raise
            self._found = found
        return self._found

    def _leave_out_unreachable(self, found: Blocks) -> None:
        """Blocks that no call can reach need no test."""
        if not self._uncovered or (decided := self._what_is_decided(found)) is None:
            return
        entry = self._body.at(self._machine.contexts[0]).entry
        reachable = {start - entry for start in decided.reached}
        if self._starts - self._uncovered <= reachable:  # else it is not to be trusted
            self._unreachable = self._starts - reachable
            self._uncovered &= reachable
            self._uncompared &= reachable

    def _what_is_decided(self, found: Blocks) -> Decided | None:
        """What its conditions decide whatever it is called with, as far as that is known; found out once."""
        if not self._is_decided:
            self._is_decided, self._decided_always = True, self._prepared.decided(self._body, found)
        return self._decided_always

    def _load(self) -> Blocks:
        context = self._machine.contexts[0]
        try:
            self._body = Body(self._object, self._prepared.body.function)
            entry = self._body.at(context).entry
        except SandboxError as error:
            raise Undecided(f"it cannot be loaded: {error}") from error
        try:
            found = blocks(self._prepared.own(self._body, context))
        except UnknownTargetError as error:
            raise Undecided(f"its basic blocks cannot be told: {error}") from error
        if self._settings.recursive and found.indexes_frame and not self._prepared.indexes_frame():
            raise Undecided(
                "it computes places in its own frame, where GCC's calls itself: data may ask for more of them"
            )
        if (growing := self._prepared.growing(self._body)) and not self._prepared.stack_grows:
            raise Undecided(f"{growing}, unlike GCC's: data may ask for more than there is")
        self._starts = {start - entry for start in found.starts}
        self._indirect = {jump - entry for jump in found.indirect}
        self._uncovered = set(self._starts)
        self._uncompared = set(self._starts)
        self._coming, self._rare = {start: [] for start in self._starts}, set(self._starts)
        return found

    def _compare(self, test: Test) -> None:
        """Runs the candidate on all fills of one test."""
        context = self._machine.context(test.state)
        body, replaced_constants = self._body.at(context), self._replaced_in(context)
        for state, expected in test.fills:
            marks = [body.entry + offset for offset in self._uncovered | self._rare]
            outcome = self._machine.run(state, body, test.limit_ns, marks)
            covered = {address - body.entry for address in outcome.covered}
            if covered & self._uncovered:
                self._reaching.append(state)
            self._uncovered -= covered
            self._note_rare(test, covered)
            if outcome.kind is OutcomeKind.TIMEOUT:
                raise Undecided(
                    f"{test.state.name}: it does not end within the safety limit of {test.limit_ns // 1_000_000} ms"
                )
            found = self._prepared.differ(expected, outcome, state, self._settings.preserved, self._body)
            if found:
                raise Refuted(test.state.name, found)
            if where := escaping(outcome, replaced_constants, state.registers["rsp"], self._prepared.prototype):
                raise Undecided(f"{test.state.name}: {where} leads to a constant that is another one in its unit")
            if state.answers is not None:
                self._note_doubt(test, expected.events, outcome.events)
        self._counts["answered" if test.state.answers is not None else test.state.origin] += 1

    def _note_rare(self, test: Test, covered: set[int]) -> None:
        for block in covered & self._rare:
            coming = self._coming[block]
            if not coming or coming[-1] is not test:
                coming.append(test)
            if len(coming) >= _FEW_THERE:
                self._rare.remove(block)

    def _replaced_in(self, context: Context) -> list[Replaced]:
        place = self._body.place(context)
        if place not in self._replaced:
            self._replaced[place] = replaced(context.baseline, self._body.at(context))
        return self._replaced[place]

    def _reach(self, found: Blocks) -> None:
        """Looks for states that reach what no test reached, again and again as long as that reaches anything. What one candidate
        needs is no test of the next. Where it needed one, or few came by chance, it gets others with other data."""
        kept = self._prepared.seeds
        there = {id(seed.state) for seed in kept}
        seeds = [*(self._prepared.seed_of(state) for state in self._reaching if id(state) not in there), *kept]
        turn = idle = 0
        while self._uncovered and idle < _MOST_IDLE:
            before = len(self._uncovered)
            self._reach_more(found, seeds, turn)
            idle = idle + 1 if len(self._uncovered) == before else 0
            turn += 1
        if self._uncovered:
            self._lacking.append(
                f"{len(self._uncovered)} of {len(self._starts)} blocks were reached by no test: {places(self._uncovered)}"
            )
            return
        rare = [(self._coming[block][0], block) for block in sorted(self._rare) if self._coming[block]]
        known = {block for _, block in self._first_there}
        chosen = [*self._first_there, *(pair for pair in rare if pair[1] not in known)]
        for test, block in chosen[:_MOST_THERE]:
            for varied in islice(self._prepared.varied_data(test, self._body, block, set()), _VARIATIONS):
                if self._held_against(varied, self._compare):
                    self._tests.append(varied)
        self._overlap_everywhere()

    def _overlap_everywhere(self) -> None:
        """For each block, the first call that comes there with its arrays overlapping a little: what a block has loaded before it
        stores, the baseline may load behind that."""
        first = {id(coming[0]): coming[0] for _, coming in sorted(self._coming.items()) if coming}
        for test in islice(first.values(), _MOST_OVERLAPPED):
            for state in self._prepared.overlapped(test):
                varied, _ = self._prepared.test(state, set())
                if varied is not None:
                    varied.fills = varied.fills[:1]
                    self._held_against(varied, self._compare)

    def _reach_more(self, found: Blocks, seeds: list[Seed], turn: int) -> None:
        """One turn; what reaches anything is added to the tests and the seeds."""
        prepared = self._prepared
        entry = self._body.at(self._machine.contexts[0]).entry
        states = directed_states(
            self._machine, self._body, seeds, prepared.prototype, prepared.constants + found.constants, found,
            lambda: leading_to(found, entry, self._uncovered), latest=turn > 0, turn=turn,
            wanted=lambda: self._uncovered,
        )  # fmt: skip
        most = self._settings.directed * scale_of(len(self._starts))
        for number, state in zip(range(most), states, strict=False):
            if not self._uncovered:
                return
            state = answered_again(state, number)
            test, _ = prepared.test_or_answered(state, set()) if self._may_reach(state) else (None, None)
            if test is None:
                continue
            before = set(self._uncovered)
            if self._held_against(test, self._compare):
                self._tests.append(test)
                if reached := before - self._uncovered:
                    seeds.append(prepared.seed_of(test.fills[0][0]))
                    self._first_there += [(test, block) for block in sorted(reached)]

    def _may_reach(self, state: EntryState) -> bool:
        """Whether the candidate reaches anything new from a state, which costs less to see than what the baseline does. With
        answered calls it may come farther than without."""
        body = self._body.at(self._machine.context(state))
        marks = [body.entry + offset for offset in self._uncovered]
        outcome = self._machine.run(state, body, self._settings.baseline_limit_ns, marks)
        ended = outcome.kind is OutcomeKind.RETURNED or not self._prepared.calls_outside
        return bool(outcome.covered) or not ended

    def _reach_boundaries(self, found: Blocks) -> None:
        """Tests on which the candidate's own comparisons come out equal or nearly so."""
        prepared = self._prepared
        states = boundary_states(
            self._machine, self._body, prepared.seeds, prepared.prototype, found, most_seeds=_MOST_SEEDS
        )
        most = self._settings.boundary * half_scale_of(len(self._starts)) // 4
        for _, state in zip(range(most), states, strict=False):
            test, _ = prepared.test_or_answered(state, set())
            if test is not None and self._held_against(test, self._compare):
                self._tests.append(test)

    def _compare_conditions(self, found: Blocks) -> None:
        """Both outcomes of every condition of the baseline must have been tested, or the candidate must have the same condition:
        what lies on a side that no test took may well be executed from elsewhere, but not when that side is taken. So must those
        of the candidate's own conditional moves and sets that have no block to show that they were taken, and of such jumps that
        compare with a constant and did not come to be equal to it: of others it is only tried, for compilers ask what cannot be."""
        theirs = self._prepared.relations
        if theirs is None:
            return
        first, new = self._machine.contexts[0], self._tests[len(self._prepared.tests) :]
        entry = self._body.at(first).entry
        unshown = frozenset(at - entry for at in found.selects | found.shared)
        mine, one_sided = Relations(self._machine, self._body, found, first), set(theirs.unsettled().values())
        most_steps = self._settings.relation_steps * scale_of(len(self._starts))
        telling = list(new)  # and the tests on which its conditions come out as never before
        for test in sorted(
            self._tests, key=lambda test: (not test.is_novel, test.state.origin == "captured", test.state.size)
        ):
            is_hopeless = not new and never_the_same(one_sided, mine)
            if is_hopeless or not to_be_turned(one_sided, mine, unshown) or mine.steps > most_steps:
                break
            look = mine.look(test.fills[0][0])
            mine.keep(look)
            if look.new:
                telling.append(test)
        left = one_sided_differ(theirs, mine) or one_sided_unshown(theirs, mine, unshown)
        if left and telling:
            # There the baseline may not have been looked at yet.
            theirs = theirs.copy()
            for test in telling:
                theirs.keep(theirs.look(test.fills[0][0]))
        left = one_sided_differ(theirs, mine)
        if not left and one_sided_unshown(theirs, mine, unshown) and (decided := self._what_is_decided(found)):
            mine.settle({at - entry: outcomes for at, outcomes in decided.outcomes.items()})
        if not left and one_sided_unshown(theirs, mine, unshown):
            self._turn_unshown(found, mine, unshown)
        excused = {
            at - entry
            for at in found.shared & found.conditions.keys()
            if not found.conditions[at].asks_for_a_constant or mine.came_to_the_bound(at - entry)
        }
        wanted = unshown - excused
        left = left or one_sided_unshown(theirs, mine, wanted)
        if left:
            self._lacking.append(left)

    def _turn_unshown(self, found: Blocks, mine: Relations, unshown: Set[int]) -> None:
        """Looks for calls in which its own conditions whose ways no block shows (offsets) come out as in no test. What one candidate needs is no
        test of the next."""
        prepared = self._prepared

        def left() -> set[int]:
            return mine.unsettled().keys() & unshown

        blocks = sorted({max(start for start in self._starts if start <= at) for at in left()})
        there = {id(test): test for block in blocks for test in self._coming[block][:1]}
        tests = list(islice(there.values(), _MOST_SEEDS))
        near = chain(
            (state for test in tests for state in (*prepared.aliased(test.fills[0][0]), *prepared.overlapped(test))),
            (state for states in zip_longest(*(prepared.counted_down(test) for test in tests)) for state in states if state),
        )  # fmt: skip
        seeds = [prepared.seed_of(test.fills[0][0]) for test in tests]
        states = directed_states(
            self._machine, self._body, [*prepared.seeds, *seeds], prepared.prototype,
            prepared.constants + found.constants, found, left, narrow=True, broad=True, latest=True,
            is_turned=mine.is_turned_by,
        )  # fmt: skip
        scale = scale_of(len(self._starts))
        # Many ask whether arrays overlap, or how many elements an unrolled loop leaves.
        tried = chain(islice(near, _MOST_NEAR), islice(states, self._settings.relations * scale))
        for state, look in mine.novel(tried, left, self._settings.relation_steps * scale):
            test, _ = prepared.test_or_answered(state, set())
            if test is not None and self._held_against(test, self._compare):
                mine.keep(look)
                self._tests.append(test)

    def _see_what_moved(self) -> None:
        """What was the same in every test may be a constant in the candidate."""
        known = self._prepared.passing()
        unmoved = self._prepared.unmoved(self._body, (test.fills[0][0] for test in self._tests))
        if known is None:
            self._lacking.append("where its arguments lie is not known, nor whether tests vary them")
        elif unmoved:
            self._lacking.append(f"{', '.join(map(str, unmoved[:4]))} had the same value in every test")

    def _compare_beyond(self) -> None:
        """What GCC's body needs more memory for than there is, it may not come back from."""
        for state in self._prepared.beyond:
            body = self._body.at(self._machine.context(state))
            if self._machine.run(state, body, self._settings.baseline_limit_ns).kind is OutcomeKind.RETURNED:
                self._lacking.append(f"{state.name}: GCC's body goes on to memory that is not there, it comes back")
                return

    # The verdict -------------------------------------------------------------------------------------------------

    def _result(self, grade: Grade, counterexample: Counterexample | None) -> Evidence:
        return Evidence(
            grade=grade,
            captures=self._counts["captured"],
            mutated=self._counts["mutated"],
            generated=self._counts["generated"],
            answered=self._counts["answered"],
            blocks_total=len(self._starts - self._unreachable),
            blocks_covered=len(self._starts - self._unreachable) - len(self._uncovered),
            counterexample=counterexample,
            notes=tuple(self._lacking if grade is Grade.UNKNOWN else ()),
        )
