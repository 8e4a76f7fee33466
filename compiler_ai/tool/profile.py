"""`aicc-tool profile`."""

from __future__ import annotations

import argparse
import contextlib
import math
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from compiler_ai.artifacts import HotFunction, ProfiledFunction
from compiler_ai.capture.errors import CaptureError
from compiler_ai.capture.modules import Target
from compiler_ai.capture.tracer import Limits, record
from compiler_ai.driver import units
from compiler_ai.errors import AiccError
from compiler_ai.profile import hotness
from compiler_ai.profile.errors import ProfileError
from compiler_ai.profile.importers import KNOWN, import_file
from compiler_ai.profile.model import Profile, merge
from compiler_ai.profile.rebuilt import found_again
from compiler_ai.profile.record import INTERRUPTED
from compiler_ai.profile.record import record as record_profile
from compiler_ai.program import snapshot
from compiler_ai.program.ending import ending, shell_status
from compiler_ai.tool.console import opened
from compiler_ai.tool.locate import NoProjectError, project_directory
from compiler_ai.tune.captured import captures_of, directory_of, forget_all, note_missing
from compiler_ai.wording import counted


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
    parser.add_argument(
        "--functions",
        metavar="NAME[,NAME]",
        help="capture calls of these functions too, hot or not, so that tune can have them",
    )
    parser.add_argument("words", nargs="*", default=[], metavar="COMMAND", help="the command, behind --")


def run(arguments: argparse.Namespace) -> int:
    """Exit status: the command's own, 128 + n when signal n ended it, 130 when it was interrupted."""
    _check(arguments)
    own = project_directory() if not arguments.output else _project_or(arguments.output)
    project = arguments.output or own
    path = project / "profile.json"
    _make_writable(project)
    old = (
        Profile.load(path) if arguments.add and path.exists() else None
    )  # what is wrong with it shows before the long run
    console = opened(to_stderr=True)
    if arguments.imported:
        new = import_file(arguments.imported, arguments.weight, arguments.module)
    else:
        new = record_profile(arguments.words, project, arguments.frequency, weight=arguments.weight)
    named = frozenset((arguments.functions or "").split(",")) - {""}
    recorded = list(units.load_all(str(own)))
    merged = merge(found_again(old), new) if old is not None else new
    profile = hotness.with_functions(merged, named, own.parent, recorded)
    _save(profile, path)
    hot = hotness.select(profile, own.parent, hotness.Rules(besides=named), recorded)
    show(console, hot, named)
    for item in hot.left_out:
        if item.function in named:
            _say(console, f"  {item.function}: {item.reason}")
    if few := hotness.few_samples(profile, hot.own_share):
        _say(console, few)
    if not hot.own_share:
        _say(console, nothing_own(own, len(recorded)))
        return new.runs[-1].status or 1
    matched = hotness.match_units(hot.functions, recorded)
    wanted = [function for function in hot.functions if function not in matched.never]
    for function, reason in matched.unmatched:
        if function in matched.never:
            _say(console, f"  {function.profiled.symbol}: {reason}")
    modules = sorted({Path(function.profiled.module) for function in hot.functions})
    snapshot.take(project, [module for module in modules if module.exists()])
    ended = new.runs[-1]
    if ended.note == INTERRUPTED:
        _say(console, "interrupted: the samples until then are kept; no calls are captured")
        return 130
    if ended.note:
        _say(console, ended.note)
    if not arguments.words or arguments.no_captures or not wanted:
        return ended.status
    if not arguments.add:
        forget_all(project)
    return capture(console, project, arguments.words, wanted, arguments.captures, ended.status)


def nothing_own(project: Path, recorded: int) -> str:
    """What to do when no sample is in the project's own functions."""
    build = f"build it with CC=aicc: below {project.parent} or from sources there it is recorded by itself, elsewhere with AICC_DIR={project}"
    if not recorded:
        return f"nothing to tune: no compile of this program is recorded in {project}: {build}"
    return (
        f"nothing to tune: no sample is in code of the units recorded in {project}: profile a program that is built of them, not "
        f"stripped and not changed since; or {build}"
    )


def _project_or(output: Path) -> Path:
    """The project that the profile is of; what it is written to where there is none."""
    try:
        return project_directory()
    except NoProjectError:
        return output.absolute()


def _check(arguments: argparse.Namespace) -> None:
    if bool(arguments.words) == bool(arguments.imported):
        both = " (not both)" if arguments.words else ""
        raise ProfileArgumentError(f"give a command behind --, or --import FILE{both}")
    if arguments.module and not arguments.imported:
        raise ProfileArgumentError("--module goes with --import")
    if not (math.isfinite(arguments.weight) and arguments.weight > 0):
        raise ProfileArgumentError(f"--weight: {arguments.weight} is not positive")
    for option, value in (("--frequency", arguments.frequency), ("--captures", arguments.captures)):
        if value < 1:
            raise ProfileArgumentError(f"{option}: {value} is not positive")


def _make_writable(project: Path) -> None:
    """Fail before the long run and not behind it. Raises ProfileError."""
    try:
        project.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=project) as file:
            file.write(bytes(4096))
    except OSError as error:
        raise ProfileError(f"{project}: nothing can be written there: {error.strerror or error}") from error


def _save(profile: Profile, path: Path) -> None:
    """A profile that cannot be written where it belongs is kept elsewhere. Raises ProfileError, which says where."""
    try:
        profile.save(path)
    except ProfileError as error:
        try:
            rescued = Path(tempfile.mkdtemp(prefix="aicc-profile-"), path.name)  # nobody else's link lies there
            profile.save(rescued)
        except (ProfileError, OSError):
            raise error from None
        raise ProfileError(f"{error}; the new profile is kept in {rescued}: make room and move it there") from error


def _say(console: Console, line: str, style: str | None = None) -> None:
    """One line, however long."""
    console.print(line, highlight=False, markup=False, soft_wrap=True, style=style)


def show(console: Console, hot: hotness.HotSet, named: frozenset[str] = frozenset()) -> None:
    """The hot set and the most expensive of what is left out, the named ones aside."""
    _say(console, hot.coverage)
    for function in hot.functions:
        source = f"  ({function.profiled.source})" if function.profiled.source else ""
        _say(console, f"  {function.share:6.1%}  {function.profiled.symbol}{source}")
    inlined = [item for item in hotness.inlined_into(hot.functions) if item.share >= hotness.Rules().least_share]
    left_out = [item for item in hot.left_out if item.function not in named]
    for item in (*left_out[:8], *inlined[:8]):
        _say(console, f"  {item.share:6.1%}  {item.function}  left out: {item.reason}", "dim")


def capture(
    console: Console,
    project: Path,
    command: Sequence[str],
    functions: Sequence[HotFunction],
    per_function: int,
    status: int,
) -> int:
    """Run the command again for captures of all hot functions. Returns its exit status, `status` when that run fails to start."""
    targets = [Target(hot.profiled.module, hot.profiled.symbol, hot.profiled.address) for hot in functions]
    try:
        summary = record(command, targets, lambda target: directory_of(project, target.module), Limits(per_function))
    except CaptureError as error:
        _say(console, f"no captures: {error}")
        return status
    kept = sum(len(function.files) for function in summary.functions.values())
    _say(console, f"{counted(kept, 'captured call')}, {summary.bytes_written / 1e6:.1f} MB")
    missing: dict[ProfiledFunction, str] = {}
    for hot, (target, function) in zip(functions, summary.functions.items(), strict=True):
        if not function.files and not captures_of(project, hot.profiled):
            reasons = ", ".join(function.reasons) or "it was not called at a sampled moment"
            _say(console, f"  no capture of {target.symbol}: {reasons}")
            missing[hot.profiled] = reasons
    with contextlib.suppress(AiccError):  # a full disk: it has been said
        note_missing(project, missing)
    ended = shell_status(summary.status)
    if ended and ended != status:
        _say(console, f"while calls were captured, the command ended {ending(summary.status)}")
    if kept:
        _say(console, "Next: 'aicc-tool tune'.")
    return ended
