"""What the shim does with a listing: the store's rewrites in apply mode, the whole pass pipeline when asked for.

On the compile path: the listing model and the store are imported only when some function of the listing has an entry.
"""

from __future__ import annotations

import os

from compiler_ai.driver import log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def rewrite_listing(text: bytes, arguments: Sequence[str], project: str | None) -> str | None:
    """Return the listing with stored rewrites in place of their baselines, or None when nothing applies.

    May raise anything; the caller then uses GCC's own listing.
    """
    from compiler_ai.driver import options

    dump = os.environ.get("AICC_SHIM_DUMP")
    if dump:  # tuning asks for the listing and the flags exactly as they arrive here
        _dump(dump, text)
        return None
    ours, _ = options.parse([word for word in os.environ.get("AICC_SHIM_FLAGS", "").split("\x1f") if word], {})
    if ours.wants_passes:
        return _run_passes(text, arguments, project)
    if project is None:
        return None
    from compiler_ai.store.index import Index

    index = Index.load(project + "/store")
    names = [name for name in index.functions() if b"\n" + name.encode() + b":" in text]
    if not names:
        return None
    from compiler_ai.driver.flags import target_flags
    from compiler_ai.driver.splicing import apply_entries

    result = apply_entries(text.decode(errors="surrogateescape"), names, project, ours, target_flags(os.environ))
    for note in result.notes:
        log.write(project, f"as: {note}")
    return result.text if result.applied else None


def _dump(path: str, text: bytes) -> None:
    from compiler_ai.driver.flags import target_flags

    with open(path, "wb") as file:
        file.write(text)
    with open(path + ".flags", "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write("\n".join(target_flags(os.environ)))


def _run_passes(text: bytes, arguments: Sequence[str], project: str | None) -> str | None:
    """Hand the listing to the full pass driver in an interpreter with site packages; None when it changed nothing."""
    import subprocess
    import sys

    import compiler_ai

    root = os.path.dirname(os.path.dirname(os.path.abspath(compiler_ai.__file__)))
    path = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
    completed = subprocess.run(
        [sys.executable, "-m", "compiler_ai.tune.inline", *arguments],
        input=text,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": path},
        check=False,
    )
    if completed.returncode != 0:
        log.write(project, f"as: the pass driver ended with status {completed.returncode}")
        return None
    return completed.stdout.decode(errors="surrogateescape") or None
