"""`aicc-tool explain`."""

from __future__ import annotations

import argparse
import os
import shlex

from compiler_ai.artifacts import FunctionResult, Trial
from compiler_ai.driver import options
from compiler_ai.driver.options import OptionError
from compiler_ai.errors import AiccError
from compiler_ai.models.shown import shown_prompts
from compiler_ai.report import results as stored_results
from compiler_ai.report.table import speedup
from compiler_ai.tool.console import opened
from compiler_ai.tool.locate import project_directory


class ExplainError(AiccError):
    """The last tuning did not concern that function."""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("function", help="the function's assembled name")
    parser.add_argument("--prompt", action="store_true", help="print what would be sent to a language model, and stop")
    parser.add_argument(
        "--anonymise", action="store_true", help="with --prompt: as sent under -faicc-model-anonymise=yes"
    )
    parser.add_argument(
        "flags", nargs="*", default=[], metavar="-faicc-...", help="with --prompt: aicc's own options, behind --"
    )


def run(arguments: argparse.Namespace) -> int:
    if arguments.prompt:
        return show_prompt(arguments)
    tuned = stored_results.load(project_directory())
    found = [result for result in tuned if result.hot.profiled.symbol == arguments.function]
    if not found:
        if arguments.function in stored_results.unfinished(project_directory()):
            print(stored_results.why_unfinished([arguments.function]))
            return 0
        reason = stored_results.left_alone(project_directory()).get(arguments.function)
        if reason is not None:
            print(f"{arguments.function}: left alone: {reason}")
            return 0
        names = ", ".join(result.hot.profiled.symbol for result in tuned) or "none that it has finished"
        raise ExplainError(f"'{arguments.function}' was not tuned in the last run, which had {names}")
    console = opened()
    for result in found:
        console.print(explained(result), markup=False, highlight=False, soft_wrap=True)
    return 0


def show_prompt(arguments: argparse.Namespace) -> int:
    """Print the messages that open a conversation about the function, one for each prompt that the models get."""
    flags = [*arguments.flags, *(["-faicc-model-anonymise=yes"] if arguments.anonymise else [])]
    parsed, rest = options.parse(flags, os.environ)
    if rest:
        raise OptionError(f"explain takes only aicc's own options, not {shlex.join(rest)}")
    print(shown_prompts(project_directory(), arguments.function, parsed))
    return 0


def explained(result: FunctionResult) -> str:
    """What happened to a function, one line a trial, and one for each that a proposer could not make."""
    hot = result.hot
    lines = [f"{hot.profiled.symbol}: {hot.share:.1%} of the project's samples, {hot.profiled.size_bytes} bytes"]
    if result.skipped:
        lines.append(f"  given up: {result.skipped}")
    lines += [f"  {outcome(trial)}  [{trial.candidate.proposer}: {trial.candidate.origin}]" for trial in result.trials]
    lines += [f"  {one.stage}: {one.reason}" for one in result.not_proposed]
    if result.rewrite is not None:
        lines.append(f"  accepted: {speedup(result.rewrite.timing.warm)}, {result.rewrite.candidate.origin}")
    else:
        lines.append("  GCC's own body stays")
    return "\n".join(lines)


def outcome(trial: Trial) -> str:
    if trial.rejection is not None:
        return f"{trial.rejection.stage}: {trial.rejection.reason}"
    if trial.timing is not None and trial.evidence is not None:
        return f"{trial.evidence.grade.name.lower()}, {speedup(trial.timing.warm)}"
    return "not judged: out of time"
