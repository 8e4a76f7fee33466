"""python benchmarks/programs RESULTS [PROGRAM...]: tune programs from their Debian sources and say what it gained."""

from __future__ import annotations

import argparse
import platform
import shlex
import sys
from pathlib import Path

import harness
from harness import Bench, Outcome, StepError
from rich.console import Console
from rich.table import Table
from rich.text import Text
from sources import Archive, SourceError

from compiler_ai.report.table import speedup, winner
from compiler_ai.report.tally import tally


def main() -> int:
    parser = argparse.ArgumentParser(prog="benchmarks/programs", description=__doc__)
    parser.add_argument("results", type=Path, help="where everything is kept; a second run goes on from there")
    parser.add_argument("programs", nargs="*", metavar="PROGRAM", help="only these (default: all)")
    parser.add_argument("--budget", default="6m", help="time for tuning one program (default: 6m)")
    parser.add_argument("--flags", default="", help="more options for aicc-tool tune, such as '--isa native'")
    parser.add_argument("--fresh", action="store_true", help="forget what earlier runs left")
    arguments = parser.parse_args()
    console = Console(width=160)
    results = arguments.results.resolve()
    archive = Archive(results / "archive")
    outcomes: dict[str, Outcome | str] = {}
    try:
        known = harness.load(harness.HERE / "programs.toml")
        chosen = [one for one in known if one.name in arguments.programs or not arguments.programs]
        unknown = set(arguments.programs) - {one.name for one in known}
        if unknown:
            raise StepError(
                f"no program is called {', '.join(sorted(unknown))}: there are {', '.join(p.name for p in known)}"
            )
    except StepError as error:
        print(f"bench-programs: {error}", file=sys.stderr)
        return 2
    print(f"{platform.platform()} {platform.machine()}")
    for program in chosen:
        bench = Bench(program, results, shlex.split(arguments.flags))
        if arguments.fresh:
            bench.forget()
        try:
            outcomes[program.name] = bench.run(archive, arguments.budget)
        except (StepError, SourceError) as error:
            outcomes[program.name] = str(error)
    show(console, outcomes)
    print(
        f"Raw data: {results}/PROGRAM/source/**/.aicc/results.json, {results}/PROGRAM/check.json, and a log a step beside it"
    )
    return 1 if any(isinstance(outcome, str) or not is_right(outcome) for outcome in outcomes.values()) else 0


def is_right(outcome: Outcome) -> bool:
    """Whether the program's own tests say after tuning what they said before."""
    return outcome.tests_after in (None, outcome.tests_before)


def show(console: Console, outcomes: dict[str, Outcome | str]) -> None:
    functions = Table(box=None, pad_edge=False)
    for heading in ("program", "function", "share", "tried", "rejected by", "not tried", "winner", "grade", "speedup"):
        functions.add_column(heading, overflow="fold")
    programs = Table(box=None, pad_edge=False)
    for heading in (
        "program",
        "version",
        "hot functions",
        "candidates",
        "winners",
        "own tests",
        "whole program, CPU time",
    ):
        programs.add_column(heading, overflow="fold")
    for name, outcome in outcomes.items():
        if isinstance(outcome, str):
            programs.add_row(name, Text(outcome))
            continue
        for result in sorted(outcome.functions, key=lambda one: -one.hot.share):
            rewrite, counts = result.rewrite, tally(result)
            functions.add_row(
                name,
                Text(result.hot.profiled.symbol),
                f"{result.hot.share:.1%}",
                str(counts.tried),
                Text(counts.rejected_by),
                Text(counts.left),
                Text(winner(result)),
                rewrite.evidence.grade.name.lower() if rewrite else "",
                Text(speedup(rewrite.timing.warm) if rewrite else "1.00x"),
            )
        programs.add_row(
            name,
            outcome.version,
            str(len(outcome.functions)),
            str(sum(tally(result).tried for result in outcome.functions)),
            str(sum(result.rewrite is not None for result in outcome.functions)),
            tests(outcome),
            Text("1.00x, GCC's own program" if outcome.gain is None else gain(outcome.gain)),
        )
    console.print(functions)
    console.print()
    console.print(programs)


def tests(outcome: Outcome) -> str:
    words = [
        "pass" if status == 0 else f"fail ({status})"
        for status in (outcome.tests_before, outcome.tests_after)
        if status is not None
    ]
    return " before, ".join(words) + (" after" if len(words) > 1 else " before")


def gain(figures: tuple[float, float, float]) -> str:
    ratio, low, high = figures
    return f"{ratio:.3f}x [{low:.3f}, {high:.3f}]"


if __name__ == "__main__":
    sys.exit(main())
