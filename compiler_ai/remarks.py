"""`-fopt-info-aicc`: remarks with file, line and function, in the form of GCC's -fopt-info (GCC manual, "Developer Options")."""

from __future__ import annotations

import re
import sys
from typing import Any

from compiler_ai.driver.options import Options
from compiler_ai.passmanager import Event, PassManager
from compiler_ai.work import CandidateState, FunctionWork, UnitWork


def register(manager: PassManager, options: Options) -> None:
    """Print remarks to the file that `options` name, or to stderr, while `manager` runs."""
    if options.opt_info is None:
        return
    target = options.opt_info

    def say(line: str) -> None:
        if target:
            with open(target, "a", encoding="utf-8") as file:
                file.write(line + "\n")
        else:
            sys.stderr.write(line + "\n")

    def rejected(work: UnitWork | FunctionWork, state: Any) -> None:
        if isinstance(work, FunctionWork) and isinstance(state, CandidateState) and state.rejection:
            say(f"{location(work)}: missed: {name(work)}: {state.rejection.stage}: {state.rejection.reason}")

    def accepted(work: UnitWork | FunctionWork, rewrite: Any) -> None:
        if isinstance(work, FunctionWork):
            interval = rewrite.timing.warm
            say(
                f"{location(work)}: optimized: {name(work)}: rewritten, {interval.ratio:.2f}x "
                f"[{interval.low:.2f}, {interval.high:.2f}], {rewrite.evidence.grade.name.lower()} ({rewrite.candidate.origin})"
            )

    def finished(work: UnitWork | FunctionWork, _: Any) -> None:
        if isinstance(work, UnitWork):
            for function in work.functions:
                if function.skipped:
                    say(f"{location(function)}: missed: {name(function)}: {function.skipped}")
            for function_name, reason in work.left_out:
                say(f"{work.source}: note: {function_name}: left alone: {reason}")

    manager.register_callback(Event.CANDIDATE_REJECTED, rejected)
    manager.register_callback(Event.REWRITE_ACCEPTED, accepted)
    manager.register_callback(Event.FINISH_UNIT, finished)


def name(work: FunctionWork) -> str:
    return work.hot.profiled.symbol


def location(work: FunctionWork) -> str:
    return located(work.baseline.command.source, name(work))


def located(source: str, symbol: str) -> str:
    """`file:line` of a function; the line comes from the source text, the file alone when it is not found there."""
    plain = re.escape(re.sub(r"\.(constprop|isra|part|cold)(\.\d+)*$", "", symbol))
    pattern = re.compile(rf"^[A-Za-z_][^;=]*\b{plain}\s*\((?:[^;]*|[^;{{]*\{{.*)$")
    try:
        with open(source, encoding="utf-8", errors="replace") as file:
            for number, line in enumerate(file, 1):
                if pattern.match(line.rstrip("\n")):
                    return f"{source}:{number}"
    except OSError:
        pass
    return source
