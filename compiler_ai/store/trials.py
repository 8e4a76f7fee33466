"""The trial cache: everything ever tried on this machine, so that nothing is judged twice and an interrupt loses nothing.

One file a baseline key, one line a trial, appended under a lock; a line carries a checksum, so a torn or damaged one
is passed over. What another version of the judging code said is passed over too.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

from compiler_ai.artifacts import Trial
from compiler_ai.driver.host import machine_name
from compiler_ai.store.codec import CodecError, from_json, to_json
from compiler_ai.store.digest import digest
from compiler_ai.store.errors import StoreError
from compiler_ai.store.files import locked
from compiler_ai.toolchains.x86_64 import X86_64

__all__ = ["TrialCache", "digest"]

# The packages whose code decides a verdict.
_JUDGES = ("asm", "capture", "measure", "sandbox", "screen", "verify")


class TrialCache:
    """Trials by baseline key, of one target on one kind of machine, in a directory that processes may share."""

    def __init__(
        self,
        directory: Path,
        target: str,
        machine: str,
        judges: str,
        on_failure: Callable[[StoreError], None] | None = None,
    ) -> None:
        """`on_failure` hears of the first trial that cannot be written, and `append` then raises nothing."""
        self._directory = directory / target
        self._on_failure = on_failure
        self._failed = False
        self._origin = {"target": target, "machine": machine, "judges": judges}

    @staticmethod
    def default(target: str = X86_64.name, on_failure: Callable[[StoreError], None] | None = None) -> TrialCache:
        """The cache of the user who runs this: $AICC_CACHE/trials, $XDG_CACHE_HOME/aicc/trials or ~/.cache/aicc/trials."""
        return TrialCache(cache_directory() / "trials", target, machine_name(), judges_fingerprint(), on_failure)

    def append(self, baseline_key: str, trial: Trial) -> None:
        """Keep a trial; a later one of the same digest replaces it. Raises StoreError when it cannot be written."""
        try:
            self._append(baseline_key, trial)
        except StoreError as error:
            if self._on_failure is None:
                raise
            if not self._failed:
                reason = str(error).rpartition(": ")[2]
                self._on_failure(StoreError(f"cannot write the trial cache in {self._directory}: {reason}"))
            self._failed = True

    def _append(self, baseline_key: str, trial: Trial) -> None:
        record = json.dumps({**self._origin, "trial": to_json(trial)}, separators=(",", ":"), allow_nan=False)
        path = self._path(baseline_key)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"cannot make {path.parent}: {error.strerror or error}") from error
        with locked(path.with_suffix(".lock")):
            _append(path, f"{_checksum(record)} {record}\n".encode())

    def load(self, baseline_key: str) -> list[Trial]:
        """The last trial of every candidate, oldest first. Never raises for a damaged file."""
        trials: dict[str, Trial] = {}
        try:
            lines = self._path(baseline_key).read_bytes().split(b"\n")
        except OSError:
            return []
        for line in lines:
            trial = self._trial(line)
            if trial is not None:
                trials.pop(trial.digest, None)
                trials[trial.digest] = trial
        return list(trials.values())

    def find(self, baseline_key: str, candidate_digest: str) -> Trial | None:
        """The last trial of one candidate."""
        return next((trial for trial in self.load(baseline_key) if trial.digest == candidate_digest), None)

    def _trial(self, line: bytes) -> Trial | None:
        checksum, _, record = line.decode(errors="replace").partition(" ")
        if not record or checksum != _checksum(record):
            return None
        value = json.loads(record)
        if {name: value.get(name) for name in self._origin} != self._origin:
            return None
        try:
            return from_json(Trial, value["trial"])
        except CodecError:
            return None

    def _path(self, baseline_key: str) -> Path:
        name = baseline_key if baseline_key.isalnum() else hashlib.sha256(baseline_key.encode()).hexdigest()
        return self._directory / name[:2] / (name + ".jsonl")


def _append(path: Path, line: bytes) -> None:
    """Append whole or not at all; a torn last line of a writer that was killed is ended first."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error.strerror or error}") from error
    try:
        size = os.fstat(descriptor).st_size
        if size and os.pread(descriptor, 1, size - 1) != b"\n":
            line = b"\n" + line
        try:
            written = os.write(descriptor, line)
            if written != len(line):
                raise StoreError(f"cannot write {path}: the disk is full")
        except BaseException:
            os.ftruncate(descriptor, size)
            raise
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        os.close(descriptor)


def _checksum(record: str) -> str:
    return hashlib.sha256(record.encode()).hexdigest()[:16]


def cache_directory() -> Path:
    """$AICC_CACHE, $XDG_CACHE_HOME/aicc or ~/.cache/aicc."""
    if own := os.environ.get("AICC_CACHE"):
        return Path(own)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "aicc"


@functools.cache
def judges_fingerprint() -> str:
    """Changes whenever the code that judges candidates does: a verdict of a faulty judge must not outlive its repair."""
    root = Path(__file__).resolve().parent.parent
    sources = [
        path for package in _JUDGES for path in (root / package).rglob("*") if path.suffix in (".py", ".c", ".h")
    ]
    content = b"".join(bytes(path.relative_to(root)) + b"\0" + path.read_bytes() for path in sorted(sources))
    return hashlib.sha256(content).hexdigest()[:16]
