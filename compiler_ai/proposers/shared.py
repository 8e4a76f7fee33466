"""Listings of the unit that proposers share, each compiled once."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from compiler_ai.shared_files import SharedFiles


@dataclass(frozen=True)
class Recompiled:
    """A listing of the unit, and the ISA extensions (GCC's -m names) it may use beyond the unit's own."""

    text: str
    features: tuple[str, ...]
    description: str


class SharedListings(SharedFiles):
    """Listings by unit and configuration, and the reasons why there is none."""

    def get(self, key: object) -> Recompiled | str | None:
        """The listing kept under `key`, or why there is none, or None when nobody has tried yet."""
        try:
            found = json.loads(self.read(key) or b"")
            if "error" in found:
                return str(found["error"])
            return Recompiled(found["text"], tuple(found["features"]), found["description"])
        except (ValueError, KeyError, TypeError):
            return None

    def put(self, key: object, made: Recompiled | str) -> None:
        """Keep it."""
        self.write(key, json.dumps({"error": made} if isinstance(made, str) else asdict(made)).encode())
