"""One tuning a project at a time: of two, the results would be mixed."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from compiler_ai.errors import AiccError


class BusyError(AiccError):
    """Another tuning is running in the project."""


@contextlib.contextmanager
def alone(project: Path) -> Iterator[None]:
    """Hold the project's lock. Raises BusyError when another process has it, OSError when there can be none.

    It belongs to this process alone (workers are spawned, and close-on-exec takes the descriptor from them), so the kernel
    lets go of it when this process ends, in whatever way. The number in the file says who holds it.
    """
    descriptor = os.open(project / "tune.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 20, 0).decode(errors="replace").strip()
            pid = f" (pid {holder})" if holder.isdecimal() else ""
            raise BusyError(f"another tune is running in this project{pid}") from None
        with contextlib.suppress(OSError):  # a full disk: nothing but the number is missing
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)
