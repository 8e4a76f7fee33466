"""Where captures lie: one directory a module in `.aicc/captures/`, one file a call; and why functions have none."""

from __future__ import annotations

import json
import shutil
import zlib
from collections.abc import Mapping
from pathlib import Path

from compiler_ai.artifacts import ProfiledFunction
from compiler_ai.store.files import write_atomically


def directory_of(project: Path, module: str) -> Path:
    """The directory of one module's captures."""
    return project / "captures" / f"{Path(module).name}.{zlib.crc32(module.encode(errors='surrogateescape')):08x}"


def captures_of(project: Path, function: ProfiledFunction) -> tuple[Path, ...]:
    """The capture files of one function, in the order in which they were taken; capture.tracer gives them their names."""
    found = directory_of(project, function.module).glob(f"*.{function.address:x}.*.cap")
    return tuple(sorted(path for path in found if path.name.startswith(f"{function.symbol}.{function.address:x}.")))


def note_missing(project: Path, reasons: Mapping[ProfiledFunction, str]) -> None:
    """Remember why functions have no captures, beside what is known of others. Raises StoreError."""
    known = _missing(project) | {_name(function): reason for function, reason in reasons.items()}
    write_atomically(_reasons(project), json.dumps(known, indent=1).encode())


def why_missing(project: Path, function: ProfiledFunction) -> str:
    """Why the last attempt captured no call of it; "" when there was none, or nothing is known of it."""
    return _missing(project).get(_name(function), "")


def _reasons(project: Path) -> Path:
    return project / "captures" / "missing.json"


def _missing(project: Path) -> dict[str, str]:
    try:
        value = json.loads(_reasons(project).read_bytes())
        return {str(name): str(reason) for name, reason in value.items()}
    except (OSError, ValueError, AttributeError, RecursionError):
        return {}  # they only explain


def _name(function: ProfiledFunction) -> str:
    return f"{directory_of(Path(), function.module).name}/{function.symbol}.{function.address:x}"


def forget_all(project: Path) -> None:
    """Remove every capture: the modules they belong to are about to be profiled anew."""
    shutil.rmtree(project / "captures", ignore_errors=True)
