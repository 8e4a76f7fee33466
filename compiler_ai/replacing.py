"""Files of the cache that are there whole or not at all. On the compile path: nothing is imported, and nothing waits for the disk
(`store.files` does)."""

from __future__ import annotations

import os


def replace_file(path: str, content: bytes) -> None:
    """Put `content` at `path`, whose directory is made when there is none, through a file of this process beside it. Raises OSError,
    and leaves what was at `path` as it was, whatever ends it."""
    temporary = f"{path}.{os.getpid()}.tmp"
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(temporary, "wb") as file:
            file.write(content)
        os.replace(temporary, path)
    except BaseException:
        try:
            os.unlink(temporary)
        except OSError:
            pass
        raise
