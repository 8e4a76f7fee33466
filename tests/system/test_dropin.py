"""aicc is gcc: every command line of dropin_cases.py has the same exit status, words and files under both.

Run in a plain directory, in a project, and in a project whose store rewrites `hot` by a body that is GCC's own, so that
everything that goes through splicing has to come out byte for byte as well.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import own_bodies
import pytest
from dropin_cases import CASES, NOT_REWRITTEN

from compiler_ai.driver import units
from compiler_ai.driver.options import Options
from compiler_ai.driver.splicing import apply_entries
from compiler_ai.tune.reproduce import listing_of

HERE = Path(__file__).parent
KINDS = ("plain", "project", "store")
TEMPORARY = re.compile(rb"(/temporary/cc)\w{6}")
_TREE = rb"-fdump-(?:tree-optimized-alias|ipa-visibility)=/proc/self/fd/[0-9]+"
TREES = re.compile(rb"'" + _TREE + rb"' | " + _TREE)


@dataclass(frozen=True)
class Outcome:
    """What a command line did: exit status, both outputs, and every file (mode and content) that it left."""

    status: int
    out: bytes
    err: bytes
    files: dict[str, tuple[int, bytes]]


@dataclass(frozen=True)
class Place:
    """Where both compilers run, at the same path; `projects` are what `.aicc` above it is made from."""

    path: Path
    projects: dict[str, Path]
    gccs: dict[str, Outcome]

    def run(self, line: str, kind: str | None, seeded: bool) -> Outcome:
        """Run under gcc (`kind` None), or under aicc in a directory of that kind."""
        run, temporary, project = self.path / "run", self.path / "temporary", self.path / ".aicc"
        for directory in (run, temporary, project):
            shutil.rmtree(directory, ignore_errors=True)
        shutil.copytree(HERE / "dropin", run)
        for name in ("hot.txt", "sp ace.c", "quo'te.c"):
            shutil.copy(run / "hot.c", run / name)
        temporary.mkdir()
        if kind in self.projects:
            shutil.copytree(self.projects[kind], project)
        which = shutil.which
        names = ("gcc", "g++", "gcc-ar", "gcc-nm", "gcc-ranlib")
        if kind is not None:
            names = ("aicc", "aic++", "aicc-ar", "aicc-nm", "aicc-ranlib")
        tools = dict(zip(("CC", "CXX", "AR", "NM", "RANLIB"), map(str, map(which, names)), strict=True))
        if " -O" not in line and '"$C' not in line:  # units without optimisation are left alone
            tools["CC"] += " -O1"
            tools["CXX"] += " -O1"
        if seeded:
            tools["CC"] += " -frandom-seed=1"
        done = subprocess.run(
            ["/bin/bash", "-c", line],
            cwd=run,
            env={**os.environ, **tools, "TMPDIR": str(temporary), "LC_ALL": "C.UTF-8", "PWD": str(run)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=120,
        )
        files = {str(one.relative_to(self.path)): _content(one) for one in [*run.rglob("*"), *temporary.rglob("*")]}
        return Outcome(done.returncode, _normal(done.stdout), _normal(done.stderr), files)

    def gcc(self, line: str, seeded: bool) -> Outcome:
        if line not in self.gccs:
            self.gccs[line] = self.run(line, None, seeded)
        return self.gccs[line]


def _content(path: Path) -> tuple[int, bytes]:
    mode = path.lstat().st_mode
    if path.is_symlink():
        return mode, os.fsencode(os.readlink(path))
    return mode, _normal(path.read_bytes()) if path.is_file() else b""


def _normal(text: bytes) -> bytes:
    """Without what differs from run to run, and without the shims' paths, which -v and -wrapper show."""
    text = TEMPORARY.sub(rb"\1XXXXXX", text)
    package = _package_of_aicc()
    text = text.replace(package + b"/libexec/as", b"as")
    text = TREES.sub(b"", text)
    return re.sub(rb"(?<=[=:])" + re.escape(package) + rb"/[^:\n]*:?", b"", text)


@cache
def _package_of_aicc() -> bytes:
    """Where the `aicc` on PATH is installed: with `python -m pytest`, this process imports the source tree's instead."""
    launcher = shutil.which("aicc")
    assert launcher
    launcher = os.path.realpath(launcher) if os.path.islink(launcher) else os.path.abspath(launcher)
    (package,) = Path(launcher).parents[1].glob("lib/python3*/*-packages/compiler_ai")
    return os.fsencode(package)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    top = tmp_path_factory.mktemp("dropin")
    projects = {kind: top / kind / ".aicc" for kind in ("project", "store")}
    for project in projects.values():
        project.mkdir(parents=True)
    fill(projects["store"])
    return Place(top, projects, {})


def fill(project: Path) -> None:
    """Put bodies of `hot` that are GCC's own into the store as rewrites, for the flags that most of the cases have."""
    work = project.parent / "work"
    shutil.copytree(HERE / "dropin", work)
    for flags in ("-O2", "-O2 -fPIC", "-O2 -fno-pie", "-O1"):
        subprocess.run(["aicc", *flags.split(), "-c", "hot.c"], cwd=work, check=True)
        assert own_bodies.fill(project, list(units.load_all(str(project))), own_bodies.SHOWS_NOT, only="hot") == ["hot"]
    shutil.rmtree(work)


def check(place: Place, subject: str, line: str, kinds: Iterable[str]) -> None:
    seeded = subject == "link-time optimisation"
    expected = place.gcc(line, seeded)
    for kind in kinds:
        got = place.run(line, kind, seeded)
        assert (got.status, got.err, got.out) == (expected.status, expected.err, expected.out), kind
        assert got.files.keys() == expected.files.keys(), kind
        different = [name for name in got.files if got.files[name] != expected.files[name]]
        assert not different, f"in a {kind} directory: {different}"


@pytest.mark.parametrize(("subject", "line"), CASES)
def test_command_line(place: Place, subject: str, line: str) -> None:
    check(place, subject, line, ["project" if subject == NOT_REWRITTEN else "store"])


@pytest.mark.full
@pytest.mark.parametrize(("subject", "line"), CASES)
def test_command_line_where_nothing_is_rewritten(place: Place, subject: str, line: str) -> None:
    check(place, subject, line, ["plain", "project"])


@pytest.mark.parametrize("flags", ["-O2", "-O2 -fPIC", "-O1"])
def test_the_store_of_these_tests_rewrites(place: Place, flags: str) -> None:
    place.run(f"$CC {flags} -c hot.c", "store", False)
    project = place.path / ".aicc"
    made = next(
        listing_of(unit) for unit in units.load_all(str(project)) if unit.source == str(place.path / "run/hot.c")
    )
    result = apply_entries(made.listing_text, ["hot"], str(project), Options(), made.flags, made.dump)
    assert (result.applied, result.notes) == (["hot"], [])
    assert ".Laicc_begin_hot" in result.text
    assert not (project / "log").exists()
