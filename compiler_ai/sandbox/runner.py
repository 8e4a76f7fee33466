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
    """The runner's executable, compiled if the cache has none for these sources and flags.

    Safe in parallel: every builder renames a finished file into place. Raises SandboxError when it cannot be built.
    """
    files = sources()
    digest = hashlib.sha256(repr((_FLAGS, compiler, sorted(files.items()))).encode()).hexdigest()[:24]
    target = cache_directory() / "runtime" / digest / "runner"
    if not target.exists():
        _build(files, target, compiler)
    return target


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
            (Path(scratch) / "runner").rename(target)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SandboxError(f"cannot build the runner: {error}") from error
