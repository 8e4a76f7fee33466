"""Builds the C runner at first use and keeps it in the cache directory."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from importlib import resources
from pathlib import Path

from compiler_ai.sandbox.errors import SandboxError

# An address that neither position-independent programs (0x55..., 0x7f...) nor ordinary static ones (0x400000) occupy.
_FLAGS = (
    *("-std=gnu11", "-O2", "-ffreestanding", "-fno-builtin", "-nostdlib", "-static", "-no-pie", "-fno-pie"),
    *(
        "-fno-stack-protector",
        "-fcf-protection=none",
        "-fno-asynchronous-unwind-tables",
        "-mno-avx",
        "-mgeneral-regs-only",
    ),
    *("-Wl,-Ttext-segment=0x70000000", "-Wl,-z,noexecstack", "-Wl,-z,norelro", "-Wl,--build-id=none"),
)
_BUILD_TIMEOUT_S = 120


def cache_directory() -> Path:
    """AICC_CACHE, else $XDG_CACHE_HOME/aicc, else ~/.cache/aicc."""
    if own := os.environ.get("AICC_CACHE"):
        return Path(own)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "aicc"


def sources() -> dict[str, bytes]:
    """The runner's source files: name -> contents."""
    directory = resources.files("compiler_ai.sandbox") / "runtime"
    return {
        entry.name: entry.read_bytes()
        for entry in sorted(directory.iterdir(), key=lambda entry: entry.name)
        if entry.name.endswith((".c", ".h", ".S"))
    }


def runner_path(compiler: str = "gcc") -> Path:
    """The runner's executable, compiled if the cache has no intact one for these sources and flags.

    Safe in parallel: every builder renames a finished file into place. Raises SandboxError when it cannot be built.
    """
    files = sources()
    digest = hashlib.sha256(repr((_FLAGS, compiler, sorted(files.items()))).encode()).hexdigest()[:24]
    target = cache_directory() / "runtime" / digest / "runner"
    if not _is_intact(target):
        _build(files, target, compiler)
    return target


def _is_intact(target: Path) -> bool:
    """Whether it is the file that was built: a power cut or a full disk may have left a part of it."""
    try:
        digest = hashlib.sha256(target.read_bytes()).hexdigest()
        return _checksum(target).read_text(encoding="ascii") == digest and os.access(target, os.X_OK)
    except (OSError, ValueError):
        return False


def _checksum(target: Path) -> Path:
    return target.with_name("runner.sha256")


def _build(files: dict[str, bytes], target: Path, compiler: str) -> None:
    found = shutil.which(compiler)
    if found is None:
        raise SandboxError(f"no C compiler: {compiler} is not on PATH")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="build-", dir=target.parent) as scratch:
            for name, contents in files.items():
                (Path(scratch) / name).write_bytes(contents)
            units = sorted(name for name in files if name.endswith((".c", ".S")))
            command = [found, *_FLAGS, "-o", "runner", *units]
            environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}
            done = subprocess.run(
                command, cwd=scratch, env=environment, capture_output=True, text=True, timeout=_BUILD_TIMEOUT_S
            )
            if done.returncode != 0:
                raise SandboxError(f"cannot build the runner: {done.stderr.strip()[:400]}")
            built = Path(scratch) / "runner"
            checksum = _checksum(built)
            checksum.write_text(hashlib.sha256(built.read_bytes()).hexdigest(), encoding="ascii")
            checksum.rename(_checksum(target))
            built.rename(target)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SandboxError(f"cannot build the runner: {error}") from error
