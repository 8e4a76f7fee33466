"""Runs GNU as on untrusted text under resource limits; what it says about the text is not passed on."""

from __future__ import annotations

import os
import re
import resource
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from compiler_ai.sandbox.errors import AssembleError

# Bombs of nested .rept write messages without end: only the beginning is read, the rest is dropped by FSIZE.
_MESSAGE_BYTES = 1 << 16
_MESSAGE = re.compile(r"^[^\n:]*:(\d+): (?:Fatal error|Error): ([A-Za-z][A-Za-z ,'-]{0,60})", re.MULTILINE)


@dataclass(frozen=True)
class Limits:
    """What one assembler may use: CPU and wall time in s, address space and file size in bytes, open files."""

    cpu_s: int = 10
    wall_s: float = 30.0
    memory_bytes: int = 1 << 30
    file_bytes: int = 64 << 20
    files: int = 16


def assemble(text: str, command: Sequence[str], limits: Limits | None = None) -> bytes:
    """The object that ``command`` (an assembler and its options, without input and output) makes of ``text``.

    It runs in a private temporary directory with an empty standard input and no environment but PATH. Raises
    AssembleError with the line number and the first words of the first message (quoted text and file names left out), or
    with the limit that was hit.
    """
    bounds = limits or Limits()
    with tempfile.TemporaryDirectory(prefix="aicc-as-") as directory:
        source, output, messages = (Path(directory) / name for name in ("unit.s", "unit.o", "messages"))
        source.write_text(text, encoding="utf-8", errors="surrogateescape")
        status = _run([*command, "-o", str(output), str(source)], Path(directory), messages, bounds)
        if status == 0 and output.is_file():
            return output.read_bytes()
        with messages.open("rb") as file:
            said = file.read(_MESSAGE_BYTES).decode("ascii", "replace")
        raise AssembleError(_reason(status, said))


def _run(command: list[str], directory: Path, messages: Path, limits: Limits) -> int:
    """The exit status, negative for a signal; the whole process group is gone afterwards."""

    def confine() -> None:
        for limit, value in (
            (resource.RLIMIT_CPU, limits.cpu_s),
            (resource.RLIMIT_AS, limits.memory_bytes),
            (resource.RLIMIT_FSIZE, limits.file_bytes),
            (resource.RLIMIT_NOFILE, limits.files),
            (resource.RLIMIT_CORE, 0),
        ):
            resource.setrlimit(limit, (value, value))

    environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TMPDIR": str(directory)}
    try:
        with messages.open("wb") as said:
            process = subprocess.Popen(
                command, cwd=directory, env=environment, stdin=subprocess.DEVNULL, stdout=said, stderr=said,
                start_new_session=True, preexec_fn=confine,
            )  # fmt: skip
    except (OSError, subprocess.SubprocessError) as error:
        raise AssembleError(f"cannot start the assembler: {type(error).__name__}") from error
    try:
        return process.wait(limits.wall_s)
    except subprocess.TimeoutExpired:
        raise AssembleError(f"the assembler took more than {limits.wall_s:g} s") from None
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _reason(status: int, said: str) -> str:
    if status in (-signal.SIGXCPU, -signal.SIGKILL):
        return "the assembler ran out of CPU time"
    if status == -signal.SIGXFSZ:
        return "the assembler's output is too large"
    if "memory exhausted" in said or "out of memory" in said or "virtual memory" in said:
        return "the assembler ran out of memory"
    if status < 0:
        return f"the assembler was ended by signal {-status}"
    if found := _MESSAGE.search(said):
        return f"line {found[1]}: {found[2].split(' `')[0].strip()}"
    return f"the assembler ended with status {status}"
