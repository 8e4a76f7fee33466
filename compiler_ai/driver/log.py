"""aicc's log: `.aicc/log`, one line an event. A compile is silent otherwise: words on stderr break configure checks."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

LIMIT_BYTES = 1 << 20


def write(project: str | None, message: str) -> None:
    """Append one line to the project's log, and to stderr with AICC_VERBOSE=1. Never raises: a log must not break a build."""
    line = " ".join(message.split())
    if os.environ.get("AICC_VERBOSE") == "1":
        try:
            os.write(2, f"aicc: {line}\n".encode(errors="replace"))
        except OSError:
            pass
    if project is None:
        return
    path = project + "/log"
    stamp = time.strftime("%Y-%m-%d %H:%M:%S")
    with_limit = _on_file_limit(_signal.SIG_IGN)  # the write fails then, and nobody is killed
    try:
        if os.path.exists(path) and os.path.getsize(path) > LIMIT_BYTES:
            os.replace(path, path + ".old")
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK, 0o644)
        try:
            os.write(descriptor, f"{stamp} [{os.getpid()}] {line}\n".encode(errors="replace"))
        finally:
            os.close(descriptor)
    except OSError:
        pass
    finally:
        _on_file_limit(with_limit)


def _on_file_limit(action: Any) -> Any:
    """Set what happens when a file gets larger than it may; the action before. Only the main thread can."""
    try:
        return _signal.signal(_signal.SIGXFSZ, action)
    except ValueError:
        return action


def tail(project: str, lines: int) -> list[str]:
    """The last lines of the project's log, oldest first; empty when there is none."""
    try:
        with open(project + "/log", encoding="utf-8", errors="replace") as file:
            return file.read().splitlines()[-lines:]
    except OSError:
        return []
