"""`aicc-tool bench supercoder`: the published protocol on its dataset format, beside an honest one and an A/A control.

Whole programs are rewritten and judged by their tests, which is no evidence in aicc's sense: nothing of it is stored or used.
"""

from __future__ import annotations

import json
import math
import random
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from rich.console import Console

from compiler_ai.artifacts import Interval
from compiler_ai.bench.dataset import Problem, load, unfenced
from compiler_ai.bench.drawing import requests
from compiler_ai.bench.protocol import Timed, TimingFailure, time_programs
from compiler_ai.bench.table import shown
from compiler_ai.bench.whole import ProgramError, built
from compiler_ai.driver.options import Options
from compiler_ai.errors import AiccError
from compiler_ai.measure.statistics import geometric_mean, median_interval
from compiler_ai.models.base import Message, ModelError, Sampling
from compiler_ai.models.host import HostedModel, hosting
from compiler_ai.program.confined import Jail
from compiler_ai.store.codec import to_json
from compiler_ai.store.trials import cache_directory

CONTROL = "A/A: gcc -O3 itself"
_TOP_P = 0.95
_SEED_STEP = 1000


class SuperCoderError(AiccError):
    """The benchmark cannot be made as asked."""


@dataclass(frozen=True)
class Settings:
    """What was asked for; `most` problems (0: all), `samples` answers each, at least `pairs` timed pairs of each."""

    dataset: Path
    options: Options
    most: int
    samples: int
    pairs: int
    output: Path
    seed: int


@dataclass(frozen=True)
class Attempt:
    """One answer: how far it got ("answer", "screen", "assemble", "link", "test", "time", "timed"), why no further, its times."""

    proposer: str
    problem: int
    sample: int
    stage: str
    reason: str = ""
    copied: bool = False
    timed: Timed | None = None


@dataclass
class Score:
    """A proposer's figures. `published` is the paper's mean of clipped speedups, `honest` the geometric mean of unclipped ones."""

    proposer: str
    problems: int = 0
    built: int = 0
    passed: int = 0
    copied: int = 0
    published: float = 1.0
    honest: Interval | None = None
    faster: int = 0
    slower: int = 0
    ratios: list[float] = field(default_factory=list)


def bench(settings: Settings, console: Console) -> int:
    """Ask, run, print and keep. Raises AiccError for what the user has to mend."""
    problems = load(settings.dataset, settings.most)
    values = settings.options.values
    values["model-record"] = values["model-record"] or str(settings.output / "answers.jsonl")
    answers = _answers(settings, problems, console)
    attempts: list[Attempt] = []
    usable: list[Problem] = []
    with Jail() as jail:
        for problem in problems:
            _say(console, f"running program {problem.number}, {len(usable)} of {len(problems)} done")
            try:
                baseline = built(problem.assembly)
                _check(jail, baseline, problem)
            except (ProgramError, TimingFailure) as error:
                console.print(
                    f"  left out: program {problem.number}: {error}", highlight=False, markup=False, soft_wrap=True
                )
                continue
            usable.append(problem)
            attempts += _attempts(settings, jail, problem, baseline, answers)
    if not usable:
        raise SuperCoderError(f"{settings.dataset}: none of its programs passes its own tests here")
    scores = [score(name, attempts, usable) for name in dict.fromkeys(a.proposer for a in attempts)]
    _keep(settings, attempts, scores)
    _print(console, scores, settings)
    return 0


def _answers(settings: Settings, problems: Sequence[Problem], console: Console) -> dict[str, dict[int, list[str]]]:
    """Model -> problem -> answers, in the order of asking."""
    found: dict[str, dict[int, list[str]]] = {}
    with (
        tempfile.TemporaryDirectory(prefix="aicc-bench-") as shared,
        hosting(settings.options, cache_directory(), Path(shared)),
    ):
        for text in dict.fromkeys(settings.options.models):
            found[text] = {}
            for problem in problems:
                _say(console, f"{text}: program {problem.number} of {len(problems)}")
                try:
                    model = HostedModel(Path(shared), text)
                    found[text][problem.number] = list(_asked(settings, model, problem))
                except ModelError as error:
                    console.print(f"  {error}", highlight=False, markup=False, soft_wrap=True)
                    if not found[text]:
                        break  # it is not there at all
    return found


def _asked(settings: Settings, model: HostedModel, problem: Problem) -> Iterator[str]:
    tokens = int(settings.options.values["model-answer-tokens"] or 2048)
    for one in requests(settings.samples):
        top_p = _TOP_P if one.temperature else 1.0
        seed = settings.seed * _SEED_STEP + one.seed
        asked = [Message("user", problem.question)]
        for answer in model.complete(asked, Sampling(one.temperature, top_p, seed, tokens, one.count)):
            yield answer.text


def _attempts(
    settings: Settings, jail: Jail, problem: Problem, baseline: bytes, answers: dict[str, dict[int, list[str]]]
) -> Iterator[Attempt]:
    for sample in range(settings.samples):
        yield _attempt(
            settings, jail, problem, baseline, Attempt(CONTROL, problem.number, sample, "answer"), problem.assembly
        )
    for model, by_problem in answers.items():
        for sample, text in enumerate(by_problem.get(problem.number, [])):
            begun = Attempt(model, problem.number, sample, "answer")
            yield _attempt(settings, jail, problem, baseline, begun, unfenced(text))


def _attempt(
    settings: Settings, jail: Jail, problem: Problem, baseline: bytes, begun: Attempt, assembly: str
) -> Attempt:
    """What became of one program."""
    copied = begun.proposer != CONTROL and assembly.split() == problem.assembly.split()
    stage = "link"
    try:
        candidate = built(assembly)
        stage = "test"
        _check(jail, candidate, problem)
        stage = "time"
        jail.install({"a": baseline, "b": candidate})
        order = random.Random(f"{settings.seed} {problem.number} {begun.proposer} {begun.sample}")
        timed = time_programs(jail, [given for given, _ in problem.tests], settings.pairs, order)
    except ProgramError as error:
        return replace(begun, stage=error.stage, reason=str(error), copied=copied)
    except TimingFailure as error:
        return replace(begun, stage=stage, reason=str(error), copied=copied)
    return replace(begun, stage="timed", copied=copied, timed=timed)


def _check(jail: Jail, program: bytes, problem: Problem) -> None:
    """Every test's output, byte for byte. Raises TimingFailure."""
    jail.install({"a": program})
    for number, (given, wanted) in enumerate(problem.tests):
        (run,), output = jail.run("a", given)
        if run.status < 0:
            raise TimingFailure(f"test {number}: ended by signal {-run.status}")
        if output != wanted:
            raise TimingFailure(f"test {number}: another output")


def score(proposer: str, attempts: Sequence[Attempt], problems: Sequence[Problem]) -> Score:
    """The figures of one proposer over all problems; of several samples the best, as each way chooses it."""
    own = [attempt for attempt in attempts if attempt.proposer == proposer]
    found = Score(proposer, problems=len(problems))
    published = []
    for problem in problems:
        mine = [attempt for attempt in own if attempt.problem == problem.number]
        timed = [attempt.timed for attempt in mine if attempt.timed is not None]
        found.built += any(attempt.stage in ("test", "time", "timed") for attempt in mine)
        found.passed += bool(timed)
        found.copied += any(attempt.copied for attempt in mine)
        published.append(max([1.0, *(one.published_speedup for one in timed)]))
        if timed:
            interval = _honest(timed)
            found.ratios.append(interval.ratio)
            found.faster += interval.low > 1
            found.slower += interval.high < 1
    found.published = statistics.fmean(published)
    found.honest = geometric_mean(found.ratios) if found.ratios else None
    return found


def _honest(timed: Sequence[Timed]) -> Interval:
    """The median ratio. Of several programs the one that every second pair calls best, by the other pairs."""
    if len(timed) == 1:
        return median_interval(timed[0].ratios)
    best = max(timed, key=lambda one: statistics.median([math.log(ratio) for ratio in one.ratios[::2]]))
    return median_interval(best.ratios[1::2])


def _say(console: Console, text: str) -> None:
    if console.is_terminal:
        console.print(text, highlight=False, markup=False, soft_wrap=True)


def _print(console: Console, scores: Sequence[Score], settings: Settings) -> None:
    tries = "one answer" if settings.samples == 1 else f"the best of {settings.samples} answers"
    line = f"{settings.dataset}: {scores[0].problems} programs, {tries} each"
    console.print(line, highlight=False, markup=False, soft_wrap=True)
    for one in scores:
        lines = [
            one.proposer,
            f"  assembles and links        {one.built} of {one.problems}, GCC's own code in {one.copied}",
            f"  passes its tests           {one.passed} of {one.problems} ({one.passed / one.problems:.1%})",
            f"  speedup as published       {one.published:.3f} (mean, what is below 1 or fails counted as 1)",
            f"  speedup without clipping   {shown(one.honest)} (geometric mean of those that pass, 95 %)",
            f"  faster, slower beyond doubt  {one.faster}, {one.slower}",
        ]
        console.print("\n".join(lines), highlight=False, markup=False, soft_wrap=True)
    control = next(one for one in scores if one.proposer == CONTROL)
    console.print(
        f"The published figure of identical programs was {control.published:.3f} in this run: no other one means more than "
        "by how far it is above that.",
        highlight=False,
        soft_wrap=True,
    )
    console.print(f"Raw times: {settings.output / 'attempts.jsonl'}", highlight=False, markup=False, soft_wrap=True)


def _keep(settings: Settings, attempts: Sequence[Attempt], scores: Sequence[Score]) -> None:
    try:
        settings.output.mkdir(parents=True, exist_ok=True)
        lines = [json.dumps(to_json(attempt), separators=(",", ":")) for attempt in attempts]
        (settings.output / "attempts.jsonl").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        summary = json.dumps([to_json(one) for one in scores], indent=1)
        (settings.output / "scores.json").write_text(summary + "\n", encoding="utf-8")
    except OSError as error:
        raise SuperCoderError(f"{settings.output}: cannot be written: {error.strerror}") from error
