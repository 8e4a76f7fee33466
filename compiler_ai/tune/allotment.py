"""How the time of a tuning run is divided among its functions."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence

FUNCTION_BUDGET_S = 60.0  # a function's on average, when nobody says
_LEAST_S = 10.0


class Fixed:
    """Gives everything the same seconds, also when it goes on after a pause."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def begin(self, _index: int) -> float:
        return self._seconds

    def pause(self, _index: int, _gain: float) -> None:
        pass

    def resume(self, _index: int) -> float:
        return self._seconds

    def end(self, _index: int) -> None:
        pass

    def most_to_come(self) -> float:
        return math.inf


class Allotment:
    """Gives each function its part of what is left when it begins, in proportion to the square root of its share of the profile,
    and anew, by what it promises, when it goes on after a pause.

    What a faster body saves grows with the share, what more time still finds falls with the time spent: hence the root. What a
    function leaves unused goes to those that begin or go on after it. `jobs` run at once; `clock` is time.monotonic's.
    """

    def __init__(
        self, shares: Sequence[float], total_s: float, jobs: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._jobs = jobs
        self._clock = clock
        self._end_s = clock() + total_s
        self._shares = tuple(shares)
        self._waiting = {index: math.sqrt(max(share, 1e-6)) for index, share in enumerate(shares)}
        self._running: dict[int, float] = {}  # when each has to end
        self._paused: dict[int, tuple[float, float]] = {}  # the root of what each promises, the seconds that it left

    def begin(self, index: int) -> float:
        """The seconds that function `index` may take, beginning now."""
        part = self._waiting[index] / sum(self._waiting.values())
        del self._waiting[index]
        return self._run(index, part, sum(left_s for _, left_s in self._paused.values()))

    def pause(self, index: int, gain: float) -> None:
        """Function `index` waits, with a body that would save `gain` (0..1) of the program's time; what it leaves is kept for those that do."""
        left_s = max(0.0, self._running.pop(index) - self._clock())
        self._paused[index] = math.sqrt(max(gain, 1e-6)), left_s

    def resume(self, index: int) -> float:
        """The seconds that function `index` may take, going on now. Most leave a part unused, so it is given twice its part; while
        others wait, or have not begun, half of what there is at most, which one gets that promises more than any of these could save."""
        part = self._paused[index][0] / sum((*(weight for weight, _ in self._paused.values()), *self._waiting.values()))
        root, _ = self._paused.pop(index)
        is_first = bool(self._waiting) and root * root >= self.most_to_come()
        part = 0.5 if is_first else min(0.5, 2 * part)
        return self._run(index, part if self._paused or self._waiting else 1.0, 0.0)

    def end(self, index: int) -> None:
        """Function `index` has ended, or died while it waited."""
        self._running.pop(index, None)
        self._paused.pop(index, None)

    def most_to_come(self) -> float:
        """What one that has not begun could save of the program's time at most: its share."""
        return max((self._shares[index] for index in self._waiting), default=0.0)

    def _run(self, index: int, part: float, kept_s: float) -> float:
        """Gives function `index` that part of the time that is neither taken nor kept for others."""
        now_s = self._clock()
        left_s = self._end_s - now_s
        taken_s = sum(max(0.0, end_s - now_s) for end_s in self._running.values()) + kept_s
        budget_s = max(_LEAST_S, min(left_s, (self._jobs * left_s - taken_s) * part))
        self._running[index] = now_s + budget_s
        return budget_s
