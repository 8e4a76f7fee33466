"""Where a companion lies: foo.aicc.o next to foo.o, found again by its digest. On the compile path.

`.aicc/objects/<digest>.path` says where the companion of that digest was put, for objects that were moved, renamed or packed
into an archive. Of a command that compiles and links at once GCC's object is a temporary file; its companion is
`.aicc/objects/<digest>.o`. A companion that does not carry the digest is never taken, so none of this can go stale.
"""

from __future__ import annotations

import os

from compiler_ai.emit import marks
from compiler_ai.replacing import replace_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from compiler_ai.emit.companion import Pair

DIRECTORY = "objects"
_SUFFIXES = (".o", ".obj", ".lo")


class PlacingError(Exception):
    """The companion cannot be made; the message is one line for the log."""


def companion_path(object_path: str) -> str:
    """foo.aicc.o for foo.o."""
    root, suffix = os.path.splitext(object_path)
    return f"{root}.aicc{suffix}" if suffix in _SUFFIXES else object_path + ".aicc.o"


def place(
    pair: Pair, arguments: Sequence[str], project: str, temporary: bool, assemble: Callable[[list[str], bytes], tuple[int, str]]
) -> str:  # fmt: skip
    """Assemble the companion and put it where the link step finds it; returns its path.

    `arguments` are those of the assembler for GCC's object without the input, `assemble` runs it on a text and returns
    status and message. `temporary`: GCC's object is deleted after the link. Raises PlacingError, OSError.
    """
    output = output_of(arguments)
    if output is None or not output or (os.path.exists(output) and not os.path.isfile(output)):
        raise PlacingError(f"there is no place beside {output or 'the object'}")
    index = f"{project}/{DIRECTORY}"
    os.makedirs(index, exist_ok=True)
    path = f"{index}/{pair.digest}.o" if temporary else companion_path(output)
    made = f"{path}.{os.getpid()}.tmp"
    try:
        status, message = assemble([*_for_companion(arguments), "-o", made], _encoded(pair.companion_text))
        if status != 0:
            raise PlacingError(f"the companion does not assemble: {message}")
        os.replace(made, path)
    finally:
        if os.path.lexists(made):
            os.unlink(made)
    if not temporary:
        replace_file(f"{index}/{pair.digest}.path", _encoded(os.path.relpath(os.path.abspath(path), project)))
    return path


def find(digest: str, object_path: str | None, project: str) -> str | None:
    """The companion with this digest: beside the object, or where `place` put it; None when it is not there (any more)."""
    places = [companion_path(object_path)] if object_path else []
    index = f"{project}/{DIRECTORY}/{digest}"
    try:
        with open(index + ".path", encoding="utf-8", errors="surrogateescape") as file:
            places.append(os.path.join(project, file.read()))
    except OSError:
        pass
    places.append(index + ".o")
    return next((path for path in places if digest in marks_of(path)), None)


def marks_of(path: str) -> dict[str, list[str]]:
    """marks.own of a file; empty when it cannot be read."""
    try:
        with open(path, "rb") as file:
            return marks.own(file.read())
    except OSError:
        return {}


def remove_stale(arguments: Sequence[str]) -> None:
    """Remove the companion of an earlier build of the object that is about to be written. Never raises."""
    output = output_of(arguments)
    if output:
        path = companion_path(output)
        try:
            if os.path.isfile(path) and marks_of(path):
                os.unlink(path)
        except OSError:
            pass


def output_of(arguments: Sequence[str]) -> str | None:
    """What follows the last -o of an assembler's command line."""
    found = None
    for word, following in zip(arguments, [*arguments[1:], ""], strict=True):
        if word == "-o":
            found = following
    return found


def _for_companion(arguments: Sequence[str]) -> list[str]:
    """The arguments without output, listings, dependency files, and debug information of assembly nobody has the source of."""
    kept: list[str] = []
    words = iter(arguments)
    for word in words:
        if word in ("-o", "--MD"):
            next(words, None)
        elif not word.startswith(("-a", "-g", "--g")):
            kept.append(word)
    return kept


def _encoded(text: str) -> bytes:
    return text.encode(errors="surrogateescape")
