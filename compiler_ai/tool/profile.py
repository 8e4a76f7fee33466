"""`aicc-tool profile`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from compiler_ai.artifacts import HotFunction
from compiler_ai.capture.errors import CaptureError
from compiler_ai.capture.modules import Target
from compiler_ai.capture.tracer import Limits, record
from compiler_ai.errors import AiccError
from compiler_ai.profile import hotness
from compiler_ai.profile.importers import KNOWN, import_file
from compiler_ai.profile.model import Profile, merge
from compiler_ai.profile.record import record as record_profile
from compiler_ai.program import snapshot
from compiler_ai.tool.locate import project_directory
from compiler_ai.tune.captured import directory_of, forget_all


class ProfileArgumentError(AiccError):
    """The command line asks for nothing that can be done."""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.usage = "aicc-tool profile [options] -- COMMAND\n       aicc-tool profile [options] --import FILE"
    parser.add_argument(
        "-o", "--output", metavar="DIR", type=Path, help="write into DIR instead of the project's .aicc"
    )
    parser.add_argument(
        "--import",
        dest="imported",
        metavar="FILE",
        type=Path,
        help=KNOWN,
    )
    parser.add_argument(
        "--module",
        metavar="PROGRAM",
        type=Path,
        help="the program that a gmon.out or gcov file is of (default: the one beside the file)",
    )
    parser.add_argument("--add", action="store_true", help="add to the profile that is there instead of replacing it")
    parser.add_argument(
        "--weight", type=float, default=1.0, help="what this run counts against the others (default: 1)"
    )
    parser.add_argument("--frequency", type=int, default=997, metavar="HZ", help="samples a second (default: 997)")
    parser.add_argument("--no-captures", action="store_true", help="do not run the command a second time for captures")
    parser.add_argument("--captures", type=int, default=24, metavar="N", help="captured calls a function (default: 24)")
    parser.add_argument("words", nargs="*", metavar="COMMAND", help="the command, behind --")


def run(arguments: argparse.Namespace) -> int:
    if bool(arguments.words) == bool(arguments.imported):
        raise ProfileArgumentError("give a command behind --, or --import FILE, not both")
    if arguments.module and not arguments.imported:
        raise ProfileArgumentError("--module goes with --import")
    if not arguments.weight > 0:
        raise ProfileArgumentError(f"--weight: {arguments.weight} is not positive")
    project = arguments.output or project_directory()
    project.mkdir(parents=True, exist_ok=True)
    console = Console(stderr=True)
    if arguments.imported:
        new = import_file(arguments.imported, arguments.weight, arguments.module)
    else:
        new = record_profile(arguments.words, project, arguments.frequency, weight=arguments.weight)
    path = project / "profile.json"
    profile = merge(Profile.load(path), new) if arguments.add and path.exists() else new
    profile.save(path)
    hot = hotness.select(profile, project.parent, hotness.Rules())
    show(console, hot)
    modules = sorted({Path(function.profiled.module) for function in hot.functions})
    snapshot.take(project, [module for module in modules if module.exists()])
    status = 0
    if arguments.words and not arguments.no_captures and hot.functions:
        if not arguments.add:
            forget_all(project)
        status = capture(console, project, arguments.words, hot.functions, arguments.captures)
    return status


def show(console: Console, hot: hotness.HotSet) -> None:
    console.print(hot.coverage, highlight=False, markup=False)
    for function in hot.functions:
        console.print(
            f"  {function.share:6.1%}  {function.profiled.symbol}  ({function.profiled.source})",
            highlight=False,
            markup=False,
        )
    for item in hot.left_out[:8]:
        console.print(
            f"  {item.share:6.1%}  {item.function}  left out: {item.reason}", highlight=False, markup=False, style="dim"
        )


def capture(
    console: Console, project: Path, command: Sequence[str], functions: Sequence[HotFunction], per_function: int
) -> int:
    """Run the command again for captures, one module's functions at a time in one run. Returns its exit status."""
    targets = [Target(hot.profiled.module, hot.profiled.symbol, hot.profiled.address) for hot in functions]
    try:
        summary = record(command, targets, lambda target: directory_of(project, target.module), Limits(per_function))
    except CaptureError as error:
        console.print(f"no captures: {error}", highlight=False, markup=False)
        return 0
    kept = sum(len(function.files) for function in summary.functions.values())
    console.print(f"{kept} captured calls, {summary.bytes_written / 1e6:.1f} MB", highlight=False)
    for target, function in summary.functions.items():
        if not function.files:
            reasons = ", ".join(function.reasons) or "it was not called at a sampled moment"
            console.print(f"  no capture of {target.symbol}: {reasons}", highlight=False, markup=False)
    return summary.status if summary.status >= 0 else 128 - summary.status
