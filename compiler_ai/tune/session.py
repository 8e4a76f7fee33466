"""One run of `aicc-tool tune`: plan, workers, live screen, table at the end."""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from compiler_ai.artifacts import FunctionResult
from compiler_ai.asm import listing as listing_model
from compiler_ai.driver import log, options, units
from compiler_ai.driver.options import Options
from compiler_ai.errors import AiccError
from compiler_ai.models.host import hosting
from compiler_ai.passmanager import PassManager
from compiler_ai.pipeline import tuning
from compiler_ai.profile import hotness
from compiler_ai.profile.model import Profile
from compiler_ai.proposers.language_model import MODEL_STAGE
from compiler_ai.report import results as stored_results
from compiler_ai.report.table import print_table
from compiler_ai.store.errors import StoreError
from compiler_ai.store.store import Store
from compiler_ai.store.trials import cache_directory
from compiler_ai.toolchains.x86_64 import X86_64
from compiler_ai.tune import plan as planning
from compiler_ai.tune.allotment import FUNCTION_BUDGET_S, Allotment
from compiler_ai.tune.alone import alone
from compiler_ai.tune.display import Display
from compiler_ai.tune.judges import Judges
from compiler_ai.tune.plan import Plan, Task
from compiler_ai.tune.pool import Died, Parent, Progress, run_all
from compiler_ai.wording import counted
from compiler_ai.work import Context, FunctionWork


class TuneError(AiccError):
    """Nothing can be tuned; the message says what to do."""


@dataclass(frozen=True)
class Settings:
    """What a run was asked for; `functions` empty means the hot set, `budget_s` None means a minute a function on average."""

    project: Path
    options: Options
    budget_s: float | None
    functions: frozenset[str]
    jobs: int
    seed: int


def tune(settings: Settings, console: Console) -> int:
    """Tune every hot function; returns the exit status. Raises AiccError for what the user has to mend."""
    profile = load_profile(settings)
    with alone(settings.project):
        return _tune(settings, profile, console)


def _tune(settings: Settings, profile: Profile, console: Console) -> int:
    recorded = list(units.load_all(str(settings.project)))
    hot_set = hotness.select(profile, settings.project.parent, hotness.Rules(only=settings.functions), recorded)
    console.print(hot_set.coverage, highlight=False, markup=False, soft_wrap=True)
    matched = hotness.match_units(hot_set.functions, recorded)
    plan = planning.make(
        matched.found,
        tuple(settings.options.flags),
        settings.project,
        settings.seed,
    )
    for item in hot_set.left_out:
        if item.function in settings.functions:
            console.print(
                f"  left alone: {item.function}: {item.reason}", highlight=False, markup=False, soft_wrap=True
            )
    left_out = matched.unmatched + plan.left_out
    for hot, reason in left_out:
        line = f"  left alone: {hot.profiled.symbol} ({hot.share:.1%}): {reason}"
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    pairs = [(hot.profiled.symbol, reason) for hot, reason in left_out]
    pairs += [(item.function, item.reason) for item in hot_set.left_out]
    left_alone = dict(reversed(pairs))  # of functions of one name, the hottest counts
    if not plan.tasks:
        raise TuneError("no hot function can be tuned; the lines above say why")
    results = run_tasks(settings, plan, console, left_alone)
    print_table(console, results, profile)
    stays = staying(results, Store(settings.project))
    for line in stays:
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    stored_results.save(settings.project, results, left_alone)
    for reason in model_failures(results):
        console.print(f"  {reason}", highlight=False, markup=False)
        log.write(str(settings.project), f"tune: {reason}")
    accepted = sum(result.rewrite is not None for result in results)
    console.print(closing_line(accepted, len(stays), len(plan.tasks), settings.options.values["isa"]), soft_wrap=True)
    return 0


def closing_line(accepted: int, staying: int, total: int, isa: str) -> str:
    """What came of it, and what to do to have it: a plain build uses nothing that needs more than the unit's -m flags. `staying`
    functions keep an earlier run's rewrite."""
    found = accepted + staying
    faster = f"{found} of {counted(total, 'function')} {'has' if 1 in (found, total) else 'have'} a faster body"
    if not found:
        return f"{faster}: GCC's stay."
    how = "CC=aicc" if isa == "same" else f"CC=aicc AICC_ISA={isa}"
    earlier = f" ({staying} from earlier runs)" if staying else ""
    return f"{faster}{earlier}. Build again with {how} to use {'it' if found == 1 else 'them'}."


def staying(results: Sequence[FunctionResult], store: Store) -> list[str]:
    """What earlier runs have stored for functions in which this one found nothing faster: builds go on using it."""
    kept = {}
    with contextlib.suppress(StoreError):  # 'aicc-tool store verify' says what is wrong with it
        kept = {rewrite.baseline_key: rewrite for rewrite in map(store.load, store.entries())}
    return [
        f"  {result.hot.profiled.symbol}: an earlier run's rewrite ({kept[result.baseline.key].timing.warm.ratio:.2f}x) stays: "
        f"'aicc-tool store drop {result.hot.profiled.symbol}' removes it"
        for result in results
        if result.rewrite is None and result.baseline is not None and result.baseline.key in kept
    ]


def model_failures(results: Sequence[FunctionResult]) -> list[str]:
    """What models could not do, each said once with the number of functions that it concerns."""
    counts = Counter(
        reason
        for result in results
        for reason in {one.reason for one in result.not_proposed if one.stage == MODEL_STAGE}
    )
    return [f"{reason} ({count} of {counted(len(results), 'function')})" for reason, count in counts.items()]


def load_profile(settings: Settings) -> Profile:
    path = Path(settings.options.values["profile"] or settings.project / "profile.json")
    if not path.exists():
        raise TuneError(f"{path} is missing: run 'aicc-tool profile -- COMMAND' first")
    return Profile.load(path)


def run_tasks(settings: Settings, plan: Plan, console: Console, left_alone: Mapping[str, str]) -> list[FunctionResult]:
    """Run the plan's tasks in workers; an interrupt ends them, keeps what they found, with why others were `left_alone`, and is passed on."""
    with tempfile.TemporaryDirectory(prefix="aicc-tune-") as shared:
        spare = max(0, (os.cpu_count() or 1) // min(settings.jobs, len(plan.tasks)) - 1)
        tasks = [replace(task, shared=Path(shared), spare_cores=spare) for task in plan.tasks]
        with hosting(settings.options, cache_directory(), Path(shared)):
            return _run_tasks(settings, tasks, console, left_alone)


def _run_tasks(
    settings: Settings, tasks: list[Task], console: Console, left_alone: Mapping[str, str]
) -> list[FunctionResult]:
    total_s = settings.budget_s or FUNCTION_BUDGET_S * len(tasks) / min(settings.jobs, len(tasks))
    names = [task.hot.profiled.symbol for task in tasks]
    allotment = Allotment([task.hot.share for task in tasks], total_s, settings.jobs)
    results: dict[int, FunctionResult] = {}

    def keep() -> None:
        rest = [name for index, name in enumerate(names) if index not in results]
        with contextlib.suppress(StoreError):  # a full disk: said at the end, when the last results are written
            stored_results.save(settings.project, [results[i] for i in sorted(results)], left_alone, rest)

    keep()
    with Display(console, [task.hot for task in tasks], total_s, settings.jobs) as display:
        for index, answer in run_all(tasks, _in_worker, allotment, settings.jobs, display.progressed):
            display.finished(index, answer)
            if isinstance(answer, Died):
                log.write(str(settings.project), f"tune: {tasks[index].hot.profiled.symbol}: {answer.reason}")
                answer = FunctionResult(tasks[index].hot, tasks[index].baseline, skipped=answer.reason)
            results[index] = answer
            keep()
    return [results[index] for index in sorted(results)]


def _in_worker(task: Task, budget_s: float, parent: Parent) -> FunctionResult:
    """`work_on` with its temporary files, and those of what it starts, where the run's end removes them: a worker may be killed."""
    if task.shared is not None:
        tempfile.tempdir = os.environ["TMPDIR"] = str(task.shared)
    return work_on(task, budget_s, parent.report, pause=parent.pause)


def work_on(
    task: Task,
    budget_s: float,
    report: Callable[[Progress], None],
    extend: Callable[[PassManager], None] = lambda _manager: None,
    pause: Callable[[float], float] | None = None,
) -> FunctionResult:
    """One task, in its worker process; `pause` as in Context. An exception of ours becomes the reason why the function was skipped."""
    parsed, _ = options.parse(list(task.option_flags), {})

    def progress(stage: str, done: int, total: int, best: float) -> None:
        report(Progress(stage, done, total, best))

    work = FunctionWork(
        task.hot, task.baseline, listing_model.parse(task.baseline.listing_text), task.flags, task.captures
    )
    deadline_s = time.monotonic() + budget_s
    context = Context(
        parsed, X86_64, task.project, deadline_s, task.seed, progress, task.shared, task.spare_cores, pause
    )
    try:
        with Judges() as judges:
            tuning(parsed, judges, extend, task.project).run_function(work, context)
    except Exception as error:
        work.skipped = f"{type(error).__name__}: {error}"
        log.write(str(task.project), f"tune: {task.hot.profiled.symbol}: {work.skipped}")
    return work.result()
