"""Which compiler aicc drives: AICC_CC, or the GCC that its own name stands for. On the compile path."""

from __future__ import annotations

import os

from compiler_ai.errors import AiccError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_NAMES = {"aicc": "gcc", "aic++": "g++"}


class CompilerError(AiccError):
    """The underlying compiler cannot be found; the message is one line for the user."""


def underlying(program: str, environment: Mapping[str, str]) -> list[str]:
    """The compiler's command (absolute path first) for aicc called as `program`.

    `aicc` is gcc, `aic++` is g++, `<prefix>-aicc` is `<prefix>-gcc`; any other name (a masquerade directory's `cc`) is the next
    program of that name on PATH that is not aicc itself. Raises CompilerError when there is none.
    """
    named = environment.get("AICC_CC")
    if named:
        import shlex

        words = shlex.split(named) or [named]
    else:
        base = os.path.basename(program)
        prefix, dash, last = base.rpartition("-")
        words = [prefix + dash + _NAMES.get(last, last)]
    path = _find(words[0], environment.get("PATH", os.defpath))
    if path is None:
        origin = " (from AICC_CC)" if named else ""
        raise CompilerError(f"compiler '{words[0]}'{origin} not found: install it or set AICC_CC to another one")
    return [path, *words[1:]]


def _find(name: str, search_path: str) -> str | None:
    if "/" in name:
        return name if os.access(name, os.X_OK) and not _is_ours(name) else None
    for directory in search_path.split(":"):
        path = f"{directory or '.'}/{name}"
        if os.access(path, os.X_OK) and not os.path.isdir(path) and not _is_ours(path):
            return path
    return None


def _is_ours(path: str) -> bool:
    """Whether `path` is one of aicc's own launchers, which would drive itself for ever."""
    try:
        with open(os.path.realpath(path), "rb") as file:
            return b"compiler_ai/driver/main.py" in file.read(1024)
    except OSError:
        return False
