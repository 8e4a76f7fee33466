"""Keeps what a body's conditions were seen to decide on, so that each has been seen to hold and not to hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from compiler_ai.sandbox.process import OutcomeKind
from compiler_ai.verify.conditions import Condition, observed
from compiler_ai.verify.coverage import Blocks
from compiler_ai.verify.machine import Body, Context, Machine
from compiler_ai.verify.state import EntryState

_RUN_STEPS = 100  # what starting a run costs, in traced instructions


class Relations:
    """What the conditions of `body` were seen to decide on. `blocks` are its blocks in the context `first`."""

    def __init__(self, machine: Machine, body: Body, blocks: Blocks, first: Context) -> None:
        self._machine = machine
        self._body = body
        entry = body.at(first).entry
        self._conditions = {at - entry: condition for at, condition in blocks.conditions.items()}
        self._seen: dict[int, set[int]] = {at: set() for at in self._conditions}
        self.steps = 0

    def look(self, state: EntryState, most_steps: int) -> frozenset[tuple[int, int]]:
        """(offset, flags) of the conditions in a run from `state` that came out as never before; none when the run fails."""
        loaded = self._body.at(self._machine.context(state))
        trace = self._machine.trace(state, loaded, most_steps)
        self.steps += len(trace) + _RUN_STEPS
        if trace.outcome.kind not in (OutcomeKind.RETURNED, OutcomeKind.MAX_STEPS):
            return frozenset()
        new = set()
        for address, flags in observed(trace, {at + loaded.entry for at in self._conditions}):
            at = address - loaded.entry
            if self._conditions[at].kinds([flags]) - self._conditions[at].kinds(self._seen[at]):
                new.add((at, flags))
        return frozenset(new)

    def keep(self, found: Iterable[tuple[int, int]]) -> None:
        """Counts these as seen: the state that they come from is a test."""
        for at, flags in found:
            self._seen[at].add(flags)

    def open_sites(self) -> set[int]:
        """The offsets of the executed conditions that have not been seen to decide on all that they may."""
        return {at for at, seen in self._seen.items() if seen and not self._conditions[at].is_complete(seen)}

    def is_complete(self) -> bool:
        """Whether every condition was executed and decided on all that it may."""
        return all(self._seen.values()) and not self.open_sites()

    def one_sided(self) -> dict[int, Condition]:
        """The conditions that were never seen to hold, or never not to, by their offsets."""
        return {
            at: condition
            for at, condition in self._conditions.items()
            if len({condition.holds(flags) for flags in self._seen[at]}) < 2
        }


def one_sided_differ(baseline: Relations, candidate: Relations) -> str:
    """Why not all outcomes of conditions were compared, "" when they were. The same condition one-sided in both is no difference."""
    theirs, mine = baseline.one_sided(), candidate.one_sided()
    for body, extra in (
        ("its", Counter(mine.values()) - Counter(theirs.values())),
        ("GCC's", Counter(theirs.values()) - Counter(mine.values())),
    ):
        if extra:
            sites = theirs if body == "GCC's" else mine
            at, condition = next((at, condition) for at, condition in sorted(sites.items()) if condition in extra)
            return (
                f"{extra.total()} of {body} conditions came out the same way in every test: {condition.code} at +{at:#x}"
                f" after {condition.asked}"
            )
    return ""
