"""The pass driver inside one compile: `-faicc-mode=tune`, and apply mode with plugins, dumps or remarks.

Run by the shim with the listing on standard input. What is accepted goes to the store; the shim then applies the store.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from compiler_ai import dumps, remarks
from compiler_ai.artifacts import CompileCommand
from compiler_ai.asm import listing as listing_model
from compiler_ai.driver import log, options, treefile, units
from compiler_ai.driver.apply import SAID
from compiler_ai.driver.assembler import without_shim
from compiler_ai.driver.duration import parse_duration_s
from compiler_ai.driver.flags import target_flags
from compiler_ai.driver.options import Options
from compiler_ai.driver.splicing import Applied, apply_entries
from compiler_ai.errors import AiccError
from compiler_ai.models.host import hosting
from compiler_ai.passmanager import PassManager
from compiler_ai.pipeline import PASS_NAMES
from compiler_ai.profile import hotness
from compiler_ai.profile.model import Profile
from compiler_ai.store.store import Store
from compiler_ai.store.trials import cache_directory
from compiler_ai.toolchains.x86_64 import X86_64
from compiler_ai.tune import orphans
from compiler_ai.tune import plan as planning
from compiler_ai.tune.allotment import FUNCTION_BUDGET_S, Allotment
from compiler_ai.tune.outdated import by_source
from compiler_ai.tune.session import work_on


def main() -> int:
    """Exit status 0; SAID with one line on standard error and in the log."""
    orphans.end_with(int(os.environ.get("AICC_SHIM_PID") or os.getppid()))
    text = sys.stdin.buffer.read().decode(errors="surrogateescape")
    ours, _ = options.parse([word for word in _list("AICC_SHIM_FLAGS") if word], {})
    project = os.environ.get("AICC_SHIM_PROJECT", "")
    try:
        if not project:
            raise AiccError("there is no .aicc directory here: run 'aicc-tool init'")
        _check(ours)
        if ours.mode == "tune":
            commands = _commands()
            _leave_the_shim()
            with (
                tempfile.TemporaryDirectory(prefix="aicc-tune-") as shared,
                hosting(ours, cache_directory(), Path(shared)),
            ):
                _tune(ours, Path(project), Path(shared), commands)
        else:
            names, flags, dump = _stored(project, text), target_flags(os.environ), treefile.read(os.environ)
            result = apply_entries(text, names, project, ours, flags, dump)
            _describe(ours, result, project, names)
            for command in _commands():
                if f'\t.file\t"{Path(command.source).name}"\n' in text:
                    dumps.of_apply_mode(ours, command.source, command.object_path, PASS_NAMES, result.text)
    except AiccError as error:
        sys.stderr.write(f"aicc: {error}\n")
        log.write(project or None, f"as: {error}")
        return SAID
    return 0


def _check(ours: Options) -> None:
    """What was asked for can be had, also where this unit has nothing to do for it. Raises AiccError."""
    for plugin in ours.plugins:
        if plugin.endswith(".py") and not os.path.isfile(plugin):
            raise AiccError(f"-faicc-plugin={plugin}: there is no such file")
    unknown = sorted(ours.dumps.difference(PASS_NAMES))
    if unknown and not ours.plugins:  # a plugin may have passes of its own
        raise AiccError(f"-fdump-aicc-{unknown[0]}: there is no such pass: write {', '.join(PASS_NAMES)} or all")


def _leave_the_shim() -> None:
    """The compiles that this process starts are no part of the user's: our assembler must not stand in for theirs and tune again."""
    plain = without_shim(os.environ)
    os.environ.clear()
    os.environ.update(plain)


def _tune(ours: Options, project: Path, shared: Path, commands: Sequence[CompileCommand]) -> None:
    """Tune the hot functions of the unit at hand, one after the other. Raises AiccError."""
    profile = Profile.load(Path(ours.values["profile"] or project / "profile.json"))
    hot_set = hotness.select(profile, project.parent, hotness.Rules(), list(units.load_all(str(project))))
    for command in commands:
        own = [hot for hot in hot_set.functions if hot.profiled.source in ("", Path(command.source).name)]
        plan = planning.make([(hot, command) for hot in own], tuple(ours.flags), project, 0)
        for hot, reason in plan.left_out:
            _say(ours, f"{command.source}: missed: {hot.profiled.symbol}: left alone: {reason}")
        budget_s = parse_duration_s(ours.values["budget"]) if ours.values["budget"] else None
        total_s = budget_s or FUNCTION_BUDGET_S * len(plan.tasks)
        allotment = Allotment([task.hot.share for task in plan.tasks], total_s, 1)
        for number, one in enumerate(plan.tasks):
            task = replace(one, shared=shared)

            def observe(manager: PassManager, source: str = command.source, path: str = command.object_path) -> None:
                dumps.register(manager, ours, source, path)
                remarks.register(manager, ours)

            result = work_on(task, allotment.begin(number), lambda _progress: None, observe)
            allotment.end(number)
            if result.skipped:
                _say(ours, f"{command.source}: missed: {task.hot.profiled.symbol}: {result.skipped}")


def _commands() -> list[CompileCommand]:
    directory = os.environ.get("AICC_SHIM_DIRECTORY", os.getcwd())
    compiler, arguments = (
        tuple(_list("AICC_SHIM_COMPILER")),
        tuple(word for word in _list("AICC_SHIM_ARGUMENTS") if word),
    )
    output = os.environ.get("AICC_SHIM_OUTPUT", "")
    output = "" if output in ("-", os.devnull) else output
    commands = []
    for source in filter(None, _list("AICC_SHIM_SOURCES")):
        object_path = os.path.join(directory, output or Path(source).stem + ".o")
        path = os.path.normpath(os.path.join(directory, source))
        commands.append(CompileCommand(compiler, arguments, path, object_path, directory, X86_64.name, given=source))
    return commands


def _stored(project: str, text: str) -> Sequence[str]:
    """The functions of this listing that the store has entries for."""
    functions = {function.name for function in listing_model.parse(text).functions}
    return sorted(functions & {entry.function for entry in Store(project).entries()})


def _describe(ours: Options, result: Applied, project: str, names: Sequence[str]) -> None:
    """Remarks for what apply mode did; while tuning the passes have said more."""
    source = next(filter(None, _list("AICC_SHIM_SOURCES")), "<stdin>")
    for name in result.applied:
        _say(ours, f"{remarks.located(source, name)}: optimized: {name}: rewritten from the store")
    told = {note.partition(":")[0] for note in result.notes}
    stored = {entry.function for entry in by_source(Store(project)).get(Path(source).name, [])}
    other = sorted(set(names).difference(result.applied, told) & stored)
    notes = [f"{name}: the store's rewrite is for other code (source or flags changed): tune again" for name in other]
    for note in [*result.notes, *notes]:
        _say(ours, f"{remarks.located(source, note.partition(':')[0])}: missed: {note}")


def _say(ours: Options, line: str) -> None:
    if ours.opt_info is not None:
        remarks.remark(ours, line)


def _list(name: str) -> list[str]:
    return os.environ.get(name, "").split("\x1f")


if __name__ == "__main__":
    sys.exit(main())
