"""Where a project keeps its `.aicc`: AICC_DIR, or found by walking up from the working directory, as git does, else from the source's."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

DIRECTORY = ".aicc"


def find(start: str, environment: Mapping[str, str]) -> str | None:
    """Return the absolute path of the project's `.aicc` directory, or None when there is none.

    AICC_DIR names it outright (it need not exist yet); otherwise the nearest one at or above `start`, unless it is a stranger's.
    """
    named = environment.get("AICC_DIR")
    if named:
        return os.path.join(start, named)
    return _at_or_above(start, start)


def of_source(sources: Sequence[str], start: str) -> str | None:
    """The project of a build tree `start` beside the source's: the one at or above the first source that is named by a path."""
    source = next((source for source in sources if "/" in source), None)
    if source is None:
        return None
    return _at_or_above(os.path.realpath(os.path.join(start, os.path.dirname(source))), start)


def _at_or_above(directory: str, start: str) -> str | None:
    while True:
        path = directory + "/" + DIRECTORY if directory != "/" else "/" + DIRECTORY
        try:
            status = os.stat(path)
            if status.st_mode & 0o170000 == 0o040000:
                return path if _is_trusted(status.st_uid, start) else None
        except OSError:
            pass
        parent = directory.rpartition("/")[0] or "/"
        if parent == directory:
            return None
        directory = parent


def _is_trusted(owner: int, start: str) -> bool:
    """Whether a project is ours, root's, or its owner's who has `start` as well: a stranger's, in a directory that all may write
    to, could make us run what he likes (git-config(1), "safe.directory")."""
    return owner in (0, os.geteuid()) or owner == os.stat(start).st_uid
