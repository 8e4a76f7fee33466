"""Opening the project's own files: what is no regular file (a FIFO, a device) could keep a compile waiting for ever. On the compile path."""

from __future__ import annotations

import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

_INVALID = 22  # EINVAL, whose module need not be loaded for this


def opener(path: str, flags: int) -> int:
    """For `open`: a descriptor of a regular file. Raises OSError for anything else."""
    descriptor = os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(_INVALID, "not a regular file", path)
    return descriptor


def read_bytes(path: Path) -> bytes:
    """All of a regular file. Raises OSError."""
    with open(path, "rb", opener=opener) as file:
        return file.read()
