"""Statistics of paired timings: medians with exact sign-test intervals, since means are worthless for run times.

Ratios are baseline time / candidate time, never clipped; everything is computed on their logarithms.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence

from compiler_ai.artifacts import Interval


def log_ratios(pairs: Iterable[tuple[float, float]]) -> list[float]:
    """log(baseline / candidate) of each pair of times; both must be above 0."""
    return [math.log(baseline / candidate) for baseline, candidate in pairs]


def sign_interval(values: Sequence[float], confidence: float = 0.95) -> tuple[float, float]:
    """A confidence interval for the median that assumes nothing about the distribution (Conover, section 3.2).

    The interval of order statistics whose exact binomial coverage is at least `confidence`; infinite when there are too
    few values for any (fewer than 6 for 95 %).
    """
    ordered, n = sorted(values), len(values)
    tail, rank = 0.0, 0
    while rank < n // 2:
        tail += math.comb(n, rank) * 0.5**n
        if 2 * tail > 1 - confidence:
            break
        rank += 1
    if rank == 0:
        return -math.inf, math.inf
    return ordered[rank - 1], ordered[n - rank]


def median_interval(ratios: Sequence[float], confidence: float = 0.95) -> Interval:
    """The median ratio with its sign-test interval; `ratios` (at least one) are independent, such as one a placement."""
    logs = [math.log(ratio) for ratio in ratios]
    low, high = sign_interval(logs, confidence)
    return Interval(math.exp(statistics.median(logs)), math.exp(low), math.exp(high), confidence)


def median_ratio(pairs: Iterable[tuple[float, float]]) -> float:
    """The median of the pairs' ratios."""
    return math.exp(statistics.median(log_ratios(pairs)))


def geometric_mean(ratios: Sequence[float], confidence: float = 0.95) -> Interval:
    """The geometric mean of ratios of different programs or functions, with Student's t interval on their logarithms.

    Infinite for a single ratio.
    """
    logs = [math.log(ratio) for ratio in ratios]
    centre = statistics.fmean(logs)
    if len(logs) < 2:
        return Interval(math.exp(centre), 0.0, math.inf, confidence)
    half = student_quantile(0.5 + confidence / 2, len(logs) - 1) * statistics.stdev(logs) / math.sqrt(len(logs))
    return Interval(math.exp(centre), math.exp(centre - half), math.exp(centre + half), confidence)


def student_quantile(probability: float, degrees: int) -> float:
    """The quantile (above the median) of Student's t distribution, by bisection on its exact distribution function."""
    low, high = 0.0, 1.0
    while _student_cdf(high, degrees) < probability:
        high *= 2
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if _student_cdf(middle, degrees) < probability else (low, middle)
    return (low + high) / 2


def _student_cdf(t: float, degrees: int) -> float:
    """The closed forms for integer degrees of freedom (Abramowitz and Stegun, 26.7.3 and 26.7.4), t >= 0."""
    theta = math.atan(t / math.sqrt(degrees))
    cosine, sine = math.cos(theta), math.sin(theta)
    if degrees % 2:
        term, total = cosine, 0.0
        for k in range(1, degrees, 2):
            total += term
            term *= cosine * cosine * (k + 1) / (k + 2)
        inside = 2 / math.pi * (theta + sine * total)
    else:
        term, total = 1.0, 0.0
        for k in range(0, degrees, 2):
            total += term
            term *= cosine * cosine * (k + 1) / (k + 2)
        inside = sine * total
    return 0.5 + inside / 2


def amdahl(parts: Iterable[tuple[float, float]]) -> float:
    """The whole program's expected speedup from (share of its time, speedup) of functions (Amdahl 1967).

    Raises ValueError when the shares add up to more than 1.
    """
    parts = list(parts)
    covered = sum(share for share, _ in parts)
    if covered > 1 + 1e-9:
        raise ValueError(f"the shares add up to {covered:.3f}, more than the whole program")
    return 1 / (max(0.0, 1 - covered) + sum(share / speedup for share, speedup in parts))


def false_accept_limit(runs: int, allowed: int = 2, of: int = 200) -> int:
    """How many of `runs` A/A comparisons may be accepted as faster: `allowed` of `of`, scaled and rounded down."""
    return runs * allowed // of
