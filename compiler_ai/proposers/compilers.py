"""The compilers at hand: the unit's own GCC and the newest clang, with what they can do."""

from __future__ import annotations

import os
import re
import shutil
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from compiler_ai.proposers import process

_PROBE = process.Limits(wall_s=20.0)


@dataclass(frozen=True)
class Clang:
    """A clang: its absolute path, major version, and whether Polly is built in."""

    path: str
    version: int
    polly: bool


def find_clang(search_path: str | None = None) -> Clang | None:
    """The newest clang on PATH (AICC_CLANG names another), or None."""
    named = os.environ.get("AICC_CLANG")
    if named is not None:
        path = shutil.which(named)
        return _probe_clang(path) if path else None
    return _newest_clang(search_path or os.environ.get("PATH", os.defpath))


@cache
def _newest_clang(search_path: str) -> Clang | None:
    found: dict[str, str] = {}
    for directory in search_path.split(os.pathsep):
        try:
            names = os.listdir(directory or ".")
        except OSError:
            continue
        for name in names:
            if re.fullmatch(r"clang(-\d+)?", name):
                found.setdefault(name, str(Path(directory, name).absolute()))
    clangs = [clang for clang in map(_probe_clang, found.values()) if clang is not None]
    return max(clangs, key=lambda clang: (clang.version, clang.path), default=None)


@cache
def _probe_clang(path: str) -> Clang | None:
    try:
        version = process.run([path, "-dM", "-E", "-x", "c", os.devnull], "/", {}, _PROBE)
        polly = process.run(
            [path, "-O1", "-mllvm", "-polly", "-S", "-x", "c", os.devnull, "-o", os.devnull], "/", {}, _PROBE
        )
    except OSError:
        return None
    major = re.search(r"^#define __clang_major__ (\d+)", version.output, re.MULTILINE)
    return Clang(path, int(major[1]), polly.status == 0) if major else None


@cache
def gcc_optimizers(compiler: tuple[str, ...]) -> frozenset[str]:
    """GCC's pure optimisation options, by their positive names (`--help=optimizers`)."""
    try:
        listed = process.run([*compiler, "--help=optimizers"], "/", {}, _PROBE)
    except OSError:
        return frozenset()
    return frozenset(match[1] for match in re.finditer(r"^\s+(-f[\w-]+)", listed.output, re.MULTILINE))


@cache
def target_triple(compiler: tuple[str, ...]) -> str:
    """What `gcc -dumpmachine` prints, "" when it cannot be asked."""
    try:
        return process.run([*compiler, "-dumpmachine"], "/", {}, _PROBE).output.strip()
    except OSError:
        return ""


@cache
def has_llvmlite() -> bool:
    """Whether llvmlite can be loaded; asked in a process of its own, since a broken LLVM would end ours."""
    try:
        return process.run([sys.executable, "-c", "import llvmlite.binding"], "/", {}, _PROBE).status == 0
    except OSError:
        return False
