"""Where the tool's commands write."""

from __future__ import annotations

import os
import sys

from rich.console import Console

_UNFOLDED = 10_000  # columns: what is read by another program, or kept in a file, has whole lines


def opened(to_stderr: bool = False) -> Console:
    """A console on standard output or error. Lines are as long as they are where it is no terminal and COLUMNS does not say otherwise."""
    is_terminal = (sys.stderr if to_stderr else sys.stdout).isatty()
    width = None if is_terminal or os.environ.get("COLUMNS") else _UNFOLDED
    return Console(stderr=to_stderr, width=width)
