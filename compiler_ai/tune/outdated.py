"""Which rewrites of the store fit none of the recorded units any more: their source or flags have changed since."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path

from compiler_ai.artifacts import CompileCommand
from compiler_ai.asm import listing as listing_model
from compiler_ai.asm.normalise import UnknownFunctionError, body_key
from compiler_ai.asm.trees import Trees
from compiler_ai.store.errors import StoreError
from compiler_ai.store.lockfile import Entry
from compiler_ai.store.store import Store
from compiler_ai.tune.reproduce import ReproductionError, listing_of


def outdated(store: Store, recorded: Iterable[CompileCommand]) -> list[Entry]:
    """Entries of sources that are on record, compile, and have other code now. Compiles each of these units once."""
    wanted = by_source(store)
    stale: dict[str, Entry] = {}
    current: set[str] = set()
    for command in recorded:
        entries = wanted.get(Path(command.source).name, [])
        keys = _keys(command, {entry.function for entry in entries}) if entries else None
        if keys is not None:
            stale |= {entry.name: entry for entry in entries}
            current |= {entry.name for entry in entries if entry.key == keys.get(entry.function)}
    return [entry for name, entry in sorted(stale.items()) if name not in current]


def by_source(store: Store) -> dict[str, list[Entry]]:
    """The intact entries by the name of their source, without its directory."""
    found: dict[str, list[Entry]] = {}
    for entry in store.entries():
        with contextlib.suppress(StoreError):  # a damaged one is said to be where the store is verified
            found.setdefault(Path(store.load(entry).source).name, []).append(entry)
    return found


def _keys(command: CompileCommand, functions: Iterable[str]) -> dict[str, str] | None:
    """The keys of those functions as the unit compiles now; None when it does not."""
    try:
        made = listing_of(command)
    except ReproductionError:
        return None
    unit, trees, found = listing_model.parse(made.listing_text), Trees(made.dump), {}
    for function in functions:
        with contextlib.suppress(UnknownFunctionError):
            found[function] = body_key(unit, function, made.flags, trees)
    return found
