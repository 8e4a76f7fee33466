"""Copies of the modules that were profiled: the captures' code, and the "before" of `aicc-tool check`."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from compiler_ai.errors import AiccError

_VERSION = 1


class SnapshotError(AiccError):
    """The snapshots cannot be read; the message is one line for the user."""


@dataclass(frozen=True)
class Snapshot:
    """`copy` is what the file at `path` was when it was profiled."""

    path: Path
    copy: Path

    def is_current(self) -> bool:
        """Whether the file at `path` still is what was profiled."""
        try:
            return _digest(self.path) == self.copy.name.partition(".")[0]
        except OSError:
            return False


def take(project: Path, modules: Iterable[Path]) -> list[Snapshot]:
    """Copy `modules` into the project and note where they belong; replaces earlier snapshots. Raises OSError."""
    directory = project / "baseline"
    directory.mkdir(parents=True, exist_ok=True)
    snapshots = []
    for module in modules:
        copy = directory / f"{_digest(module)}.{module.name}"
        if not copy.exists():
            temporary = copy.with_name(f"{copy.name}.{os.getpid()}.tmp")
            shutil.copy2(module, temporary)
            temporary.replace(copy)
        snapshots.append(Snapshot(module, copy))
    index = {"version": _VERSION, "modules": {str(s.path): s.copy.name for s in snapshots}}
    temporary = directory / f"index.{os.getpid()}.tmp"
    temporary.write_text(json.dumps(index, indent=1) + "\n", encoding="utf-8")
    temporary.replace(directory / "index.json")
    kept = {snapshot.copy for snapshot in snapshots}
    for old in directory.iterdir():
        if old not in kept and old.name != "index.json":
            old.unlink(missing_ok=True)
    return snapshots


def load(project: Path) -> list[Snapshot]:
    """The project's snapshots; empty when it was never profiled. Raises SnapshotError."""
    path = project / "baseline" / "index.json"
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
        if index["version"] != _VERSION:
            raise SnapshotError(f"{path}: version {index['version']} is not known: profile again with this aicc")
        return [Snapshot(Path(module), path.parent / copy) for module, copy in index["modules"].items()]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise SnapshotError(f"{path}: unreadable ({error}): run 'aicc-tool profile' again") from error


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:32]
