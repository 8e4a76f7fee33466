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
    from compiler_ai.driver.splicing import apply_entries, target_flags

    result = apply_entries(text.decode(errors="surrogateescape"), names, project, ours, target_flags(os.environ))
    for note in result.notes:
        log.write(project, f"as: {note}")
    return result.text if result.applied else None


def _run_passes(text: bytes, arguments: Sequence[str], project: str | None) -> str | None:
    """Hand the listing to the full pass driver in an interpreter with site packages; None when it changed nothing."""
    import subprocess
    import sys

    completed = subprocess.run(
        [sys.executable, "-m", "compiler_ai.tune.inline", *arguments],
        input=text,
        stdout=subprocess.PIPE,
        check=False,
    )
    if completed.returncode != 0:
        log.write(project, f"as: the pass driver ended with status {completed.returncode}")
        return None
    return completed.stdout.decode(errors="surrogateescape") or None
