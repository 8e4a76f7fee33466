"""Profiles that other tools recorded; the kind of a file is told by its content."""

from __future__ import annotations

from pathlib import Path

from compiler_ai.profile.collect import collect
from compiler_ai.profile.errors import ProfileError
from compiler_ai.profile.importers import callgrind
from compiler_ai.profile.model import Profile, Run, scaled
from compiler_ai.profile.record import from_perf_data, from_script_text


def import_file(path: Path, weight: float = 1.0) -> Profile:
    """Read a profile of any kind that is known. Raises ProfileError."""
    try:
        head = path.read_bytes()[:4096]
    except OSError as error:
        raise ProfileError(f"{path}: cannot be read: {error.strerror}") from error
    command = (f"(imported from {path.name})",)
    if head.startswith(b"PERFILE2"):
        return from_perf_data(path, command, weight)
    if b"PERF_RECORD_MMAP" in head:
        return from_script_text(path.read_text(encoding="utf-8", errors="replace"), command, weight)
    if b"callgrind" in head or b"\nevents:" in head:
        samples = list(callgrind.read(path))
        functions, unmatched = collect(samples)
        run = Run(command, "callgrind", "Ir", "instructions", sum(sample.count for sample in samples), weight)
        return scaled(run, functions, unmatched)
    raise ProfileError(
        f"{path}: not a profile that is known: perf.data, 'perf script --show-mmap-events' text or callgrind.out"
    )
