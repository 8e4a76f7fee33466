"""How the time of a tuning run is divided among its functions."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence

FUNCTION_BUDGET_S = 60.0  # a function's on average, when nobody says
_LEAST_S = 10.0


class Allotment:
    """Gives each function its part of what is left when it begins, in proportion to the square root of its share of the profile.

    What a faster body saves grows with the share, what more time still finds falls with the time spent: hence the root. What a
    function leaves unused goes to those that begin after it. `jobs` run at once; `clock` is time.monotonic's.
    """

    def __init__(
        self, shares: Sequence[float], total_s: float, jobs: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._jobs = jobs
        self._clock = clock
        self._end_s = clock() + total_s
        self._waiting = {index: math.sqrt(max(share, 1e-6)) for index, share in enumerate(shares)}
        self._running: dict[int, float] = {}  # when each has to end

    def begin(self, index: int) -> float:
        """The seconds that function `index` may take, beginning now."""
        now_s = self._clock()
        left_s = self._end_s - now_s
        taken_s = sum(max(0.0, end_s - now_s) for end_s in self._running.values())
        part = self._waiting[index] / sum(self._waiting.values())
        budget_s = max(_LEAST_S, min(left_s, (self._jobs * left_s - taken_s) * part))
        del self._waiting[index]
        self._running[index] = now_s + budget_s
        return budget_s

    def end(self, index: int) -> None:
        """Function `index` has ended."""
        del self._running[index]
