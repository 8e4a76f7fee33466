"""Profiles that other tools recorded; the kind of a file is told by its content."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from compiler_ai.profile.collect import collect
from compiler_ai.profile.errors import ProfileError
from compiler_ai.profile.importers import by_name, callgrind, gcov, gmon, modules
from compiler_ai.profile.model import Profile, Run, iso_date, scaled
from compiler_ai.profile.record import from_perf_data, from_script_text
from compiler_ai.profile.symbols import ModuleSymbols

KNOWN = "perf.data, perf script text, callgrind.out, gmon.out, .gcda, gcov JSON, or a directory of .gcda files"

_STARTS_PROFILING = frozenset({"__monstartup", "monstartup"})  # what gcc -pg links in


def import_file(path: Path, weight: float = 1.0, module: Path | None = None) -> Profile:
    """Read a profile of any kind that is known; a directory stands for every .gcda below it.

    `module` names the program that a gmon.out or gcov file is of; without it the one beside the file is taken. Raises ProfileError.
    """
    command = (f"(imported from {path.name})",)
    try:
        if path.is_dir():
            return _from_gcov(path, sorted(path.rglob("*.gcda")), gcov.read_data, command, weight, module)
        with path.open("rb") as file:
            head = file.read(4096)
        date = iso_date(path.stat().st_mtime)
    except OSError as error:
        raise ProfileError(f"{path}: cannot be read: {error.strerror}") from error
    if head.startswith(gmon.MAGIC):
        return _from_gmon(path, command, weight, module, date)
    if head[:4] in gcov.DATA_MAGICS:
        return _from_gcov(path, [path], gcov.read_data, command, weight, module)
    if head.startswith(gcov.GZIP_MAGIC) or head.lstrip()[:1] == b"{":
        return _from_gcov(path, [path], gcov.read_json, command, weight, module)
    if module is not None:
        raise ProfileError(f"{path}: --module is for gmon.out and gcov files; this one names its modules itself")
    if head.startswith(b"PERFILE2"):
        return from_perf_data(path, command, weight, date=date)
    if b"PERF_RECORD_MMAP" in head:
        return from_script_text(path.read_text(encoding="utf-8", errors="replace"), command, weight, date=date)
    if b"callgrind" in head or b"\nevents:" in head:
        samples = list(callgrind.read(path))
        functions, unmatched = collect(samples)
        run = Run(command, "callgrind", "Ir", "instructions", sum(s.count for s in samples), weight, date=date)
        return scaled(run, functions, unmatched)
    raise ProfileError(f"{path}: not a profile that is known: {KNOWN}")


def _from_gmon(path: Path, command: tuple[str, ...], weight: float, module: Path | None, date: str) -> Profile:
    def fits(symbols: ModuleSymbols) -> bool:
        """Whether the program was linked with -pg and its code is where the histogram's is."""
        try:
            histograms = gmon.read(path, symbols.pointer_bytes, symbols.order)
        except ProfileError:
            if module is not None:
                raise
            return False
        ends = [address + size for _, size, address in symbols.segments]
        in_code = all(h.high <= max(ends, default=0) + 0x1000 for h in histograms)
        return in_code and bool(symbols.names & _STARTS_PROFILING)

    gmon.read(path)  # what is wrong with the file comes before what is wrong with the module
    found = modules.find(path, module, fits)
    histograms = gmon.read(path, found.pointer_bytes, found.order)
    samples = [sample for histogram in histograms for sample in gmon.samples(histogram, found.path)]
    if not samples:
        raise ProfileError(f"{path}: not one sample: the program ran too short; give it more work")
    functions, unmatched = collect(samples)
    event = f"profil at {histograms[0].rate_hz} Hz"
    run = Run(command, "gprof", event, "samples", round(sum(s.count for s in samples)), weight, date=date)
    return scaled(run, functions, unmatched)


def _from_gcov(
    path: Path,
    files: list[Path],
    read: Callable[[Path], list[gcov.Executed]],
    command: tuple[str, ...],
    weight: float,
    module: Path | None,
) -> Profile:
    if not files:
        raise ProfileError(f"{path}: no .gcda file below it: build with --coverage and run the program")
    executed = [item for file in files for item in read(file)]
    if not executed:
        raise ProfileError(f"{path}: no line of it was executed: run the program to its end, then import")
    names = {item.function for item in executed} - {""}
    found = modules.find(
        path,
        module,
        lambda symbols: any(function.name in names for function in symbols.functions),
    )
    functions, unmatched = by_name.attribute(executed, found)
    total = sum(item.lines for item in executed)
    date = iso_date(max((file.stat().st_mtime for file in files), default=time.time()))
    return scaled(Run(command, "gcov", "line executions", "lines", total, weight, date=date), functions, unmatched)
