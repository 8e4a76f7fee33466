"""`-fdump-aicc-<pass>`: one numbered file a pass, beside the object, as GCC's own dumps (GCC manual, "Developer Options")."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from compiler_ai.driver import log, project
from compiler_ai.driver.options import OptionError, Options
from compiler_ai.passmanager import Event, PassManager
from compiler_ai.work import FunctionWork, UnitWork


def register(manager: PassManager, options: Options, source: str, object_path: str) -> None:
    """Write the dumps that `options` ask for while `manager` runs. Raises OptionError when a pass of that name does not exist."""
    names = [pass_.name for pass_ in manager.passes]
    for wanted in options.dumps:
        if wanted not in names:
            raise OptionError(f"-fdump-aicc-{wanted}: there is no such pass; the passes are {', '.join(names)}")
    if not (options.dumps or options.dump_all):
        return
    started: set[Path] = set()

    def dump(work: UnitWork | FunctionWork, pass_: Any) -> None:
        if not options.dumps_pass(pass_.name):
            return
        path = path_of(source, object_path, names, pass_.name)
        _write(path, describe_unit(work) if isinstance(work, UnitWork) else describe_function(work), path in started)
        started.add(path)

    manager.register_callback(Event.AFTER_PASS, dump)


def path_of(source: str, object_path: str, passes: Sequence[str], name: str) -> Path:
    """Where the dump of the pass `name` lies: beside the object and named after it, with the source's suffix, like GCC's."""
    beside = Path(object_path)
    return beside.with_name(f"{beside.stem}{Path(source).suffix}.{passes.index(name) + 1:03d}a.{name}")


def of_apply_mode(options: Options, source: str, object_path: str, passes: Sequence[str], text: str) -> None:
    """The one dump of a compile that only takes what the store has: the listing as it is assembled, as the last of the `passes`
    would write it, if `options` ask for that one."""
    if options.dumps_pass(passes[-1]):
        _write(path_of(source, object_path, passes, passes[-1]), f";; Unit {source}\n\n{text}", False)


def _write(path: Path, text: str, more: bool) -> None:
    try:
        with path.open("a" if more else "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text + "\n")
    except OSError as error:
        log.write(project.find(os.getcwd(), os.environ), f"dump: cannot write {path}: {error.strerror}")


def describe_unit(unit: UnitWork) -> str:
    """What is known of a unit after a pass, for a person."""
    lines = [f";; Unit {unit.source}", f";; flags: {' '.join(unit.flags) or '(none)'}"]
    lines += [f";; hot: {hot.profiled.symbol} {hot.share:.1%}" for hot in unit.hot]
    lines += [f";; left out: {name}: {reason}" for name, reason in unit.left_out]
    for function in unit.functions:
        lines += ["", describe_function(function)]
    if unit.output:
        lines += ["", unit.output]
    return "\n".join(lines)


def describe_function(function: FunctionWork) -> str:
    """What is known of a function and each of its candidates after a pass."""
    hot = function.hot
    lines = [
        f";; Function {hot.profiled.symbol} ({hot.share:.1%} of the samples)",
        f";; baseline key {function.baseline.key}",
    ]
    if function.skipped:
        lines.append(f";; skipped: {function.skipped}")
    lines += [f";; not proposed: {rejection.stage}: {rejection.reason}" for rejection in function.proposal_rejections]
    for state in function.candidates:
        origin = f"{state.candidate.proposer}: {state.candidate.origin}"
        if state.rejection is not None:
            lines.append(
                f";; {state.digest[:12]} rejected by {state.rejection.stage}: {state.rejection.reason} [{origin}]"
            )
            continue
        verdict = state.evidence.grade.name.lower() if state.evidence else "not verified yet"
        timing = (
            f", {state.timing.warm.ratio:.3f}x [{state.timing.warm.low:.3f}, {state.timing.warm.high:.3f}]"
            if state.timing
            else ""
        )
        lines += [
            f";; {state.digest[:12]} {verdict}{timing} [{origin}]",
            state.candidate.body.rstrip(),
            state.candidate.extra.rstrip(),
        ]
    if function.rewrite is not None:
        lines.append(f";; rewrite: {function.rewrite.candidate.origin}, {function.rewrite.timing.warm.ratio:.3f}x")
    return "\n".join(lines)
