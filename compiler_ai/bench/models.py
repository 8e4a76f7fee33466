"""`aicc-tool bench models`: models and the search proposer on the same functions, answer by answer.

All answers are drawn first and judged afterwards, so that no model computes while bodies are timed. Answers come from the
cache where they were given before, verdicts from the output directory, so an interrupted run goes on where it was.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from compiler_ai.artifacts import Candidate, Trial
from compiler_ai.bench.drawing import Draw, draw_model, draw_search
from compiler_ai.bench.judging import Docket, Judged, judge
from compiler_ai.bench.table import Row, print_rows, rows, stage
from compiler_ai.driver import units
from compiler_ai.driver.host import features
from compiler_ai.driver.options import Options
from compiler_ai.errors import AiccError
from compiler_ai.models.base import ModelError
from compiler_ai.models.host import HostedModel, hosting
from compiler_ai.models.spec import parse
from compiler_ai.profile import hotness
from compiler_ai.profile.model import Profile
from compiler_ai.proposers.base import ProposalContext
from compiler_ai.proposers.language_model import settings_of
from compiler_ai.store.codec import to_json
from compiler_ai.store.digest import digest
from compiler_ai.store.trials import cache_directory
from compiler_ai.toolchains.x86_64 import X86_64
from compiler_ai.tune import plan as planning
from compiler_ai.tune.allotment import Fixed
from compiler_ai.tune.features import unit_features
from compiler_ai.tune.plan import Plan, Task
from compiler_ai.tune.pool import Died, Progress, run_all

_FUNCTIONS_AT_ONCE = 3
_SEARCH_S = 600.0  # for the search proposer's compilations, a function
_JUDGE_S = 3600.0  # a bound on what cannot end by itself; verdicts depend on counted work


class BenchError(AiccError):
    """The benchmark cannot be made as asked."""


@dataclass(frozen=True)
class Settings:
    """What was asked for; `functions` empty means the hot set."""

    project: Path
    options: Options
    functions: frozenset[str]
    samples: int
    output: Path
    jobs: int
    seed: int
    search: bool


def bench(settings: Settings, console: Console) -> int:
    """Draw, judge, print and keep. Raises AiccError for what the user has to mend."""
    values = settings.options.values
    values["model-record"] = values["model-record"] or str(settings.output / "answers.jsonl")
    plan = _plan(settings)
    for hot, reason in plan.left_out:
        console.print(f"  left out: {hot.profiled.symbol}: {reason}", highlight=False, markup=False, soft_wrap=True)
    if not plan.tasks:
        raise BenchError("no function can be rewritten; the lines above say why, or profile first")
    _prepare(settings.output)
    with tempfile.TemporaryDirectory(prefix="aicc-bench-") as shared:
        tasks = [replace(task, shared=Path(shared)) for task in plan.tasks]
        draws = list(_drawn(settings, tasks, Path(shared), console))
        judged = _judged(settings, tasks, draws, console)
    found = {
        (name, trial.digest): trial for name, one in zip(_names(tasks), judged, strict=True) for trial in one.trials
    }
    table = rows(draws, found, settings.samples)
    _keep(settings, draws, found, judged, tasks, table)
    print_rows(console, table)
    for name, one in zip(_names(tasks), judged, strict=True):
        if one.skipped:
            console.print(f"  not judged: {name}: {one.skipped}", highlight=False, markup=False, soft_wrap=True)
    for reason in dict.fromkeys(draw.failure for draw in draws if draw.failure):
        console.print(f"  {reason}", highlight=False, markup=False, soft_wrap=True)
    said = [f"Raw trials: {settings.output / 'trials.jsonl'}"]
    said += [f"the answers, for replay: {values['model-record']}"] if Path(values["model-record"]).exists() else []
    console.print("; ".join(said), highlight=False, markup=False, soft_wrap=True)
    return 0


def _names(tasks: Sequence[Task]) -> list[str]:
    """The functions' names, with the unit's where two have the same."""
    plain = [task.baseline.function for task in tasks]
    return [
        f"{name} ({task.baseline.command.source})" if plain.count(name) > 1 else name
        for name, task in zip(plain, tasks, strict=True)
    ]


def _prepare(output: Path) -> None:
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BenchError(f"{output} cannot be made: {error.strerror}; name another with --output") from error


def _plan(settings: Settings) -> Plan:
    path = Path(settings.options.values["profile"] or settings.project / "profile.json")
    if not path.exists():
        raise BenchError(f"{path} is missing: run 'aicc-tool profile -- COMMAND' first")
    rules = hotness.Rules(only=settings.functions)
    recorded = list(units.load_all(str(settings.project)))
    hot_set = hotness.select(Profile.load(path), settings.project.parent, rules, recorded)
    matched = hotness.match_units(hot_set.functions, recorded)
    made = planning.make(matched.found, tuple(settings.options.flags), settings.project, settings.seed)
    made.left_out = matched.unmatched + made.left_out
    return made


def _drawn(settings: Settings, tasks: Sequence[Task], shared: Path, console: Console) -> Iterator[Draw]:
    """Every answer of every model, and what the search offers."""
    asked = replace(settings_of(settings.options), samples=settings.samples)
    named = list(zip(_names(tasks), tasks, strict=True))
    with hosting(settings.options, cache_directory(), shared):
        for text in dict.fromkeys(settings.options.models):
            try:
                model = HostedModel(shared, text)
            except ModelError as error:
                yield Draw(text, named[0][0], 1, failure=str(error))
                continue

            def drawn(number: int, text: str = text, model: HostedModel = model) -> list[Draw]:
                name, task = named[number]
                _say(console, f"{text}: {name} ({number + 1} of {len(tasks)})")
                draws = draw_model(model, asked, settings.project, task.baseline, _context(settings, task))
                return [replace(draw, function=name) for draw in draws]

            # A server keeps the beginning of one prompt; a model in this machine's process reads those of several at once.
            with ThreadPoolExecutor(_FUNCTIONS_AT_ONCE if parse(text).in_process else 1) as pool:
                for draws in pool.map(drawn, range(len(named))):
                    yield from draws
    if settings.search:
        for number, (name, task) in enumerate(named):
            _say(console, f"search: {name} ({number + 1} of {len(tasks)})")
            draws = draw_search(task.baseline, _context(settings, task), settings.samples)
            yield from (replace(draw, function=name) for draw in draws)


def _context(settings: Settings, task: Task) -> ProposalContext:
    return ProposalContext(
        toolchain=X86_64,
        isa=settings.options.values["isa"],  # type: ignore[arg-type]  # options.parse allows only these
        host_features=features(X86_64),
        unit_features=unit_features(task.baseline.command, X86_64),
        samples=task.hot.profiled.samples,
        budget_s=_SEARCH_S,
        shared=task.shared,
        spare_cores=max(0, (os.cpu_count() or 1) - 1),
        seed=settings.seed,
    )


def _judged(settings: Settings, tasks: Sequence[Task], draws: Sequence[Draw], console: Console) -> list[Judged]:
    names = _names(tasks)
    verdicts = settings.output / "verdicts"
    dockets = [Docket(task, _bodies(draws, name), verdicts) for name, task in zip(names, tasks, strict=True)]
    found: dict[int, Judged] = {}

    def progressed(index: int, progress: Progress) -> None:
        if progress.done == 0:
            _say(console, f"judging {names[index]}: {progress.stage}, {progress.total} bodies")

    for index, answer in run_all(dockets, judge, Fixed(_JUDGE_S), settings.jobs, progressed):
        found[index] = Judged((), answer.reason) if isinstance(answer, Died) else answer
    return [found[index] for index in sorted(found)]


def _bodies(draws: Sequence[Draw], function: str) -> tuple[Candidate, ...]:
    """What was drawn for one function, each body once: the same one costs nothing a second time."""
    own = [one for draw in draws if draw.function == function for one in draw.candidates]
    return tuple({digest(one): one for one in reversed(own)}.values())[::-1]


def _say(console: Console, text: str) -> None:
    """Progress, for a person who waits; nothing in a file."""
    if console.is_terminal:
        console.print(text, highlight=False, markup=False, soft_wrap=True)


def _keep(
    settings: Settings,
    draws: Sequence[Draw],
    found: dict[tuple[str, str], Trial],
    judged: Sequence[Judged],
    tasks: Sequence[Task],
    table: Sequence[Row],
) -> None:
    """`trials.jsonl`: one line an answer, its bodies' trials with it. `table.json`: the rows and what was not judged."""
    lines = []
    for draw in draws:
        trials = [found.get((draw.function, digest(candidate))) for candidate in draw.candidates]
        value = {**_plain(draw), "stage": stage(draw, found), "trials": [to_json(trial) for trial in trials]}
        lines.append(json.dumps(value, sort_keys=True))
    skipped = {name: one.skipped for name, one in zip(_names(tasks), judged, strict=True) if one.skipped}
    summary = {"rows": [to_json(row) for row in table], "not judged": skipped, "seed": settings.seed}
    try:
        (settings.output / "trials.jsonl").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        (settings.output / "table.json").write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise BenchError(f"{settings.output}: cannot be written: {error.strerror}") from error


def _plain(draw: Draw) -> dict[str, object]:
    """A draw without its bodies, which are in its trials."""
    value = to_json(replace(draw, candidates=()))
    assert isinstance(value, dict)
    del value["candidates"]
    return dict(value)
