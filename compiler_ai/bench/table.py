"""The table of a models benchmark: how far answers get, and what the best one of a function is worth."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table
from rich.text import Text

from compiler_ai.artifacts import Grade, Interval, Timing, Trial
from compiler_ai.bench.drawing import LEVELS, Draw
from compiler_ai.measure.statistics import geometric_mean
from compiler_ai.store.digest import digest

_GRADES = {Grade.TESTED: "tested", Grade.BOUNDED: "bounded", Grade.PROVED: "proved"}


@dataclass(frozen=True)
class Row:
    """One proposer with its first `samples` answers a function.

    Counts are of answers, but for ``functions`` (asked about), ``right_functions`` (with a verified body that is not GCC's own)
    and ``faster_functions``. ``speedup`` is the geometric mean over ``right_functions`` of the best body's measured ratio,
    below 1 where it is slower; ``gain`` that over all functions of what would be accepted, GCC's own body (1) where nothing is.
    """

    proposer: str
    samples: int
    functions: int
    answered: int
    parsed: int
    copied: int
    assembled: int
    screened: int
    refuted: int
    tested: int
    bounded: int
    proved: int
    faster: int
    right_functions: int
    faster_functions: int
    speedup: Interval | None
    gain: Interval | None
    tokens: int
    seconds: float


def rows(draws: Sequence[Draw], trials: Mapping[tuple[str, str], Trial], samples: int) -> list[Row]:
    """`trials` are by function and digest. One row a proposer and level, proposers in their order."""
    proposers = list(dict.fromkeys(draw.proposer for draw in draws))
    levels = [level for level in LEVELS if level <= samples] or [samples]
    return [
        _row(name, level, [d for d in draws if d.proposer == name], trials) for name in proposers for level in levels
    ]


def _row(name: str, level: int, draws: Sequence[Draw], trials: Mapping[tuple[str, str], Trial]) -> Row:
    taken = [draw for draw in draws if draw.number <= level]
    furthest = [stage(draw, trials) for draw in taken]
    functions = list(dict.fromkeys(draw.function for draw in taken))
    right = {f: [t for d in taken if d.function == f for t in _right(d, trials)] for f in functions}
    worth = [chosen_ratio([t.timing for t in found if t.timing is not None]) for found in right.values() if found]
    accepted = [[t.timing for t in found if t.rejection is None and t.timing is not None] for found in right.values()]
    gains = [chosen_ratio(found) if found else 1.0 for found in accepted]

    def reached(*stages: str) -> int:
        return sum(one in stages for one in furthest)

    verified = ("tested", "bounded", "proved")
    return Row(
        proposer=name,
        samples=level,
        functions=len(functions),
        answered=sum(not draw.failure for draw in taken),
        parsed=sum(bool(draw.candidates) or draw.copied for draw in taken),
        copied=reached("copied"),
        assembled=reached("assembled", "screened", "refuted", *verified),
        screened=reached("screened", "refuted", *verified),
        refuted=reached("refuted"),
        tested=reached("tested"),
        bounded=reached("bounded"),
        proved=reached("proved"),
        faster=sum(any(t.rejection is None for t in _right(draw, trials)) for draw in taken),
        right_functions=len(worth),
        faster_functions=sum(bool(found) for found in accepted),
        speedup=geometric_mean(worth) if worth else None,
        gain=geometric_mean(gains) if gains else None,
        tokens=sum(draw.prompt_tokens + draw.answer_tokens for draw in taken),
        seconds=sum(draw.seconds for draw in taken),
    )


def stage(draw: Draw, trials: Mapping[tuple[str, str], Trial]) -> str:
    """How far the answer's best body got: "none", "copied", "parsed", "assembled", "screened", "refuted" or a grade.

    "screened" is a body that passed every gate and of which the verifier can say nothing.
    """
    order = ["none", "copied", "parsed", "assembled", "screened", "refuted", *_GRADES.values()]
    found = ["copied"] if draw.copied else ["none"]
    for candidate in draw.candidates:
        trial = trials.get((draw.function, digest(candidate)))
        found.append(trial_stage(trial) if trial is not None else "parsed")
    return max(found, key=order.index)


def trial_stage(trial: Trial) -> str:
    """See `stage`."""
    if trial.evidence is not None and trial.evidence.grade in _GRADES:
        return _GRADES[trial.evidence.grade]
    name = trial.rejection.stage if trial.rejection is not None else ""
    if name in ("screen.text", "screen.assemble", "screen.failed"):
        return "parsed"
    if name.startswith("screen."):
        return "assembled"
    return "refuted" if name == "verify.refuted" else "screened"


def _right(draw: Draw, trials: Mapping[tuple[str, str], Trial]) -> list[Trial]:
    found = (trials.get((draw.function, digest(candidate))) for candidate in draw.candidates)
    return [trial for trial in found if trial is not None and trial.timing is not None]


def chosen_ratio(timings: Sequence[Timing]) -> float:
    """The measured ratio of the best of these bodies, unflattered by the choice.

    A body is chosen by every second of its placements and judged by the others: the best of many equal bodies would
    otherwise look faster than any of them.
    """
    best = max(timings, key=lambda timing: _middle(timing.placement_ratios[::2]))
    return _middle(best.placement_ratios[1::2])


def _middle(ratios: Sequence[float]) -> float:
    return math.exp(statistics.median([math.log(ratio) for ratio in ratios])) if ratios else 1.0


def print_rows(console: Console, found: Sequence[Row]) -> None:
    """One table a proposer, a column for each number of samples; narrow enough for 80 columns."""
    for proposer in dict.fromkeys(row.proposer for row in found):
        own = [row for row in found if row.proposer == proposer]
        table = Table(title=Text(proposer), title_justify="left", box=None, pad_edge=False, show_header=False)
        table.add_column("what", no_wrap=True)
        for _ in own:
            table.add_column(justify="right", no_wrap=True)
        for label, cell in _LINES:
            table.add_row(label, *(cell(row) for row in own))
        console.print(table)
        console.print()


def shown(interval: Interval | None) -> str:
    if interval is None:
        return "-"
    high = f"{interval.high:.3f}" if math.isfinite(interval.high) else "inf"
    return f"{interval.ratio:.3f} [{interval.low:.3f}, {high}]"


_LINES: tuple[tuple[str, Callable[[Row], str]], ...] = (
    ("samples a function", lambda row: str(row.samples)),
    ("answered", lambda row: str(row.answered)),
    ("parsed", lambda row: str(row.parsed)),
    ("  copied: GCC's own code", lambda row: str(row.copied)),
    ("assembled", lambda row: str(row.assembled)),
    ("screened", lambda row: str(row.screened)),
    ("refuted", lambda row: str(row.refuted)),
    ("tested", lambda row: str(row.tested)),
    ("bounded", lambda row: str(row.bounded)),
    ("proved", lambda row: str(row.proved)),
    ("faster", lambda row: str(row.faster)),
    ("functions", lambda row: str(row.functions)),
    ("  with a right body", lambda row: str(row.right_functions)),
    ("  with a faster one", lambda row: str(row.faster_functions)),
    ("speedup of right ones", lambda row: shown(row.speedup)),
    ("gain over all", lambda row: shown(row.gain)),
    ("tokens", lambda row: str(row.tokens)),
    ("seconds", lambda row: f"{row.seconds:.0f}"),
)
