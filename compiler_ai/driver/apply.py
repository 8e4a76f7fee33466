"""What the shim does with a listing: the store's rewrites in apply mode, the whole pass pipeline when asked for.

On the compile path: the listing model and the store are imported only when some function of the listing has an entry.
"""

from __future__ import annotations

import os

from compiler_ai.driver import log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from compiler_ai.driver.options import Options
    from compiler_ai.emit.companion import Pair

SAID = 3  # the pass driver's exit status when it has said why itself


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
    if ours.wants_passes and not _run_passes(text, arguments, project) and ours.mode == "tune":
        return None
    if project is None:
        return None
    return _from_store(text, arguments, project, ours)


def _from_store(text: bytes, arguments: Sequence[str], project: str, ours: Options) -> str | None:
    """The listing with what the store has for it; with -faicc-emit=object the companion lies beside the object then."""
    from compiler_ai.store.index import Index

    index = Index.load(project + "/store")
    names = [name for name in sorted(index.functions()) if b"\n" + name.encode() + b":" in text]
    result = None
    if names:
        from compiler_ai import patterns
        from compiler_ai.driver.flags import target_flags
        from compiler_ai.driver.splicing import apply_entries
        from compiler_ai.driver.treefile import read

        flags, dump = target_flags(os.environ), read(os.environ)
        result = apply_entries(text.decode(errors="surrogateescape"), names, project, ours, flags, dump)
        for note in result.notes:
            log.write(project, f"as: {note}")
        patterns.keep()
    placed = False
    try:
        if result is not None and result.pair is not None:
            placed = _place(result.pair, arguments, project)
    finally:
        if not placed and os.path.isdir(project + "/objects"):
            from compiler_ai.emit.placing import remove_stale

            remove_stale(arguments)
    applied = result is not None and bool(result.applied)
    _remember(applied)
    return result.text if result is not None and applied else None


def _remember(applied: bool) -> None:
    """For the next compile of this object: whether libexec/as need look for the store's functions in the listing."""
    path = os.environ.get("AICC_SHIM_APPLIED")
    if not path or os.path.exists(path) == applied:
        return
    try:
        if applied:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
        else:
            os.unlink(path)
    except OSError:  # it is looked for, then
        pass


def _place(pair: Pair, arguments: Sequence[str], project: str) -> bool:
    """Assemble the companion into its place. Raises what `place` raises; the unit then is GCC's own."""
    from compiler_ai.driver import shim
    from compiler_ai.emit.placing import place

    real = shim.real_assembler()
    source = shim.input_of(arguments)
    words = [word for word in arguments if word is not source]
    temporary = os.environ.get("AICC_SHIM_LINKS") == "1"
    place(pair, words, project, temporary, lambda command, text: shim.run_quietly(real, command, text))
    return not temporary


def _dump(path: str, text: bytes) -> None:
    from compiler_ai.driver.flags import target_flags

    with open(path, "wb") as file:
        file.write(text)
    with open(path + ".flags", "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write("\n".join(target_flags(os.environ)))


def _run_passes(text: bytes, arguments: Sequence[str], project: str | None) -> bool:
    """Hand the listing to the full pass driver in an interpreter with site packages: what it accepts is in the store then."""
    import subprocess
    import sys

    import compiler_ai
    from compiler_ai.driver import treefile
    from compiler_ai.tune import orphans

    orphans.end_with(os.getppid())
    root = os.path.dirname(os.path.dirname(os.path.abspath(compiler_ai.__file__)))
    path = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
    completed = subprocess.run(
        [sys.executable, "-m", "compiler_ai.tune.inline", *arguments],
        input=text,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": path, "AICC_SHIM_PID": str(os.getpid())},
        pass_fds=treefile.descriptors(os.environ),
        check=False,
    )
    if completed.returncode not in (0, SAID):
        log.write(project, f"as: the pass driver ended with status {completed.returncode}")
    return completed.returncode == 0
