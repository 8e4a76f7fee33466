"""Keeps what a body's conditions were seen to decide on, so that each has been seen to hold and not to hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping
from copy import copy
from dataclasses import dataclass
from typing import TypeVar

from compiler_ai.sandbox.errors import SandboxError
from compiler_ai.sandbox.process import OutcomeKind
from compiler_ai.verify.branches import SIGNS
from compiler_ai.verify.conditions import Condition, flags_of, observed
from compiler_ai.verify.coverage import Blocks
from compiler_ai.verify.machine import Body, Context, Machine
from compiler_ai.verify.state import EntryState


@dataclass(frozen=True)
class Look:
    """`new` are (offset, flags) of conditions in a run that came out as never before, `kinds` what all of them decided on, by
    offset; `executed` the offsets of all that it executed, `whole` says that it was seen to its end. Empty when the run fails."""

    new: frozenset[tuple[int, int]] = frozenset()
    kinds: frozenset[tuple[int, object]] = frozenset()
    executed: frozenset[int] = frozenset()
    whole: bool = False


_T = TypeVar("_T")
_BOTH = frozenset({False, True})
_RUN_STEPS = 100  # what starting a run costs, in traced instructions
_MOST_STEPS = 1_500
_MOST_ENTRIES = 30_000_000  # of one run: what is cut off before a loop says nothing of that loop
_LIMIT_NS = 500_000_000  # several times what so many entries take: else something that is called does not end
_LIMIT_STEPS = 24_000
_ENTRIES_A_STEP = 4_000  # so many log entries cost as much as a single step


class Relations:
    """What the conditions of `body` were seen to decide on. `blocks` are its blocks in the context `first`."""

    def __init__(self, machine: Machine, body: Body, blocks: Blocks, first: Context) -> None:
        self._machine = machine
        self._body = body
        entry = body.at(first).entry
        self._conditions = {at - entry: condition for at, condition in blocks.conditions.items()}
        self._seen: dict[int, set[int]] = {at: set() for at in self._conditions}
        self._in_whole: set[int] = set()  # conditions executed in runs that were seen to their ends
        self._in_cut: set[int] = set()
        self._settled: frozenset[int] = frozenset()
        self.steps = 0

    def copy(self) -> Relations:
        """The same, to be added to without changing these."""
        found = copy(self)
        found._seen = {at: set(seen) for at, seen in self._seen.items()}
        found._in_whole, found._in_cut = set(self._in_whole), set(self._in_cut)
        return found

    def look(self, state: EntryState) -> Look:
        """A run from `state`."""
        loaded = self._body.at(self._machine.context(state))
        outcome, seen = self._logged(state) if state.answers is None else self._stepped(state)
        if outcome not in (OutcomeKind.RETURNED, OutcomeKind.LEFT, OutcomeKind.MAX_STEPS, OutcomeKind.MAX_EVENTS):
            return Look()
        new, kinds, executed = set(), set(), set()
        for address, flags in seen:
            at = address - loaded.entry
            executed.add(at)
            (kind,) = self._conditions[at].kinds([flags])
            kinds.add((at, kind))
            if kind not in self._conditions[at].kinds(self._seen[at]):
                new.add((at, flags))
        whole = outcome in (OutcomeKind.RETURNED, OutcomeKind.LEFT)
        return Look(frozenset(new), frozenset(kinds), frozenset(executed), whole)

    def _logged(self, state: EntryState) -> tuple[OutcomeKind, set[tuple[int, int]]]:
        """How the run of an instrumented copy ends, and (address, status flags) of its conditions."""
        context = self._machine.context(state)
        try:
            copy = self._body.instrumented(context, {}, conditions=True)
        except SandboxError:
            return self._stepped(state)
        outcome, footprint = self._machine.log(state, copy, _MOST_ENTRIES, _LIMIT_NS)
        self.steps += _RUN_STEPS + (footprint.entries // _ENTRIES_A_STEP if footprint else 0)
        if outcome.kind is OutcomeKind.TIMEOUT:
            self.steps += _LIMIT_STEPS
        sites = self._sites(state)
        seen = {
            (copy.conditions[number], value)
            for number, flags in (footprint.flags.items() if footprint else ())
            for value in flags
            if copy.conditions[number] in sites
        }
        return outcome.kind, seen

    def _stepped(self, state: EntryState) -> tuple[OutcomeKind, set[tuple[int, int]]]:
        trace = self._machine.trace(state, self._body.at(self._machine.context(state)), _MOST_STEPS)
        self.steps += len(trace) + _RUN_STEPS
        return trace.outcome.kind, observed(trace, self._sites(state))

    def _sites(self, state: EntryState) -> frozenset[int]:
        entry = self._body.at(self._machine.context(state)).entry
        return frozenset(at + entry for at in self._conditions)

    def novel(
        self, states: Iterable[EntryState], sites: Callable[[], Collection[int]], most_steps: int
    ) -> Iterator[tuple[EntryState, Look]]:
        """Of the states those on which a condition comes out as never before, as long as `sites` says that some are left and the
        runs from now on took no more than `most_steps`. What is to count as seen is for the caller to `keep`."""
        last = self.steps + most_steps
        for state in states:
            if not sites() or self.steps > last:
                return
            found = self.look(state)
            if found.new:
                yield state, found

    def keep(self, look: Look) -> None:
        """Counts what was looked at as seen: the state is a test."""
        for at, flags in look.new:
            self._seen[at].add(flags)
        (self._in_whole if look.whole else self._in_cut).update(look.executed)

    def settle(self, outcomes: Mapping[int, frozenset[bool]]) -> None:
        """Takes note of how the conditions at some offsets may come out at all. What contradicts that was seen shows that it is not
        to be trusted: then none of it is."""
        holds = {at: set(map(self._conditions[at].holds, seen)) for at, seen in self._seen.items()}
        if all(seen <= outcomes.get(at, seen) for at, seen in holds.items()):
            self._settled = frozenset(at for at in self._conditions if len(outcomes.get(at, _BOTH)) < len(_BOTH))

    def open_sites(self) -> set[int]:
        """The offsets of the executed conditions that have not been seen to decide on all that they may."""
        return {
            at
            for at, seen in self._seen.items()
            if seen and at not in self._settled and not self._conditions[at].is_complete(seen)
        }

    def lacks(self, at: int, change: int) -> bool:
        """Whether the condition at an offset was never seen to compare equal (0), or numbers of different sign (`SIGNS`); False for
        any other `change`, which is not kept."""
        kinds = self._conditions[at].kinds(self._seen[at])
        if change not in (0, SIGNS) or kinds <= {False, True}:
            return False
        return (0, 0) not in kinds if change == 0 else kinds <= {(0, 0), (1, 1), (-1, -1)}

    def came_to_the_bound(self, at: int) -> bool:
        """Whether the condition at an offset asks which number is less, and has been seen to compare equal ones."""
        condition = self._conditions[at]
        return condition.code not in ("e", "ne") and (0, 0) in condition.kinds(self._seen[at])

    def is_turned_by(self, at: int, first: int, second: int, size_bytes: int) -> bool:
        """Whether the condition at an offset would come out as it never did, were it to compare these numbers."""
        condition = self._conditions[at]
        return condition.holds(flags_of(first, second, size_bytes)) not in map(condition.holds, self._seen[at])

    def found(self, at: int) -> tuple[str, frozenset[int]] | None:
        """`Condition.found` of the condition at an offset."""
        return self._conditions[at].found(self._seen[at])

    def one_sided_of_numbers(self) -> set[int]:
        """The offsets of the conditions that ask of two floating-point numbers which is less, and found one answer only but for NaNs."""
        return {at for at in self._conditions if (found := self.found(at)) is not None and len(found[1]) == 1}

    def is_complete(self) -> bool:
        """Whether every condition was executed and decided on all that it may."""
        return all(seen or at in self._settled for at, seen in self._seen.items()) and not self.open_sites()

    def one_sided(self) -> dict[int, Condition]:
        """The conditions that were never seen to hold, or never not to, by their offsets. Those executed only in runs
        too long to be looked at to their ends are left out: their blocks are known to be executed, and no more than that."""
        unclear = self._in_cut - self._in_whole
        return {
            at: condition
            for at, condition in self._conditions.items()
            if at not in unclear and len({condition.holds(flags) for flags in self._seen[at]}) < 2
        }

    def unsettled(self) -> dict[int, Condition]:
        """Those of them that may come out the other way, for all that is known."""
        return {at: condition for at, condition in self.one_sided().items() if at not in self._settled}


def to_be_turned(theirs: Collection[Condition], candidate: Relations, unshown: Container[int]) -> set[int]:
    """The offsets of the candidate's conditions that may be turned and on which it depends whether all was compared; `theirs` are the baseline's."""
    floating = any(condition.is_floating for condition in theirs)
    return {
        at
        for at, condition in candidate.unsettled().items()
        if at in unshown or condition in theirs or (floating and condition.is_floating)
    }


def never_the_same(theirs: Collection[Condition], candidate: Relations) -> bool:
    """Whether one of `theirs`, the baseline's one-sided conditions, has no counterpart in the candidate, however many runs are
    looked at."""
    mine = set(candidate.one_sided().values())
    return any(not one.is_floating and one not in mine for one in theirs)


def one_sided_differ(baseline: Relations, candidate: Relations) -> str:
    """Why not all outcomes that the baseline's conditions may have were compared, "" when they were. The same condition one-sided in both
    is no difference."""
    theirs, mine = baseline.unsettled(), candidate.one_sided()
    theirs_left, mine_left = _without(theirs, mine.values()), _without(mine, theirs.values())
    others = mine_left.keys() | (candidate.one_sided_of_numbers() - mine.keys())
    left = _without({at: baseline.found(at) for at in theirs_left}, (candidate.found(at) for at in others))
    return _described("GCC's conditions", {at: theirs[at] for at in left})


def one_sided_unshown(baseline: Relations, candidate: Relations, unshown: Container[int]) -> str:
    """Why not all outcomes that the candidate's own conditions `unshown` (offsets) may have were compared, "" when they were."""
    own = {at: condition for at, condition in candidate.unsettled().items() if at in unshown}
    return _described("its own conditions", _without(own, baseline.one_sided().values()))


def _without(what: Mapping[int, _T], others: Iterable[_T]) -> dict[int, _T]:
    """What is left, lowest offsets first, when each of `others` stands for one that is the same. None is never the same."""
    available, left = Counter(one for one in others if one is not None), {}
    for at, one in sorted(what.items(), key=lambda item: item[0]):
        if available[one]:
            available[one] -= 1
        else:
            left[at] = one
    return left


def _described(what: str, conditions: Mapping[int, Condition]) -> str:
    if not conditions:
        return ""
    at, condition = min(conditions.items())
    return f"{len(conditions)} of {what} came out the same way in every test: {condition.code} at +{at:#x} after {condition.asked}"
