"""Hostile programs, run: each in a process without network, files, other processes or time (confined.c, beside this).

Nothing is run where the machine does not permit it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from compiler_ai.errors import AiccError
from compiler_ai.store.trials import cache_directory

_SOURCE = Path(__file__).with_name("confined.c")
_LIBRARIES = ("libc.so.6", "libm.so.6")
_LINKER = "ld-linux-x86-64.so.2"
_FOUND_BY_LINKER = "lib/x86_64-linux-gnu"
_GRACE_S = 60.0
_SETUP_FAILED = 120


class ConfineError(AiccError):
    """Programs cannot be confined here; the message is one line."""


@dataclass(frozen=True)
class Bounds:
    """What one run of a program may take."""

    cpu_s: int = 10
    wall_s: float = 120.0
    memory_bytes: int = 1 << 30
    output_bytes: int = 1 << 24


@dataclass(frozen=True)
class Run:
    """How one run ended: exit status (negative: the signal that ended it), and its wall time."""

    status: int
    wall_ns: int


class Jail:
    """A directory with programs and the C library, and nothing else that they could see. A context manager."""

    def __init__(self, bounds: Bounds | None = None, compiler: str = "gcc") -> None:
        """Raises ConfineError."""
        self._bounds = bounds or Bounds()
        self._helper = _helper(compiler)
        self._scratch = Path(tempfile.mkdtemp(prefix="aicc-jail-"))
        self._root = self._scratch / "jail"
        try:
            _furnish(self._root, compiler)
        except OSError as error:
            raise ConfineError(f"no jail can be made: {error}") from error

    def __enter__(self) -> Jail:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        shutil.rmtree(self._scratch, ignore_errors=True)

    def install(self, programs: Mapping[str, bytes]) -> None:
        """Put executables under small letters; those of before are overwritten."""
        for name, content in programs.items():
            assert len(name) == 1
            assert name.islower()
            path = self._root / name
            path.write_bytes(content)
            path.chmod(0o555)

    def run(self, order: str, given: bytes) -> tuple[list[Run], bytes]:
        """Run programs one after the other on the same input; see confined.c for `order`. The last small letter's output.

        Raises ConfineError when the machine does not permit it.
        """
        bounds = self._bounds
        with tempfile.TemporaryFile() as source, tempfile.TemporaryFile() as output:
            source.write(given)
            source.flush()
            words = [
                str(self._helper), str(self._root), order, str(bounds.cpu_s), str(bounds.memory_bytes),
                str(bounds.output_bytes), str(int(1000 * bounds.wall_s)), str(output.fileno()),
            ]  # fmt: skip
            limit_s = _GRACE_S + len(order) * bounds.wall_s
            try:
                done = subprocess.run(
                    words, stdin=source, capture_output=True, pass_fds=[output.fileno()], timeout=limit_s, check=False
                )
            except (OSError, subprocess.TimeoutExpired) as error:
                raise ConfineError(f"no program can be run: {error}") from error
            if done.returncode != 0:
                said = done.stderr.decode(errors="replace").strip() or f"status {done.returncode}"
                raise ConfineError(f"programs cannot be confined here: {said}")
            output.seek(0)
            written = output.read()
        pairs = [line.split() for line in done.stdout.decode().splitlines()]
        return [Run(os.waitstatus_to_exitcode(int(status)), int(wall)) for status, wall in pairs], written


def _furnish(root: Path, compiler: str) -> None:
    """The C library and its linker, copied: nothing of the machine's own is visible inside. Raises OSError, ConfineError."""
    for name in (*_LIBRARIES, _LINKER):
        words = [compiler, f"-print-file-name={name}"]
        found = Path(subprocess.run(words, capture_output=True, text=True, check=False).stdout.strip())
        if not found.is_absolute():
            raise ConfineError(f"{compiler} has no {name}")
        target = root / ("lib64" if name == _LINKER else _FOUND_BY_LINKER) / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(found.resolve(), target)
        target.chmod(0o555)
    root.chmod(0o755)


def _helper(compiler: str) -> Path:
    """The helper's executable, compiled at first use. Raises ConfineError."""
    source = _SOURCE.read_bytes()
    name = hashlib.sha256(source + compiler.encode()).hexdigest()[:24]
    target = cache_directory() / "runtime" / f"confined-{name}"
    if target.exists():
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
            built = Path(scratch, "confined")
            words = [compiler, "-O2", "-o", str(built), str(_SOURCE)]
            done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
            if done.returncode != 0:
                raise ConfineError(f"the helper that confines programs does not compile: {done.stderr.strip()[:300]}")
            built.rename(target)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConfineError(f"the helper that confines programs cannot be made: {error}") from error
    return target
