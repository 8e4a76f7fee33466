"""Timing distributions: of each measured candidate a strip with a dot a code placement and its interval, all on one axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from compiler_ai.artifacts import Timing

WIDTH = 560
_MARGIN = 24


@dataclass(frozen=True)
class Strip:
    """One candidate's measurement; x values are in SVG units."""

    label: str
    said: str
    dots: tuple[float, ...]
    low: float
    middle: float
    high: float


@dataclass(frozen=True)
class Plot:
    """The strips, the axis' ticks with their labels, and where 1.00x is: as fast as GCC's body."""

    strips: tuple[Strip, ...]
    ticks: tuple[tuple[float, str], ...]
    one: float


def plot(measured: Sequence[tuple[str, str, Timing]]) -> Plot | None:
    """`measured` holds (label, what was said of it, timing) a candidate, in the order of the strips; None without any."""
    if not measured:
        return None
    values = [1.0]
    for _, _, timing in measured:
        values += [*timing.placement_ratios, timing.warm.low, timing.warm.ratio, timing.warm.high]
    low, high = min(values), max(values)
    margin = max(0.01, 0.05 * (high - low))
    low, high = low - margin, high + margin

    def x(value: float) -> float:
        return round(_MARGIN + (WIDTH - 2 * _MARGIN) * (value - low) / (high - low), 1)

    ticks = tuple((x(low + (high - low) * at / 4), f"{low + (high - low) * at / 4:.2f}x") for at in range(5))
    strips = tuple(
        Strip(
            label,
            said,
            tuple(x(ratio) for ratio in timing.placement_ratios),
            x(timing.warm.low),
            x(timing.warm.ratio),
            x(timing.warm.high),
        )
        for label, said, timing in measured
    )
    return Plot(strips, ticks, x(1.0))
