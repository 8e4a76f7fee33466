"""`aicc-tool check`: the whole program before and after."""

from __future__ import annotations

import argparse
import json
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.console import Console

from compiler_ai.artifacts import Interval
from compiler_ai.driver.duration import parse_duration_s
from compiler_ai.errors import AiccError
from compiler_ai.program import snapshot
from compiler_ai.program.compare import Comparison, Verdict, compare
from compiler_ai.program.ending import ending
from compiler_ai.program.opened import Watch
from compiler_ai.store.codec import to_json
from compiler_ai.tool.console import opened
from compiler_ai.tool.locate import project_directory

_STATUS = {Verdict.SAME: 0, Verdict.DIFFERENT: 1, Verdict.CRASHED: 1, Verdict.NOT_RUN: 1, Verdict.UNSTABLE: 3}

_MOVED = "if the project was moved or copied, name the old program with --before, or profile again where it is now"


class CheckError(AiccError):
    """The comparison cannot be made as asked."""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.usage = "aicc-tool check [options] -- COMMAND"
    parser.epilog = "Exit status: 0 the same, 1 different or nothing compared (both crash, or nothing that was profiled runs), 3 the output changes without a rewrite, too."
    parser.add_argument(
        "--before", metavar="CMD", help="the old program's command, instead of the profiled modules' snapshots"
    )
    parser.add_argument("--pairs", type=int, default=150, help="paired runs at most, 6 or more (default: 150)")
    parser.add_argument("--budget", default="60s", help="time for the paired runs (default: 60s)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the random order (default: 0)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result to FILE as well")
    parser.add_argument("words", nargs="+", metavar="COMMAND", help="the command, behind --")


def run(arguments: argparse.Namespace) -> int:
    project = project_directory()
    budget_s = parse_duration_s(arguments.budget)
    if budget_s is None or arguments.pairs < 6:
        raise CheckError("--budget takes a duration such as 60s or 5m, and --pairs at least 6")
    command: Sequence[str] = arguments.words
    before: Sequence[str] = shlex.split(arguments.before) if arguments.before else command
    replacements = {} if arguments.before else changed_modules(project)
    console = opened()
    with console.status("comparing") as status, Watch(replacements) as modules:
        result = compare(
            before,
            command,
            replacements,
            arguments.pairs,
            budget_s,
            arguments.seed,
            lambda done, total: status.update(f"comparing: {done} of at most {total} pairs"),
            lambda: not replacements or modules.any_opened(),
        )
    show(console, command, result, replacements)
    if arguments.json:
        write(arguments.json, result)
    return _STATUS[result.verdict]


def write(path: Path, result: Comparison) -> None:
    """The comparison as JSON. Raises CheckError."""
    try:
        path.write_text(json.dumps(to_json(result), indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise CheckError(f"{path} cannot be written: {error.strerror}") from error


def changed_modules(project: Path) -> dict[Path, Path]:
    """Every profiled module that has been built anew since, with the copy of what it was. Raises CheckError for none."""
    snapshots = snapshot.load(project)
    if not snapshots:
        raise CheckError(
            "nothing was profiled yet: run 'aicc-tool profile -- COMMAND', or name the old program with --before"
        )
    missing = [s.path for s in snapshots if not s.path.exists()]
    if missing:
        raise CheckError(f"{missing[0]} is gone: build it again, then check{_elsewhere(project, missing[0])}")
    changed = {s.path: s.copy for s in snapshots if not s.is_current()}
    if not changed:
        names, moved = ", ".join(str(s.path) for s in snapshots), _elsewhere(project, snapshots[0].path)
        raise CheckError(f"{names}: the same as when profiled: build again with CC=aicc, then check{moved}")
    return changed


def _elsewhere(project: Path, module: Path) -> str:
    """What to do where the module that was profiled does not belong to the project's tree, as after a move; else ""."""
    return "" if module.is_relative_to(project.absolute().parent) else f"; {_MOVED}"


def show(console: Console, command: Sequence[str], result: Comparison, profiled: Iterable[Path]) -> None:
    if result.verdict is not Verdict.SAME:
        _say(console, why_not_same(result, profiled), "bold red")
        return
    _say(console, f"same output and exit status in {result.pairs} paired runs of: {shlex.join(command)}")
    if result.status:
        _say(console, f"  both ended {ending(result.status)}")
    for name, interval in (("CPU time", result.cpu), ("wall time", result.wall)):
        if interval is not None:
            console.print(f"  {name:9}  {describe(interval)}", highlight=False)
    console.print(f"  median CPU time: {result.before_s:.3f} s before, {result.after_s:.3f} s after", highlight=False)


def _say(console: Console, line: str, style: str | None = None) -> None:
    """One line, however long; what programs print is no markup."""
    console.print(line, highlight=False, markup=False, soft_wrap=True, style=style)


def why_not_same(result: Comparison, profiled: Iterable[Path]) -> str:
    """One line, with what to do where that is not plain. `profiled` are the modules of which one should have run."""
    if result.verdict is Verdict.NOT_RUN:
        names = ", ".join(map(str, profiled))
        return f"nothing was compared: the command ran nothing that was profiled, which is {names}; {_MOVED}"
    if result.verdict is Verdict.CRASHED:
        return f"both ended {ending(result.status or 0)}: nothing was compared"
    if result.verdict is Verdict.UNSTABLE:
        return f"the output changes from run to run without a rewrite, too: {result.difference}"
    return f"different: {result.difference}"


def describe(interval: Interval) -> str:
    return f"{interval.ratio:.3f}x  [{interval.low:.3f}, {interval.high:.3f}] at {interval.confidence:.0%}"
