"""Builds small programs and runs them with and without tracing; everything but the timing has to be the same."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from compiler_ai.profile.symbols import ModuleSymbols

_RECORD = """
import json, sys
from pathlib import Path
from compiler_ai.capture.modules import Target
from compiler_ai.capture.tracer import Limits, record
out, options, targets, *command = sys.argv[1:]
targets = [Target(*target) for target in json.loads(targets)]
summary = record(command, targets, lambda target: Path(out), Limits(**json.loads(options)))
found = {
    target.symbol: {"files": [str(path) for path in f.files], "taken": f.taken, "impure": f.impure, "reasons": f.reasons}
    for target, f in summary.functions.items()
}
print("\\nSUMMARY " + json.dumps({"status": summary.status, "bytes": summary.bytes_written, "functions": found}), file=sys.stderr)
"""


@dataclass(frozen=True)
class Traced:
    """What a traced command wrote and how it ended, and what was captured of each function."""

    status: int
    stdout: bytes
    functions: dict[str, dict]
    size_bytes: int


def build(source: Path, directory: Path, *flags: str, name: str = "program") -> Path:
    program = directory / name
    subprocess.run(["gcc", "-O2", "-o", str(program), str(source), *flags], check=True)
    return program


def target(module: Path, symbol: str) -> list:
    return [str(module), symbol, ModuleSymbols(str(module)).named(symbol)[0].address]


def start(command: list[str], targets: list[list], out: Path, **limits: object) -> subprocess.Popen:
    words = [sys.executable, "-c", _RECORD, str(out), json.dumps(limits), json.dumps(targets), *command]
    pipe = subprocess.PIPE
    return subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, start_new_session=True)


def finish(process: subprocess.Popen, timeout_s: float = 90) -> Traced:
    stdout, stderr = process.communicate(timeout=timeout_s)
    lines = [line for line in stderr.decode(errors="replace").splitlines() if line.startswith("SUMMARY ")]
    assert lines, stderr.decode(errors="replace")
    summary = json.loads(lines[-1].removeprefix("SUMMARY "))
    return Traced(summary["status"], stdout, summary["functions"], summary["bytes"])


def trace(command: list[str], targets: list[list], out: Path, **limits: object) -> Traced:
    return finish(start(command, targets, out, **limits))


def plain(command: list[str]) -> tuple[int, bytes]:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=90, check=False)
    return done.returncode, done.stdout
