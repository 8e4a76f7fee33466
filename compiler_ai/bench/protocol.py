"""Two ways to time a program against another: as SuperCoder was evaluated (arXiv 2505.11480), and without its bias.

As published: for each test input, hyperfine's 3 warm-up runs and the mean of 10, first of one program, then of the other; the
speedup is the mean over the inputs, and what is below 1 counts as 1. The machine's drift between the two programs and every
lucky run count as speedup: identical programs come out above 1. The other way runs them in pairs in random order and
takes the median of the pairs' ratios, whatever it is.
"""

from __future__ import annotations

import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from compiler_ai.program.confined import Jail, Run

WARM_UPS, RUNS = 3, 10
_LEAST_PAIRS = 12  # enough for an interval of each half


class TimingFailure(Exception):
    """A run of one of the programs did not end as it should; the message says how."""


@dataclass(frozen=True)
class Timed:
    """Raw figures in ns: by input and program the runs of the published protocol, and the pairs (baseline, candidate)."""

    published: tuple[tuple[tuple[int, ...], tuple[int, ...]], ...]
    pairs: tuple[tuple[int, int], ...]

    @property
    def published_speedup(self) -> float:
        """Not clipped yet."""
        return statistics.fmean(statistics.fmean(a) / statistics.fmean(b) for a, b in self.published)

    @property
    def ratios(self) -> list[float]:
        return [a / b for a, b in self.pairs]


def time_programs(jail: Jail, inputs: Sequence[bytes], pairs: int, order: random.Random) -> Timed:
    """Times program 'a' against 'b', which both are in the jail. Raises TimingFailure, ConfineError."""
    published = []
    for given in inputs:
        both = []
        for name in "AB":
            runs = _ended(jail.run(name * (WARM_UPS + RUNS), given)[0])
            both.append(tuple(runs[WARM_UPS:]))
        published.append((both[0], both[1]))
    each = max(1, -(-max(pairs, _LEAST_PAIRS) // len(inputs)))
    found: list[tuple[int, int]] = []
    for given in inputs:
        turns = [order.choice(("AB", "BA")) for _ in range(each)]
        times = _ended(jail.run("AB" + "".join(turns), given)[0])[2:]
        for turn, first, second in zip(turns, times[::2], times[1::2], strict=True):
            found.append((first, second) if turn == "AB" else (second, first))
    return Timed(tuple(published), tuple(found))


def _ended(runs: Sequence[Run]) -> list[int]:
    bad = next((run for run in runs if run.status < 0), None)
    if bad is not None:
        raise TimingFailure(f"a timed run was ended by signal {-bad.status}")
    return [run.wall_ns for run in runs]
