"""Whether any of some files is opened, be it to be executed, mapped or read, by whatever process (inotify(7))."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType

_IN_OPEN = 0x20
_EVENT_BYTES = 16 + 256


class Watch:
    """Watches files while it is entered. Where they cannot be watched, `any_opened` says that one was."""

    def __init__(self, paths: Iterable[Path]) -> None:
        self._paths = list(paths)
        self._fd = -1

    def __enter__(self) -> Watch:
        libc = ctypes.CDLL(None, use_errno=True)
        self._fd = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        watched = [libc.inotify_add_watch(self._fd, os.fsencode(path), _IN_OPEN) >= 0 for path in self._paths]
        if self._fd >= 0 and not all(watched):
            self._close()
        return self

    def any_opened(self) -> bool:
        """Whether one was opened since the watch began."""
        if self._fd < 0:
            return True
        try:
            return bool(os.read(self._fd, _EVENT_BYTES))
        except BlockingIOError:
            return False

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def _close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
