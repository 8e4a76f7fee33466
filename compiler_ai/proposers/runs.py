"""Running compilers for one unit: in its directory and environment, each run bounded, all of them stoppable from another thread."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from compiler_ai.artifacts import CompileCommand
from compiler_ai.proposers import isa, process


class RecompileError(Exception):
    """The unit cannot be compiled under a configuration; the message is one line, the compiler's own where there is one."""


class TimeoutRecompileError(RecompileError):
    """The compiler did not end in the time it was given."""


class CompilerRuns:
    """Remembers predefined macros; no run takes longer than `timeout_s`."""

    def __init__(self, command: CompileCommand, timeout_s: float) -> None:
        self._directory = command.directory
        self._environment = {**dict(command.environment), "AICC_ACTIVE": "1"}
        self._timeout_s = self._remaining_s = timeout_s
        self._macros: dict[tuple[str, ...], dict[str, str]] = {}
        self._lock = threading.Lock()
        self._child = 0  # the process group of the run at work
        self._cancelled = False

    def limit(self, seconds: float) -> None:
        """No run may take longer than `seconds` from now on (and never longer than the timeout)."""
        self._remaining_s = max(1.0, min(self._timeout_s, seconds))

    def cancel(self) -> None:
        """Called from another thread: the run at work ends at once, and no other begins."""
        with self._lock:
            self._cancelled = True
            if self._child:
                process.kill_group(self._child)

    def to(self, out: Path, words: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        """A run that writes the file `out`. Raises RecompileError."""
        self._execute(words, environment or {})
        if not out.exists():
            raise RecompileError(f"{Path(words[0]).name} wrote nothing")

    def macros(self, words: tuple[str, ...]) -> dict[str, str]:
        """The predefined macros that a run with -dM -E prints. Raises RecompileError."""
        if words not in self._macros:
            self._macros[words] = isa.parse_macros(self._execute(words, {}).output)
        return self._macros[words]

    def _execute(self, words: Sequence[str], environment: Mapping[str, str]) -> process.Completed:
        limits = process.Limits(wall_s=self._remaining_s)
        try:
            environment = {**self._environment, **environment}
            completed = process.run(words, self._directory, environment, limits, self._started)
        except OSError as error:
            raise RecompileError(f"{words[0]} cannot be run: {error}") from error
        finally:
            with self._lock:
                self._child = 0
        if self._cancelled:
            raise TimeoutRecompileError("it is not wanted any more")
        if completed.status is None:
            raise TimeoutRecompileError(f"{Path(words[0]).name}: {completed.first_error}")
        if completed.status != 0:
            raise RecompileError(f"{Path(words[0]).name}: {completed.first_error}")
        return completed

    def _started(self, group: int) -> None:
        with self._lock:
            self._child = group
            if self._cancelled:
                process.kill_group(group)
