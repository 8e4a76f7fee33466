"""Which compiler aicc drives: AICC_CC, or the GCC that its own name stands for. On the compile path."""

from __future__ import annotations

import os

from compiler_ai.errors import AiccError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_NAMES = {"aicc": "gcc", "aic++": "g++"}
# Programs that run a compiler given to them, or the one that they are named after.
LAUNCHERS = frozenset({"ccache", "sccache", "distcc", "icecc"})
# The link to ccache that an aicc further up ran: ccache looks for the next compiler on PATH, and that may be us again.
PASSED = "AICC_PASSED"
# How every launcher of ours begins.
_OURS = b"#!/bin/sh\n# aicc:"


class CompilerError(AiccError):
    """The underlying compiler cannot be found; the message is one line for the user."""


def underlying(program: str, environment: Mapping[str, str]) -> list[str]:
    """The compiler's command (absolute path first) for aicc called as `program`.

    `aicc` is gcc, `aic++` is g++, `<prefix>-aicc-<version>` is `<prefix>-gcc-<version>`; any other name (a masquerade directory's
    `cc`) is the next program of that name on PATH that is not aicc itself. AICC_CC may be a command: in `ccache gcc` both
    words are found this way. Raises CompilerError when there is none.
    """
    search_path = environment.get("PATH", os.defpath)
    named = environment.get("AICC_CC", "").strip()
    if not named:
        words = ["-".join(_NAMES.get(part, part) for part in os.path.basename(program).split("-"))]
    elif any(character in named for character in "'\"\\"):
        import shlex

        try:
            words = shlex.split(named)
        except ValueError as error:
            raise CompilerError(f"AICC_CC is not well quoted: {error}") from None
    else:
        words = named.split()
    words[0] = _found(words[0], search_path, named, environment.get(PASSED, ""))
    if is_launcher(words[0]):
        for position, word in enumerate(words[1:], 1):
            if not word.startswith("-"):
                words[position] = _found(word, search_path, named)
                break
        else:
            if named and os.path.basename(words[0]) in LAUNCHERS:
                raise CompilerError(f"AICC_CC ('{named}') names no compiler: write '{named.split()[0]} gcc'")
    return words


def without_launcher(command: Sequence[str], environment: Mapping[str, str]) -> list[str]:
    """The compiler itself: what is behind ccache, distcc and the like, named in `command` or by the link that it is."""
    words = list(command)
    while words and is_launcher(words[0]):
        if os.path.basename(words[0]) in LAUNCHERS:
            behind = next((i for i, word in enumerate(words) if i and not word.startswith("-")), None)
            if behind is None:
                return list(command)
            words = words[behind:]
        else:
            path = _find(os.path.basename(words[0]), environment.get("PATH", os.defpath), launchers=False)
            if path is None:
                return list(command)
            words[0] = path
    return words or list(command)


def is_launcher(path: str) -> bool:
    """Whether `path` is ccache or another program that runs compilers, or a link to one."""
    return os.path.basename(path) in LAUNCHERS or os.path.basename(os.path.realpath(path)) in LAUNCHERS


def _found(name: str, search_path: str, named: str, passed: str = "") -> str:
    path = _find(name, search_path, passed=passed)
    if path is not None:
        return path
    if named and (is_ours(name) or any(is_ours(f"{one or '.'}/{name}") for one in search_path.split(":"))):
        raise CompilerError(f"AICC_CC ('{named}') names aicc itself: set it to the compiler that aicc is to drive")
    origin = " (from AICC_CC)" if named else ""
    if "/" in name and os.path.exists(name):
        raise CompilerError(f"'{name}'{origin} is not an executable file: set AICC_CC to a compiler")
    raise CompilerError(f"compiler '{name}'{origin} not found: install it or set AICC_CC to another one")


def _find(name: str, search_path: str, launchers: bool = True, passed: str = "") -> str | None:
    if "/" in name:
        return name if _is_program(name) and not is_ours(name) else None
    for directory in search_path.split(":"):
        path = f"{directory or '.'}/{name}"
        if _is_program(path) and path != passed and not is_ours(path) and (launchers or not is_launcher(path)):
            return path
    return None


def _is_program(path: str) -> bool:
    return os.access(path, os.X_OK) and not os.path.isdir(path)


def is_ours(path: str) -> bool:
    """Whether `path` is one of aicc's own launchers, which would drive itself for ever."""
    try:
        with open(path, "rb") as file:
            return file.read(len(_OURS)) == _OURS
    except OSError:
        return False
