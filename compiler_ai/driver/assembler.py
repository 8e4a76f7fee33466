"""The assembler that the underlying compiler runs without aicc. On the compile path.

Asking GCC takes a process, so a project remembers the answer per compiler file, in `.aicc/cache/`.
"""

from __future__ import annotations

import os

from compiler_ai.regular import opener

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_SHIM = _PACKAGE + "/libexec"


def remembered(compiler: Sequence[str], project: str, environment: Mapping[str, str]) -> str | None:
    """What `compiler` calls its assembler (a path, or a name on PATH), from the project's memory or asked; None: unknown.

    `compiler` is the compiler itself, without ccache or the like; `environment` is that of the user, without our shim.
    """
    if environment.get("COMPILER_PATH") or environment.get("GCC_EXEC_PREFIX"):
        found = ask(compiler, "as", environment)  # what lies there may come and go
        return found if found and on_path(found, environment) else None
    from binascii import crc32

    key = _key(compiler)
    path = f"{project}/cache/as-{crc32(key.encode(errors='surrogateescape')):08x}"
    name = _recall(path, key)
    if name is None:
        name = ask(compiler, "as", environment)
        if name:
            _keep(path, f"{key}\n{name}\n")
    return name if name and on_path(name, environment) else None


def ask(compiler: Sequence[str], program: str, environment: Mapping[str, str]) -> str:
    """What `-print-prog-name=` says: a path, or a name to be found on PATH; empty when the compiler cannot be run."""
    reader, writer = os.pipe()
    try:
        process = os.posix_spawn(
            compiler[0],
            [*compiler, "-print-prog-name=" + program],
            dict(environment),
            file_actions=[
                (os.POSIX_SPAWN_DUP2, writer, 1),
                (os.POSIX_SPAWN_CLOSE, reader),
                (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
            ],
        )
    except OSError:
        os.close(writer)
        os.close(reader)
        return ""
    os.close(writer)
    with open(reader, "rb") as pipe:
        name = os.fsdecode(pipe.read().strip())
    os.waitpid(process, 0)
    return "" if "\n" in name else name


def on_path(name: str, environment: Mapping[str, str]) -> str | None:
    """The program of that name that is not our shim."""
    if "/" in name:
        return None if _is_shim(name) else name
    for directory in environment.get("PATH", os.defpath).split(":"):
        path = f"{directory or '.'}/{name}"
        if os.access(path, os.X_OK) and not os.path.isdir(path) and not _is_shim(path):
            return path
    return None


def without_shim(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment as it is without aicc: our directories taken out of COMPILER_PATH, our variables left out."""
    result = {name: value for name, value in environment.items() if not name.startswith(("AICC_SHIM_", "AICC_ACTIVE"))}
    kept = [word for word in result.pop("COMPILER_PATH", "").split(":") if word and not word.startswith(_PACKAGE + "/")]
    if kept:
        result["COMPILER_PATH"] = ":".join(kept)
    return result


def _is_shim(path: str) -> bool:
    return os.path.dirname(os.path.realpath(path)) == os.path.realpath(_SHIM)


def _key(compiler: Sequence[str]) -> str:
    try:
        status = os.stat(compiler[0])
        stamp = f"{status.st_mtime_ns} {status.st_size} {status.st_ino}"
    except OSError:
        stamp = ""
    return "\x1f".join([*compiler, stamp]).replace("\n", " ")


def _recall(path: str, key: str) -> str | None:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape", opener=opener) as file:
            kept = file.read().split("\n")
    except OSError:
        return None
    if len(kept) != 3 or kept[0] != key or not kept[1]:
        return None
    return kept[1] if "/" not in kept[1] or os.access(kept[1], os.X_OK) else None


def _keep(path: str, text: str) -> None:
    from compiler_ai.replacing import replace_file

    try:
        replace_file(path, text.encode(errors="surrogateescape"))
    except OSError:
        pass
