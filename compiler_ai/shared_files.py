"""What the workers of one tuning run have made, kept on disk: a unit with several hot functions is compiled once each way."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class SharedFiles:
    """Files by key in one directory, written and read by workers at the same time: one appears whole or not at all."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def read(self, key: object) -> bytes | None:
        """What is kept under `key`, or None."""
        try:
            return self._path(key).read_bytes()
        except OSError:
            return None

    def write(self, key: object, content: bytes) -> None:
        """Keep it; a full disk only means that the next worker makes it again."""
        path = self._path(key)
        temporary = path.with_suffix(f".{os.getpid()}")
        try:
            temporary.write_bytes(content)
            temporary.replace(path)
        except OSError:
            temporary.unlink(missing_ok=True)

    @contextmanager
    def claimed(self, key: object) -> Iterator[None]:
        """Only one worker at a time makes what `key` names; the others wait for it, and then read it."""
        try:
            file = self._path(key).with_suffix(".lock").open("wb")
        except OSError:
            yield  # a full disk only costs the claim
            return
        with file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _path(self, key: object) -> Path:
        return self._directory / f"{hashlib.sha256(repr(key).encode(errors='surrogateescape')).hexdigest()}.kept"
