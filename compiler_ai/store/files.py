"""Files that are there whole or not at all, and a lock between processes.

A process may be killed, or the disk may fill up, at any moment: readers see the old contents or the new, never a part.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from compiler_ai.store.errors import StoreError

TEMPORARY_PREFIX = ".new-"


def write_atomically(path: Path, content: bytes) -> None:
    """Put `content` at `path` through a temporary file in the same directory, on disk before it gets its name.

    Raises StoreError, and leaves what was at `path` as it was, when any step fails.
    """
    temporary = ""
    try:
        descriptor, temporary = tempfile.mkstemp(prefix=TEMPORARY_PREFIX, dir=path.parent)
        with open(descriptor, "wb") as file:
            os.fchmod(file.fileno(), 0o666 & ~_umask())
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        temporary = ""
        sync_directory(path.parent)
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        if temporary:
            with contextlib.suppress(OSError):
                os.unlink(temporary)


def sync_directory(directory: Path) -> None:
    """Make renames and removals in `directory` survive a power cut (fsync(2), NOTES)."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the exclusive lock that `path` stands for; the kernel releases it however the holder ends.

    flock(2) locks belong to the open file, so threads exclude each other too. Raises StoreError when it cannot be had.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise StoreError(f"cannot lock {path}: {error.strerror or error}") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError as error:
            raise StoreError(f"cannot lock {path}: {error.strerror or error}") from error
        yield
    finally:
        os.close(descriptor)


def remove_leftovers(directory: Path) -> None:
    """Delete temporary files of writers that were killed; call with the directory's lock held."""
    for path in directory.glob(TEMPORARY_PREFIX + "*"):
        with contextlib.suppress(OSError):
            path.unlink()


def _umask() -> int:
    """The process's umask, read without changing it: other threads may be creating files."""
    try:
        with open("/proc/self/status", encoding="ascii", errors="replace") as file:
            for line in file:
                if line.startswith("Umask:"):
                    return int(line.split()[1], 8)
    except OSError:
        pass
    return 0o022
