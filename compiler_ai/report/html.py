"""The report as one self-contained HTML page: nothing in it is loaded from anywhere else."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

import jinja2

from compiler_ai.artifacts import FunctionResult, Timing
from compiler_ai.asm import listing as listing_model
from compiler_ai.driver.host import machine_name
from compiler_ai.profile.model import Profile
from compiler_ai.report.table import expected_gain, rejected_by, speedup
from compiler_ai.tool.explain import outcome

_PLOT_WIDTH = 560


@dataclass(frozen=True)
class DiffRow:
    """A line of the two bodies side by side; `kind` is "same", "changed", "removed" or "added"."""

    before: str
    after: str
    kind: str


@dataclass(frozen=True)
class Plot:
    """Placement ratios as dots on an axis, with the interval; x values are in SVG units."""

    dots: tuple[float, ...]
    low: float
    middle: float
    high: float
    ticks: tuple[tuple[float, str], ...]


def render(results: Sequence[FunctionResult], profile: Profile) -> str:
    """The page's text. Whatever comes from candidates is escaped by the template engine."""
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string(resources.files("compiler_ai.report").joinpath("page.html").read_text("utf-8"))
    functions = [_function(result) for result in sorted(results, key=lambda r: -r.hot.share)]
    commands = [" ".join(run.command) for run in profile.runs]
    gain = f"{expected_gain(results, profile):.2f}x"
    return template.render(functions=functions, gain=gain, machine=machine_name(), commands=commands)


def _function(result: FunctionResult) -> dict[str, object]:
    rewrite = result.rewrite
    return {
        "name": result.hot.profiled.symbol,
        "share": f"{result.hot.share:.1%}",
        "tried": len(result.trials),
        "rejected": rejected_by(result),
        "winner": rewrite.candidate.origin if rewrite else "",
        "skipped": result.skipped,
        "evidence": rewrite.evidence if rewrite else None,
        "grade": rewrite.evidence.grade.name.lower() if rewrite else "",
        "speedup": speedup(rewrite.timing.warm) if rewrite else "1.00x",
        "cold": speedup(rewrite.timing.cold) if rewrite and rewrite.timing.cold else "",
        "plot": plot(rewrite.timing) if rewrite else None,
        "rows": side_by_side(_baseline_body(result), rewrite.candidate.body) if rewrite else [],
        "trials": [(trial.candidate.origin, outcome(trial)) for trial in result.trials],
    }


def side_by_side(before: str, after: str) -> list[DiffRow]:
    """The two bodies line by line, compared without regard to white space; unwind directives are left out."""
    old, new = (_instructions(text) for text in (before, after))
    rows: list[DiffRow] = []
    for tag, i, i_end, j, j_end in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        for step in range(max(i_end - i, j_end - j)):
            left = old[i + step] if i + step < i_end else ""
            right = new[j + step] if j + step < j_end else ""
            kind = "same" if tag == "equal" else "changed" if left and right else "removed" if left else "added"
            rows.append(DiffRow(left, right, kind))
    return rows


def plot(timing: Timing) -> Plot:
    """Where dots, interval and ticks of one measurement go."""
    values = [*timing.placement_ratios, timing.warm.low, timing.warm.high, 1.0]
    low, high = min(values), max(values)
    margin = max(0.01, 0.08 * (high - low))
    low, high = low - margin, high + margin

    def x(value: float) -> float:
        return round(20 + (_PLOT_WIDTH - 40) * (value - low) / (high - low), 1)

    ticks = tuple((x(low + (high - low) * at / 4), f"{low + (high - low) * at / 4:.2f}x") for at in range(5))
    dots = tuple(x(ratio) for ratio in timing.placement_ratios)
    return Plot(dots, x(timing.warm.low), x(timing.warm.ratio), x(timing.warm.high), ticks)


def _instructions(text: str) -> list[str]:
    lines = (" ".join(line.split()) for line in text.splitlines())
    return [line for line in lines if line and not line.startswith((".cfi", "#", ".loc"))]


def _baseline_body(result: FunctionResult) -> str:
    if result.baseline is None:
        return ""
    function = listing_model.parse(result.baseline.listing_text).function(result.baseline.function)
    return function.body if function else ""
