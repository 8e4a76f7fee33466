"""`aicc-tool bench`: what proposers are worth, measured."""

from __future__ import annotations

import argparse
import os
import shlex
from pathlib import Path

from compiler_ai.driver import options
from compiler_ai.driver.options import OptionError, Options
from compiler_ai.models import spec
from compiler_ai.tool.console import opened
from compiler_ai.tool.locate import project_directory


def configure(parser: argparse.ArgumentParser) -> None:
    kinds = parser.add_subparsers(dest="kind", metavar="BENCHMARK", required=True)
    text = "how far the answers of models and the search proposer's bodies get on this project's functions"
    models = kinds.add_parser("models", help=text, description=text[0].upper() + text[1:] + ".")
    models.add_argument("--functions", metavar="NAME[,NAME]", help="only these functions, hot or not")
    models.add_argument("--samples", type=int, default=4, help="answers a function: 1, 4 or 16 (default: 4)")
    models.add_argument("--output", type=Path, metavar="DIR", help="for raw trials and verdicts (.aicc/bench-models)")
    models.add_argument("--no-search", action="store_true", help="leave the search proposer out")
    models.add_argument("-j", "--jobs", type=int, default=1, help="functions that are judged at a time (default: 1)")
    _add_common(models)
    text = "whole programs by the published protocol of SuperCoder, beside an honest one and an A/A control"
    whole = kinds.add_parser("supercoder", help=text, description=text[0].upper() + text[1:] + ".")
    whole.add_argument("dataset", type=Path, metavar="DATASET.parquet", help="a dataset in that format")
    whole.add_argument("--most", type=int, default=0, metavar="N", help="only its first N programs")
    whole.add_argument(
        "--samples", type=int, default=1, help="answers a program, the best of which counts (default: 1)"
    )
    whole.add_argument("--pairs", type=int, default=30, help="timed pairs of each program at least (default: 30)")
    whole.add_argument("--output", type=Path, default=Path("bench-supercoder"), metavar="DIR", help="for raw times")
    _add_common(whole)


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model", action="append", default=[], metavar="MODEL", help="as of 'aicc-tool tune'; repeatable"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of every random choice (default: 0)")
    parser.add_argument("flags", nargs="*", default=[], metavar="-faicc-...", help="any of aicc's options, behind --")


def run(arguments: argparse.Namespace) -> int:
    return _supercoder(arguments) if arguments.kind == "supercoder" else _models(arguments)


def _options(arguments: argparse.Namespace) -> Options:
    flags = [*arguments.flags, *(f"-faicc-model={model}" for model in arguments.model)]
    parsed, rest = options.parse(flags, os.environ)
    for model in parsed.models:
        spec.parse(model)
    if rest:
        raise OptionError(f"bench takes only aicc's own options, not {shlex.join(rest)}")
    return parsed


def _models(arguments: argparse.Namespace) -> int:
    from compiler_ai.bench.drawing import LEVELS
    from compiler_ai.bench.models import Settings, bench

    parsed = _options(arguments)
    if arguments.samples not in LEVELS:
        raise OptionError(f"--samples: {arguments.samples} is none of {', '.join(map(str, LEVELS))}")
    if arguments.jobs < 1:
        raise OptionError(f"--jobs: {arguments.jobs} is not a positive number")
    if arguments.no_search and not parsed.models:
        raise OptionError("--no-search without --model leaves nothing to compare")
    project = project_directory()
    settings = Settings(
        project=project,
        options=parsed,
        functions=frozenset((arguments.functions or "").split(",")) - {""},
        samples=arguments.samples,
        output=arguments.output or project / "bench-models",
        jobs=arguments.jobs,
        seed=arguments.seed,
        search=not arguments.no_search,
    )
    return bench(settings, opened())


def _supercoder(arguments: argparse.Namespace) -> int:
    from compiler_ai.bench.supercoder import Settings, bench

    if arguments.samples < 1 or arguments.most < 0 or arguments.pairs < 1:
        raise OptionError("--samples and --pairs take positive numbers, --most none below 0")
    settings = Settings(
        dataset=arguments.dataset,
        options=_options(arguments),
        most=arguments.most,
        samples=arguments.samples,
        pairs=arguments.pairs,
        output=arguments.output,
        seed=arguments.seed,
    )
    return bench(settings, opened())
