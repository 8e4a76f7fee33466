"""Running the assembler on screened text under resource limits; its first error is passed on without what it quotes."""

from __future__ import annotations

import os
import re
import resource
import signal
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from compiler_ai.sandbox.errors import AssembleError


@dataclass(frozen=True)
class Limits:
    """What one run of the assembler may use."""

    cpu_s: int = 20
    wall_s: float = 60.0
    address_space_bytes: int = 2 << 30
    output_bytes: int = 256 << 20


def assemble(text: str, command: Sequence[str], limits: Limits) -> bytes:
    """The object that `command` (`as` and its options, without input and output) makes of `text`. Raises AssembleError."""
    with tempfile.TemporaryDirectory(prefix="aicc-as-") as directory:
        source, output = Path(directory, "unit.s"), Path(directory, "unit.o")
        source.write_text(text, encoding="utf-8", errors="surrogateescape")
        process = _start([*command, "-o", str(output), str(source)], directory, limits)
        try:
            _, errors = process.communicate(timeout=limits.wall_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            raise AssembleError(f"the assembler took more than {limits.wall_s:g} s") from None
        if process.returncode != 0 or not output.exists():
            raise AssembleError(_first_error(errors, process.returncode))
        return output.read_bytes()


def _start(command: Sequence[str], directory: str, limits: Limits) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            command, cwd=directory, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            start_new_session=True, preexec_fn=_limiter(limits),
            env={"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C"},
        )  # fmt: skip
    except OSError as error:
        raise AssembleError(f"the assembler cannot be started: {error.strerror}") from error


def _limiter(limits: Limits) -> Callable[[], None]:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_CPU, (limits.cpu_s, limits.cpu_s + 1))
        resource.setrlimit(resource.RLIMIT_AS, (limits.address_space_bytes, limits.address_space_bytes))
        resource.setrlimit(resource.RLIMIT_FSIZE, (limits.output_bytes, limits.output_bytes))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    return limit


def _first_error(errors: bytes, status: int) -> str:
    text = errors[: 1 << 16].decode("ascii", "replace")
    match = re.search(r":(\d+): (?:Error|Fatal error): ([^\n]{1,160})", text)
    if match:
        message = re.sub(r"[`'\"][^`'\"]*['\"]", "...", match[2])  # what it quotes may come from a file it was made to read
        return f"the assembler says at line {match[1]}: {message}"
    return f"the assembler ended with status {status}" if status >= 0 else f"the assembler was killed by signal {-status}"
