"""`aicc-tool tune`."""

from __future__ import annotations

import argparse
import os
import shlex

from compiler_ai.driver import options
from compiler_ai.driver.duration import parse_duration_s
from compiler_ai.driver.options import OptionError
from compiler_ai.models import spec
from compiler_ai.tool.console import opened
from compiler_ai.tool.locate import project_directory
from compiler_ai.tune.session import Settings, tune


def configure(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "Only one tune runs in a project at a time."
    parser.add_argument(
        "--budget", metavar="TIME", help="stop after TIME, such as 10m (default: 60s a function on average)"
    )
    parser.add_argument("--functions", metavar="NAME[,NAME]", help="only these functions, hot or not")
    parser.add_argument(
        "-j", "--jobs", type=int, default=os.cpu_count() or 1, help="functions at a time (default: one a core)"
    )
    parser.add_argument("--isa", choices=["same", "native", "dispatch"], help="same as -faicc-isa=")
    parser.add_argument("--verify", choices=["tested", "bounded", "proved"], help="same as -faicc-verify=")
    parser.add_argument(
        "--plugin", action="append", default=[], metavar="FILE", help="same as -faicc-plugin=; repeatable"
    )
    parser.add_argument(
        "--model",
        action="append",
        default=[],
        metavar="MODEL",
        help="same as -faicc-model=: hf:DIR-OR-ID, gguf:FILE, openai:URL#MODEL or replay:FILE; repeatable",
    )
    parser.add_argument("--anonymise", action="store_true", help="same as -faicc-model-anonymise=yes")
    parser.add_argument("--seed", type=int, default=0, help="seed of every random choice (default: 0)")
    parser.add_argument("flags", nargs="*", default=[], metavar="-faicc-...", help="any of aicc's options, behind --")


def run(arguments: argparse.Namespace) -> int:
    flags = list(arguments.flags)
    flags += [f"-faicc-isa={arguments.isa}"] if arguments.isa else []
    flags += [f"-faicc-verify={arguments.verify}"] if arguments.verify else []
    flags += [f"-faicc-plugin={plugin}" for plugin in arguments.plugin]
    flags += [f"-faicc-model={model}" for model in arguments.model]
    flags += ["-faicc-model-anonymise=yes"] if arguments.anonymise else []
    parsed, rest = options.parse(flags, os.environ)
    for model in parsed.models:
        spec.parse(model)
    if rest:
        raise OptionError(f"tune takes only aicc's own options, not {shlex.join(rest)}")
    budget_s = parse_duration_s(arguments.budget) if arguments.budget else None
    if arguments.budget and budget_s is None:
        raise OptionError(f"--budget: '{arguments.budget}' is not a duration: write 90s, 10m or 1h")
    if arguments.jobs < 1:
        raise OptionError(f"--jobs: {arguments.jobs} is not a positive number")
    settings = Settings(
        project=project_directory(),
        options=parsed,
        budget_s=budget_s,
        functions=frozenset((arguments.functions or "").split(",")) - {""},
        jobs=arguments.jobs,
        seed=arguments.seed,
    )
    return tune(settings, opened())
