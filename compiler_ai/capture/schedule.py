"""When a target is armed next: at once at first, then ever more rarely, so that captures spread over a run of any length."""

from __future__ import annotations

import random
from dataclasses import dataclass

TICK_S = 0.002
_FIRST_PAUSE_S, _GROWTH, _LONGEST_PAUSE_S = 0.001, 1.3, 0.5
_FIRST_SITE_PAUSE_S, _LONGEST_SITE_PAUSE_S = 0.005, 1.0
_AT_ONCE = 6  # captures of successive calls: a short program is over before a busy machine lets us look again
_PATIENCE = 8  # fruitless calls until those too make the pauses longer


@dataclass
class SiteSchedule:
    """When a breakpoint at a call of a target is armed next: each place at once, then ever more rarely."""

    due_s: float = 0.0
    visits: int = 0

    def visited(self, now_s: float) -> None:
        self.visits += 1
        self.due_s = now_s + min(_LONGEST_SITE_PAUSE_S, _FIRST_SITE_PAUSE_S * 2.0**self.visits)


@dataclass
class Schedule:
    """`due_s` is on the monotonic clock. `spent_s` is the time that captures of the target held up the program; no more begin
    when that is above `most_s`."""

    most_s: float
    due_s: float = 0.0
    spent_s: float = 0.0
    hits: int = 0
    fruitless: int = 0

    @property
    def is_over(self) -> bool:
        return self.spent_s >= self.most_s

    @property
    def wants_next(self) -> bool:
        """Whether the call behind the one that was captured now is to be looked at as well."""
        return self.hits < _AT_ONCE and not self.fruitless and not self.is_over

    def is_due(self, now_s: float) -> bool:
        return now_s >= self.due_s and not self.is_over

    def captured(self, now_s: float, took_s: float, chance: random.Random, *, usable: bool) -> None:
        self.spent_s += took_s
        self.fruitless = 0 if usable else self.fruitless + 1
        if usable or self.fruitless > _PATIENCE:
            self.hits += 1
        pause_s = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * _GROWTH**self.hits)
        self._pause(now_s, max(pause_s, 2 * took_s if not usable else 0.0), chance)

    def passed_over(self, now_s: float, chance: random.Random) -> None:
        """A call of a kind that is not wanted now: try the next one."""
        self.due_s = now_s + TICK_S * (1 + chance.random())

    def _pause(self, now_s: float, mean_s: float, chance: random.Random) -> None:
        # Not at once: the thread that hit the breakpoint has still to leave the entry.
        self.due_s = now_s + 2 * TICK_S + chance.expovariate(1.0) * mean_s
