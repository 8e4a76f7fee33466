"""Where captures lie: one directory a module in `.aicc/captures/`, one file a call."""

from __future__ import annotations

import shutil
import zlib
from pathlib import Path

from compiler_ai.artifacts import ProfiledFunction


def directory_of(project: Path, module: str) -> Path:
    """The directory of one module's captures."""
    return project / "captures" / f"{Path(module).name}.{zlib.crc32(module.encode(errors='surrogateescape')):08x}"


def captures_of(project: Path, function: ProfiledFunction) -> tuple[Path, ...]:
    """The capture files of one function, in the order in which they were taken; capture.tracer gives them their names."""
    found = directory_of(project, function.module).glob(f"*.{function.address:x}.*.cap")
    return tuple(sorted(path for path in found if path.name.startswith(f"{function.symbol}.{function.address:x}.")))


def forget_all(project: Path) -> None:
    """Remove every capture: the modules they belong to are about to be profiled anew."""
    shutil.rmtree(project / "captures", ignore_errors=True)
