"""Listings of one tuning run, kept on disk: a unit with several hot functions is compiled once under each configuration."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Recompiled:
    """A listing of the unit, and the ISA extensions (GCC's -m names) it may use beyond the unit's own."""

    text: str
    features: tuple[str, ...]
    description: str


class SharedListings:
    """Written and read by workers at the same time: a file appears whole or not at all."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def get(self, key: object) -> Recompiled | str | None:
        """The listing kept under `key`, or why there is none, or None when nobody has tried yet."""
        try:
            found = json.loads(self._path(key).read_text(encoding="utf-8"))
            if "error" in found:
                return str(found["error"])
            return Recompiled(found["text"], tuple(found["features"]), found["description"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def put(self, key: object, made: Recompiled | str) -> None:
        """Keep it; a full disk only means that the next worker compiles again."""
        path = self._path(key)
        temporary = path.with_suffix(f".{os.getpid()}")
        try:
            temporary.write_text(json.dumps({"error": made} if isinstance(made, str) else asdict(made)))
            temporary.replace(path)
        except OSError:
            temporary.unlink(missing_ok=True)

    def _path(self, key: object) -> Path:
        return self._directory / f"{hashlib.sha256(repr(key).encode(errors='surrogateescape')).hexdigest()}.json"
