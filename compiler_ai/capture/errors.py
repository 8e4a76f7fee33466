"""What can go wrong when calls are captured or captures are read."""

from __future__ import annotations

from compiler_ai.errors import AiccError


class CaptureError(AiccError):
    """A capture cannot be made, read or written; the message says what and where."""


class PtraceDeniedError(CaptureError):
    """The kernel does not let this process trace another; the message says what to change."""


class TargetNotFoundError(CaptureError):
    """A wanted function cannot be located in its module (stripped, rebuilt, or not there)."""


class RemoteCallError(CaptureError):
    """A traced thread stopped or ended while it was made to do a system call; its registers are as before.

    `status` is what waitpid(2) said of it and nobody has acted on yet, None when it said nothing.
    """

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status
