"""How a program ended, in words."""

from __future__ import annotations

import signal

_SHELL = 128  # a shell reports signal n as exit status 128 + n


def ending(status: int) -> str:
    """`status` is an exit status, or minus the number of the signal that ended the program."""
    if status < 0:
        return f"by signal {_named(-status)}"
    if status > _SHELL and (name := _named(status - _SHELL)) != str(status - _SHELL):
        return f"with exit status {status} (what a shell says of signal {name})"
    return f"with exit status {status}"


def shell_status(status: int) -> int:
    """The same as a shell gives it."""
    return status if status >= 0 else _SHELL - status


def _named(number: int) -> str:
    try:
        return f"{number} ({signal.Signals(number).name})"
    except ValueError:
        return str(number)
