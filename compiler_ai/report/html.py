"""The report as one self-contained HTML page: nothing in it is loaded from anywhere else."""

from __future__ import annotations

import math
from collections.abc import Sequence
from importlib import resources

import jinja2

from compiler_ai.artifacts import FunctionResult, Timing
from compiler_ai.asm import listing as listing_model
from compiler_ai.driver.host import machine_name
from compiler_ai.profile.model import Profile
from compiler_ai.report.plot import WIDTH, plot
from compiler_ai.report.samples import shares
from compiler_ai.report.sides import side_by_side
from compiler_ai.report.table import expected_gain, mean_gain, speedup, winner, workload
from compiler_ai.report.tally import tally
from compiler_ai.tool.explain import outcome

_MOST_STRIPS = 6


def render(results: Sequence[FunctionResult], profile: Profile, unfinished: str = "") -> str:
    """The page's text; `unfinished` is a line on what the tuning has not come to. Whatever comes from candidates is escaped by the template engine."""
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string(resources.files("compiler_ai.report").joinpath("page.html").read_text("utf-8"))
    functions = [_function(result, profile) for result in sorted(results, key=lambda r: -r.hot.share)]
    return template.render(
        functions=functions,
        accepted=sum(result.rewrite is not None for result in results),
        gain=f"{expected_gain(results, profile):.2f}x",
        mean=mean_gain(results),
        machine=machine_name(),
        unfinished=unfinished,
        workloads=[workload(run) for run in profile.runs],
        plot_width=WIDTH,
    )


def _function(result: FunctionResult, profile: Profile) -> dict[str, object]:
    rewrite, profiled, counts = result.rewrite, result.hot.profiled, tally(result)
    found = shares(result) if rewrite else {}
    return {
        "name": profiled.symbol,
        "source": profiled.source or (rewrite.source if rewrite else ""),
        "share": f"{result.hot.share:.1%}",
        "tried": counts.tried,
        "rejected": counts.rejected_by,
        "left": counts.left,
        "winner": rewrite.candidate.origin if rewrite else "",
        "body": winner(result),
        "skipped": result.skipped,
        "evidence": rewrite.evidence if rewrite else None,
        "grade": rewrite.evidence.grade.name.lower() if rewrite else "",
        "speedup": speedup(rewrite.timing.warm) if rewrite else "1.00x",
        "cold": speedup(rewrite.timing.cold) if rewrite and rewrite.timing.cold else "",
        "plot": plot(_measured(result)),
        "blocks": side_by_side(_baseline_body(result), rewrite.candidate.body, found) if rewrite else [],
        "has_samples": bool(found),
        "samples": _sample_count(result, profile),
        "extra": rewrite.candidate.extra if rewrite else "",
        "trials": [(trial.candidate.origin, outcome(trial), trial.rejection is None) for trial in result.trials],
    }


def _measured(result: FunctionResult) -> list[tuple[str, str, Timing]]:
    """The candidates that were measured, the best first. One of an unlimited interval cannot be drawn."""
    found = [
        (trial.candidate.origin, speedup(trial.timing.warm), trial.timing)
        for trial in result.trials
        if trial.timing is not None
        and all(
            math.isfinite(x) for x in (trial.timing.warm.low, trial.timing.warm.high, *trial.timing.placement_ratios)
        )
    ]
    return sorted(found, key=lambda one: -one[2].warm.low)[:_MOST_STRIPS]


def _sample_count(result: FunctionResult, profile: Profile) -> str:
    """How many samples the function's shares rest on; "" when several workloads were weighed against each other."""
    if len(profile.runs) != 1 or not profile.total:
        return ""
    (run,) = profile.runs
    return f"{run.samples * result.hot.profiled.cost / profile.total:.0f} {run.unit}"


def _baseline_body(result: FunctionResult) -> str:
    if result.baseline is None:
        return ""
    function = listing_model.parse(result.baseline.listing_text).function(result.baseline.function)
    return function.body if function else ""
