"""The accepted rewrites of a project, in `.aicc/store`.

An entry's files are named after their contents and never change; the rename of lock.toml makes an entry exist. So a
writer that is killed, or a full disk, leaves the store as it was, and files whose hash is not the one in lock.toml
are not used.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from compiler_ai.artifacts import Rewrite
from compiler_ai.regular import opener, read_bytes
from compiler_ai.store import lockfile, rewritefile
from compiler_ai.store.errors import StoreError
from compiler_ai.store.files import locked, remove_leftovers, sync_directory, write_atomically
from compiler_ai.store.index import ASSEMBLY, FORMAT_VERSION, LOCK_NAME, refuse_newer
from compiler_ai.store.lockfile import Entry, LockFile

__all__ = ["Entry", "Store", "StoreError"]


class Store:
    """The store of the project whose `.aicc` directory is given. Reading takes no lock and writes nothing.

    Every method raises StoreError when a newer aicc wrote the store.
    """

    def __init__(self, project_dir: str | Path) -> None:
        self._project = Path(project_dir)
        self._directory = self._project / "store"
        self._lock = self._project / "store.lock"
        self._read: tuple[tuple[str, int, int, int], LockFile] | None = None

    def entries(self) -> tuple[Entry, ...]:
        """All entries that lock.toml lists intactly; whether their files are, `load` and `verify` tell."""
        return self._lock_file().entries

    def names(self) -> tuple[str, ...]:
        """The names of all entries: the stems of their files."""
        return tuple(entry.name for entry in self.entries())

    def load(self, entry: Entry) -> Rewrite:
        """The rewrite of an entry. Raises StoreError when a file is missing, changed by hand, or damaged."""
        assembly = self._contents(entry, ASSEMBLY, entry.assembly_sha256)
        evidence = self._contents(entry, ".json", entry.evidence_sha256)
        try:
            rewrite = rewritefile.parse(assembly, evidence)
        except StoreError as error:
            raise StoreError(f"{entry.name}: {error}") from error
        stated = (rewrite.baseline_key, rewrite.candidate.function, rewrite.candidate.features)
        if stated != entry.identity or rewrite.target != entry.target or rewrite.evidence.grade != entry.grade:
            raise StoreError(f"{entry.name}: lock.toml and the .json describe different rewrites")
        return rewrite

    def lookup(
        self, baseline_key: str, function: str | None = None, features: Collection[str] | None = None
    ) -> Rewrite | None:
        """The fastest intact rewrite of the baseline with this key, or None.

        `function` restricts it to one assembled name, `features` to rewrites that need none but these ISA extensions.
        Entries that cannot be loaded are passed over.
        """
        found: list[Rewrite] = []
        for entry in self._lock_file(baseline_key).entries:
            if entry.key != baseline_key or (function is not None and entry.function != function):
                continue
            if features is not None and not set(entry.features) <= set(features):
                continue
            with contextlib.suppress(StoreError):
                found.append(self.load(entry))
        return max(found, key=lambda rewrite: rewrite.timing.warm.low, default=None)

    def add(self, rewrite: Rewrite) -> Entry:
        """Keep a rewrite; it replaces an earlier one for the same baseline, function and ISA extensions.

        Raises StoreError when it cannot be written; the store is then as it was.
        """
        rewrite = replace(rewrite, source=self._relative(rewrite.source))
        assembly, evidence = rewritefile.format_assembly(rewrite), rewritefile.format_evidence(rewrite)
        entry = _entry(rewrite, assembly, evidence)
        self._make_directory()
        with locked(self._lock):
            remove_leftovers(self._directory)
            before = self._lock_file()
            write_atomically(self._path(entry, ASSEMBLY), assembly)
            write_atomically(self._path(entry, ".json"), evidence)
            kept = [other for other in before.entries if other.identity != entry.identity and other.name != entry.name]
            self._commit(before, [*kept, entry])
        return entry

    def drop(self, *names: str) -> tuple[str, ...]:
        """Remove the entries of these names (or what only one begins with), or of these functions; return the names of those removed.

        Raises StoreError for a name that is none of it, before anything is removed.
        """
        if not self._directory.is_dir():
            raise StoreError(f"{self._directory}: there is no store")
        with locked(self._lock):
            before = self._lock_file()
            found = {name: named(before.entries, name) for name in names}
            unknown = sorted(name for name, entries in found.items() if not entries)
            if unknown:
                raise StoreError(f"no such entry or function in the store: {', '.join(unknown)}")
            gone = [entry for entry in before.entries if any(entry in entries for entries in found.values())]
            self._commit(before, [entry for entry in before.entries if entry not in gone])
        return tuple(entry.name for entry in gone)

    def verify(self) -> list[str]:
        """One line for each thing that is wrong with the store; empty when every entry will be used as it is."""
        if not self._directory.exists():
            return []
        try:
            current = self._lock_file()
        except StoreError as error:
            return [str(error)]
        problems = list(current.problems)
        if current.version != FORMAT_VERSION:
            return problems  # what it lists is not known, so nor is what it does not list
        for entry in current.entries:
            try:
                self.load(entry)
            except StoreError as error:
                problems.append(f"{error}; GCC's own body is used")
        expected = {self._path(entry, suffix).name for entry in current.entries for suffix in (ASSEMBLY, ".json")}
        for path in sorted(self._directory.iterdir()):
            if path.suffix in (ASSEMBLY, ".json") and path.name not in expected:
                problems.append(f"{path.name}: not in lock.toml, so not used; left by an interrupted write or a merge")
        return problems

    def _lock_file(self, key: str = "") -> LockFile:
        path = self._directory / LOCK_NAME
        try:
            with open(path, encoding="utf-8", errors="surrogateescape", newline="", opener=opener) as file:
                status = os.fstat(file.fileno())
                identity = (key, status.st_ino, status.st_mtime_ns, status.st_size)
                if self._read is None or self._read[0] != identity:
                    self._read = identity, lockfile.parse(file.read(), key)
        except FileNotFoundError:
            return LockFile((), ())
        except OSError as error:
            raise StoreError(f"cannot read {path}: {error.strerror or error}") from error
        current = self._read[1]
        refuse_newer(current.version, str(self._directory))
        return current

    def _commit(self, before: LockFile, entries: Iterable[Entry]) -> None:
        """Make `entries` the store's; what a damaged lock.toml said is kept beside it; unlisted old files go last."""
        entries = tuple(entries)
        path = self._directory / LOCK_NAME
        if before.problems:
            damaged = read_bytes(path)
            write_atomically(path.with_name(f"{LOCK_NAME}.damaged-{hashlib.sha256(damaged).hexdigest()[:8]}"), damaged)
        write_atomically(path, lockfile.format_text(entries).encode(errors="surrogateescape"))
        self._read = None
        kept = {entry.name for entry in entries}
        for entry in before.entries:
            if entry.name not in kept:
                for suffix in (ASSEMBLY, ".json"):
                    with contextlib.suppress(OSError):
                        self._path(entry, suffix).unlink()
        with contextlib.suppress(OSError):
            sync_directory(self._directory)

    def _contents(self, entry: Entry, suffix: str, sha256: str) -> bytes:
        path = self._path(entry, suffix)
        try:
            content = read_bytes(path)
        except OSError as error:
            raise StoreError(f"{path.name}: {error.strerror or error}") from error
        if hashlib.sha256(content).hexdigest() != sha256:
            raise StoreError(f"{path.name}: not the file that lock.toml lists (edited by hand or damaged), so not used")
        return content

    def _path(self, entry: Entry, suffix: str) -> Path:
        path = self._directory / (entry.name + suffix)
        older = path.with_suffix(".s")
        return older if suffix == ASSEMBLY and older.exists() and not path.exists() else path

    def _make_directory(self) -> None:
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"cannot make {self._directory}: {error.strerror or error}") from error

    def _relative(self, source: str) -> str:
        """A source path below the project's directory is kept relative to it: checkouts lie in different places."""
        root = os.path.dirname(os.path.abspath(self._project))
        return os.path.relpath(source, root) if source.startswith(root.rstrip("/") + "/") else source


def _entry(rewrite: Rewrite, assembly: bytes, evidence: bytes) -> Entry:
    hashes = hashlib.sha256(assembly).hexdigest(), hashlib.sha256(evidence).hexdigest()
    readable = re.sub(r"[^A-Za-z0-9._-]", "_", rewrite.candidate.function)[:80].lstrip(".-") or "function"
    content = hashlib.sha256("".join((*hashes, rewrite.baseline_key)).encode()).hexdigest()[:16]
    return Entry(
        name=f"{readable}-{content}",
        function=rewrite.candidate.function,
        key=rewrite.baseline_key,
        target=rewrite.target,
        features=rewrite.candidate.features,
        grade=rewrite.evidence.grade,
        assembly_sha256=hashes[0],
        evidence_sha256=hashes[1],
    )


def named(entries: Sequence[Entry], name: str) -> list[Entry]:
    """The entries of that name or of that function, or the only one whose name begins so, up to somewhere in its hash: the beginning
    of a function's name is another function's. [] when there is none or more than one."""
    found = [entry for entry in entries if name in (entry.name, entry.function)]
    stem = name.rpartition("-")[0]
    beginning = [one for one in entries if one.name.startswith(name) and one.name.rpartition("-")[0] == stem]
    return found or (beginning if len(beginning) == 1 else [])
