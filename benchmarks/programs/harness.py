"""One program on the whole way: fetched, built by its own build system with aicc, profiled, tuned, built again, compared."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

import inputs
from sources import Archive

from compiler_ai.artifacts import FunctionResult
from compiler_ai.report import results as stored_results

HERE = Path(__file__).resolve().parent


class StepError(Exception):
    """A step of one program failed; the message says which, and where its output is."""


@dataclass(frozen=True)
class Program:
    """An entry of programs.toml, which explains the fields."""

    name: str
    source: str
    build: str
    clean: str
    workload: str
    tests: str
    directory: str = "."
    configure: str = ""
    inputs: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """What became of one program. `gain` is check's answer (ratio, low, high), None when no function was rewritten."""

    version: str
    functions: list[FunctionResult]
    gain: tuple[float, float, float] | None
    tests_before: int
    tests_after: int | None


def load(path: Path) -> list[Program]:
    """The programs described in `path`. Raises StepError."""
    try:
        return [Program(name, **entry) for name, entry in tomllib.loads(path.read_text(encoding="utf-8")).items()]
    except (OSError, ValueError, TypeError) as error:
        raise StepError(f"{path}: {error}") from error


class Bench:
    """One program's directory below the results, with a log file a step."""

    def __init__(self, program: Program, results: Path, flags: list[str]) -> None:
        self._program = program
        self._results = results
        self._home = results / program.name
        self._flags = flags
        self._directory = self._home / "source" / program.directory

    def run(self, archive: Archive, budget: str) -> Outcome:
        """The whole way. Raises StepError, SourceError."""
        program = self._program
        version = self._unpack(archive)
        if not (self._directory / ".aicc").exists():
            self._step("init", "aicc-tool init")
            self._step("configure", program.configure or ":")
        self._step("build", f"{program.clean} && {program.build}")
        tests_before = self._step("tests-before", program.tests, may_fail=True)
        self.profile([])
        status = self._step("tune", " ".join(["aicc-tool tune -j1 --budget", budget, *self._flags]), may_fail=True)
        functions = stored_results.load(self._directory / ".aicc") if status == 0 else []
        self._step("rebuild", f"{program.clean} && {program.build}")
        if not any(result.rewrite for result in functions):
            return Outcome(version, functions, None, tests_before, None)
        tests_after = self._step("tests-after", program.tests, may_fail=True)
        figures = self._home / "check.json"
        self._step("check", self._tool("check", ["--json", str(figures)], program.workload))
        cpu = json.loads(figures.read_text())["cpu"]
        return Outcome(version, functions, (cpu["ratio"], cpu["low"], cpu["high"]), tests_before, tests_after)

    def build(self, archive: Archive) -> None:
        """Fetch and build within a project that is there. Raises StepError, SourceError."""
        self._unpack(archive)
        self._step("configure", self._program.configure or ":")
        self._step("build", f"{self._program.clean} && {self._program.build}")

    def profile(self, options: list[str]) -> None:
        """Profile the workload. Raises StepError."""
        self._step("profile", self._tool("profile", options, self._program.workload) + " >/dev/null")

    def _unpack(self, archive: Archive) -> str:
        """The source as Debian has it, once; what was built and tuned there already goes on from there."""
        note = self._home / "version"
        if not note.exists():
            self._home.mkdir(parents=True, exist_ok=True)
            archive.prepare()
            version = archive.fetch(self._program.source, self._home / "source")
            note.write_text(version + "\n")
        return note.read_text().strip()

    def _tool(self, command: str, options: list[str], workload: str) -> str:
        script = self._home / "workload.sh"
        script.write_text(f"set -e\n{workload.strip()}\n")
        return " ".join(["aicc-tool", command, *options, "-- sh", str(script)])

    def _step(self, name: str, command: str, may_fail: bool = False) -> int:
        """Run one shell command; its output goes to a file. Returns the exit status."""
        log = self._home / f"{name}.log"
        print(f"  {self._program.name}: {name}", flush=True)
        with log.open("w") as out:
            out.write(f"$ {command}\n")
            out.flush()
            done = subprocess.run(
                ["sh", "-ec", command],
                cwd=self._directory,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                check=False,
            )
        if done.returncode != 0 and not may_fail:
            raise StepError(f"{name} failed with exit status {done.returncode}; its output is in {log}")
        return done.returncode

    def _environment(self) -> dict[str, str]:
        named = {
            kind.upper(): str(inputs.write(self._results / "inputs", kind, size_kb * 1000))
            for kind, size_kb in self._program.inputs.items()
        }
        # What was given to the make that runs this is no program's: `PROGRAMS=expat` means another thing to automake.
        own = {
            name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MFLAGS", "MAKEOVERRIDES")
        }
        return {**own, **named, "HERE": str(HERE), "COLUMNS": "160", "LC_ALL": "C"}

    def forget(self) -> None:
        """Remove all that an earlier run left of this program."""
        shutil.rmtree(self._home, ignore_errors=True)
