"""Recording: the command under perf, or under callgrind where perf is missing or not permitted."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from compiler_ai.profile.collect import RawSample, collect
from compiler_ai.profile.errors import ProfileError
from compiler_ai.profile.model import Profile, Run, iso_date, scaled
from compiler_ai.profile.symbols import ModuleSymbols
from compiler_ai.program.ending import ending, shell_status

_SCRIPT = ("script", "--show-mmap-events", "--show-task-events", "-F", "pid,ip,period,event,comm")
# perf script -F ip,dso,period --show-mmap-events: "55d0 r-xp /path" lines give where files are mapped.
_MMAP = re.compile(r"PERF_RECORD_MMAP2? .*?\[0x([0-9a-f]+)\(0x([0-9a-f]+)\) @ (0x[0-9a-f]+|0) .*?\]: (\S+) (.+)$")
_FORK = re.compile(r"PERF_RECORD_FORK\((\d{1,10}):\d+\):\((\d{1,10}):\d+\)")


INTERRUPTED = "interrupted by the user"


def record(command: Sequence[str], out_dir: Path, frequency_hz: int, *, weight: float = 1.0) -> Profile:
    """Run `command` once under a profiler. Its standard streams are its own; a failing command is noted, not fatal.

    An interrupt ends the command; what was sampled until then is the profile, and the run's note is INTERRUPTED. Raises
    ProfileError when no profiler works, or when there is not one sample.
    """
    if command and "/" in command[0] and os.path.isfile(command[0]) and not os.access(command[0], os.X_OK):
        raise ProfileError(
            f"{command[0]}: not executable (permission denied): chmod +x, or name the program that runs it"
        )
    if not command or shutil.which(command[0]) is None:
        raise ProfileError(
            f"{command[0] if command else '(nothing)'}: no such program: name it by path or have it on PATH"
        )
    del out_dir  # nothing but the profile itself is kept
    try:
        with tempfile.TemporaryDirectory(prefix="aicc-profile-") as directory:
            event = _working_event(directory)
            if event:
                return _perf(command, Path(directory), event, frequency_hz, weight)
            if shutil.which("valgrind"):
                return _callgrind(command, Path(directory), weight)
    except OSError as error:
        raise ProfileError(f"{command[0]}: cannot be profiled: {error.strerror or error}") from error
    raise ProfileError("neither perf nor valgrind can be used here: apt-get install linux-perf valgrind")


@dataclass(frozen=True)
class _Ended:
    """How a profiled command ended: its exit status, or minus the signal that ended it."""

    code: int
    interrupted: bool

    @property
    def status(self) -> int:
        """As a shell gives it."""
        return 130 if self.interrupted else shell_status(self.code)

    @property
    def note(self) -> str:
        return INTERRUPTED if self.interrupted else f"the command ended {ending(self.code)}" if self.code else ""


def _run(words: Sequence[str], stdout: int | None = None) -> _Ended:
    """Run a profiler; the first interrupt makes it finish its file, a second one kills it and is passed on."""
    interrupted = False
    process = subprocess.Popen(words, stdout=stdout)
    while True:
        try:
            return _Ended(process.wait(), interrupted)
        except KeyboardInterrupt:
            if interrupted:
                process.kill()
                process.wait()
                raise
            interrupted = True
            process.send_signal(signal.SIGINT)  # a terminal has sent it one already, "kill" has not


def _working_event(directory: str) -> str:
    if shutil.which("perf") is None:
        return ""
    for event in ("cycles:u", "cpu-clock:u"):
        probe = ["perf", "record", "-q", "-e", event, "-o", f"{directory}/probe", "--", "true"]
        if subprocess.run(probe, capture_output=True, check=False).returncode == 0:
            counted = subprocess.run(["perf", "stat", "-e", event, "true"], capture_output=True, text=True, check=False)
            if "not supported" not in counted.stderr and "not counted" not in counted.stderr:
                return event
    return ""


def _perf(command: Sequence[str], directory: Path, event: str, frequency_hz: int, weight: float) -> Profile:
    data = directory / "perf.data"
    words = ["perf", "record", "-q", "-e", event, "-F", str(frequency_hz), "-o", str(data), "--", *command]
    date = iso_date(time.time())
    ended = _run(words)
    if not data.exists():
        raise ProfileError(f"perf recorded nothing (status {ended.status}): see 'aicc-tool doctor'")
    try:
        return from_perf_data(data, tuple(command), weight, ended.note, date=date, status=ended.status)
    except ProfileError:
        if ended.interrupted:
            raise KeyboardInterrupt from None  # it came before the first sample
        raise


def from_script_text(
    text: str, command: tuple[str, ...], weight: float, note: str = "", *, date: str = "", status: int = 0
) -> Profile:
    """The profile in what `perf script --show-mmap-events --show-task-events -F pid,ip,period,event,comm` printed."""
    samples = list(_resolve(text.splitlines()))
    if not samples:
        raise ProfileError("not one sample: the command is too short; run it on more work or several times")
    functions, unmatched = collect(samples)
    run = Run(command, "perf", _event_of(text), "samples", len(samples), weight, note, date, status)
    return scaled(run, functions, unmatched)


def from_perf_data(
    data: Path, command: tuple[str, ...], weight: float, note: str = "", *, date: str = "", status: int = 0
) -> Profile:
    """The profile in a perf.data file. Raises ProfileError."""
    words = ["perf", *_SCRIPT, "-i", str(data)]
    try:
        done = subprocess.run(words, capture_output=True, text=True, errors="replace", check=False)
    except OSError as error:
        raise ProfileError(f"perf cannot be run ({error.strerror}): apt-get install linux-perf") from error
    if done.returncode != 0:
        said = (done.stderr.strip().splitlines() or ["unknown"])[-1]
        raise ProfileError(f"{data}: perf script cannot read it: {said}")
    return from_script_text(done.stdout, command, weight, note, date=date, status=status)


def _event_of(text: str) -> str:
    match = re.search(r"\s(\S*(?:cycles|cpu-clock|task-clock)\S*):", text)
    return match[1] if match else "unknown"


def _resolve(lines: Sequence[str]) -> Iterator[RawSample]:
    """Samples of `perf script` with its mmap events: run-time addresses become link-time ones."""
    maps: dict[int, list[tuple[int, int, int, str]]] = {}
    modules: dict[str, ModuleSymbols] = {}
    for line in lines:
        if "PERF_RECORD_MMAP" in line:
            match = _MMAP.search(line)
            pid = re.search(r"PERF_RECORD_MMAP2? (-?\d{1,10})/", line)
            if match and pid:
                start, size = int(match[1], 16), int(match[2], 16)
                maps.setdefault(int(pid[1]), []).append((start, start + size, int(match[3], 16), match[5]))
            continue
        if fork := _FORK.search(line):
            child, parent = int(fork[1]), int(fork[2])
            if child != parent:
                maps[child] = list(maps.get(parent, []))
            continue
        sample = re.match(
            r"^\s*(?:.*?\s)?(\d{1,10})(?:/\d{1,10})?\s+(?:\[\d{1,6}\]\s+)?(?:\d{1,12}\.\d{1,12}:\s+)?(\d{1,18})\s+(\S+):\s+([0-9a-f]{1,16})",
            line,
        )
        if not sample:
            continue
        pid_number, period, ip = int(sample[1]), float(sample[2]), int(sample[4], 16)
        for start, end, offset, path in reversed(maps.get(pid_number, [])):
            if start <= ip < end:
                if not path.startswith("/"):
                    yield RawSample(path, None, period)
                    break
                if path not in modules:
                    modules[path] = ModuleSymbols(path)
                yield RawSample(path, modules[path].address_of(ip - start + offset), period)
                break
        else:
            yield RawSample("[kernel.kallsyms]" if ip >> 63 else "[unknown]", None, period)


def _callgrind(command: Sequence[str], directory: Path, weight: float) -> Profile:
    from compiler_ai.profile.importers.callgrind import read

    out = directory / "callgrind.out"
    words = [
        "valgrind",
        "-q",
        "--tool=callgrind",
        "--dump-instr=yes",
        "--trace-children=yes",
        f"--callgrind-out-file={out}.%p",
        *command,
    ]
    date = iso_date(time.time())
    ended = _run(words, sys.stdout.fileno() if _is_real(sys.stdout) else None)
    files = sorted(directory.glob("callgrind.out.*"))
    if not files:
        raise ProfileError(f"valgrind recorded nothing (status {ended.status})")
    samples = [sample for path in files for sample in read(path)]
    functions, unmatched = collect(samples)
    total = sum(sample.count for sample in samples)
    run = Run(tuple(command), "callgrind", "Ir", "instructions", total, weight, ended.note, date, ended.status)
    return scaled(run, functions, unmatched)


def _is_real(stream: object) -> bool:
    try:
        stream.fileno()  # type: ignore[attr-defined]
    except (AttributeError, OSError, ValueError):
        return False
    return True
