"""`-fopt-info-aicc`: remarks with file, line and function, in the form of GCC's -fopt-info (GCC manual, "Developer Options")."""

from __future__ import annotations

import os
import re
import sys
from functools import partial
from typing import Any

from compiler_ai.driver import log, project
from compiler_ai.driver.options import Options
from compiler_ai.passmanager import Event, PassManager
from compiler_ai.work import CandidateState, FunctionWork, UnitWork


def register(manager: PassManager, options: Options) -> None:
    """Print remarks to the file that `options` name, or to stderr, while `manager` runs."""
    if options.opt_info is None:
        return
    say = partial(remark, options)

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


def remark(options: Options, line: str) -> None:
    """A line to the file that `options` name, or to stderr; to the log where that file cannot be written, which is no reason to fail."""
    if not options.opt_info:
        sys.stderr.write(line + "\n")
        return
    try:
        with open(options.opt_info, "a", encoding="utf-8") as file:
            file.write(line + "\n")
    except OSError as error:
        log.write(project.find(os.getcwd(), os.environ), f"remarks: cannot write {options.opt_info}: {error.strerror}")


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
