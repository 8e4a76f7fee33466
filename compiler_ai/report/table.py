"""The table at the end of a tuning run, and the gain it lets one expect of the whole program."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from compiler_ai.artifacts import FunctionResult, Interval
from compiler_ai.measure.statistics import amdahl, geometric_mean
from compiler_ai.profile.model import Profile, Run
from compiler_ai.report.tally import TOO_LATE, tally


def print_table(console: Console, results: Sequence[FunctionResult], profile: Profile) -> None:
    """Print one row a function, costliest first, and the expected whole-program gain."""
    table = Table(box=None, pad_edge=False)
    for heading in ("function", "share", "tried", "rejected by", "not tried", "winner", "grade", "speedup"):
        table.add_column(heading, overflow="fold")
    for result in sorted(results, key=lambda r: -r.hot.share):
        rewrite, counts = result.rewrite, tally(result)
        table.add_row(
            Text(result.hot.profiled.symbol),
            f"{result.hot.share:.1%}",
            str(counts.tried),
            Text(counts.rejected_by),
            Text(counts.left),
            Text(winner(result)),
            rewrite.evidence.grade.name.lower() if rewrite else "",
            Text(speedup(rewrite.timing.warm) if rewrite else "1.00x"),
        )
    console.print(table)
    if mean := mean_gain(results):
        console.print(
            f"Geometric mean over the {len(results)} hot functions, those without a rewrite at 1.00x: {mean}",
            highlight=False,
            soft_wrap=True,
        )
    console.print(
        f"Expected of the whole program by Amdahl's law: {expected_gain(results, profile):.2f}x",
        highlight=False,
        soft_wrap=True,
    )
    if line := out_of_time(results):
        console.print(line, highlight=False, soft_wrap=True)


def winner(result: FunctionResult) -> str:
    """Whose body the function has now, and why it is GCC's where nothing could be tried."""
    if result.rewrite is not None:
        return result.rewrite.candidate.origin
    counts = tally(result)
    if counts.is_too_late:
        return TOO_LATE
    if counts.ran_out_of_time:
        return "GCC's own"
    return f"GCC's own ({result.skipped})" if result.skipped else "GCC's own"


def out_of_time(results: Sequence[FunctionResult]) -> str:
    """How many functions a longer run would find more for, and how to have it; "" for none."""
    count = sum(tally(result).ran_out_of_time for result in results)
    what = "functions" if len(results) > 1 else "function"
    return f"{count} of {len(results)} {what} ran out of time: the same command again goes on" if count else ""


def mean_gain(results: Sequence[FunctionResult]) -> str:
    """The geometric mean of the gains, with its interval from three functions on (of two it says nothing); "" of one."""
    if len(results) < 2:
        return ""
    mean = geometric_mean([gain(result) for result in results])
    return speedup(mean) if len(results) > 2 else f"{mean.ratio:.2f}x"


def workload(run: Run) -> str:
    """One profiled run in a line: the command, when, with what, and how it ended when that was not well."""
    when = f", {run.date[:16].replace('T', ' ')} UTC" if run.date else ""
    ended = f", {run.note}" if run.note else f", status {run.status}" if run.status else ""
    weight = f", weight {run.weight:g}" if run.weight != 1 else ""
    return f"{shlex.join(run.command)} ({run.tool}, {run.event}, {run.samples:g} {run.unit}{weight}{when}{ended})"


def expected_gain(results: Sequence[FunctionResult], profile: Profile) -> float:
    """The whole program's speedup when each rewritten function's share (of all samples) shrinks by its speedup."""
    total = profile.total or 1.0
    parts = [
        (result.hot.profiled.cost / total, result.rewrite.timing.warm.ratio)
        for result in results
        if result.rewrite is not None
    ]
    return amdahl(parts) if parts else 1.0


def gain(result: FunctionResult) -> float:
    """The function's speedup when warm; 1 where GCC's body stays."""
    return result.rewrite.timing.warm.ratio if result.rewrite else 1.0


def speedup(interval: Interval) -> str:
    return f"{interval.ratio:.2f}x [{interval.low:.2f}, {interval.high:.2f}]"
