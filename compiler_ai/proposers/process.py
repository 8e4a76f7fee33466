"""Running a compiler as a bounded child: own process group, time, memory and file-size limits."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Limits:
    """Bounds of one child and its children."""

    wall_s: float = 60.0
    memory_bytes: int = 4 << 30
    file_bytes: int = 256 << 20


@dataclass(frozen=True)
class Completed:
    """What a child left: `status` is its exit status, None when it ran out of time."""

    status: int | None
    output: str
    errors: str

    @property
    def first_error(self) -> str:
        """The first line of `errors` that says what went wrong."""
        lines = [line.strip() for line in self.errors.splitlines() if line.strip()]
        return next(
            (line for line in lines if "error" in line.lower()), lines[0] if lines else f"exit status {self.status}"
        )


def run(
    words: Sequence[str],
    directory: str | Path,
    environment: Mapping[str, str],
    limits: Limits,
    on_start: Callable[[int], None] = lambda _pid: None,
) -> Completed:
    """Run `words` and wait; `on_start` gets the child's process group. Raises OSError when the program cannot be started."""
    child = subprocess.Popen(
        list(words),
        cwd=directory,
        env={**os.environ, **environment, "LC_ALL": "C"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    _limit(child.pid, limits)
    on_start(child.pid)
    try:
        output, errors = child.communicate(timeout=limits.wall_s)
    except subprocess.TimeoutExpired:
        _kill_group(child)
        return Completed(None, "", f"no result within {limits.wall_s:g} s")
    except BaseException:
        _kill_group(child)
        raise
    return Completed(child.returncode, output, errors)


def _limit(pid: int, limits: Limits) -> None:
    cpu_s = int(limits.wall_s) + 1
    try:
        resource.prlimit(pid, resource.RLIMIT_AS, (limits.memory_bytes, limits.memory_bytes))
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (limits.file_bytes, limits.file_bytes))
        resource.prlimit(pid, resource.RLIMIT_CPU, (cpu_s, cpu_s))
        resource.prlimit(pid, resource.RLIMIT_CORE, (0, 0))
    except ProcessLookupError:
        pass  # it has ended already


def kill_group(group: int) -> None:
    """End every process of a group that `run` reported."""
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        pass


def _kill_group(child: subprocess.Popen[str]) -> None:
    kill_group(child.pid)
    child.communicate()
