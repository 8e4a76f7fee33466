"""Ctrl-C: everything that a compile started ends with it, and no partial output stays, as under gcc."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import own_bodies
import pytest

from compiler_ai.driver import units

SOURCE = "int hot(int n) { int s = 0; while (n--) s += n ^ s; return s; }\n"
# An assembler that has begun to write when it is interrupted.
SLOW = """#!/bin/sh
while [ $# -gt 0 ]; do [ "$1" = -o ] && output=$2; shift; done
echo partial >"$output"
echo $$ >started.new
mv started.new started
while :; do sleep 1; done
"""
DEADLINE_S = 120


@pytest.fixture(params=["no project", "a project", "a store", "a store and a rewrite"])
def directory(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    (tmp_path / "hot.c").write_text(SOURCE)
    (tmp_path / "cold.c").write_text("int cold(int a) { return a * 3; }\n")
    (tmp_path / "tools").mkdir()
    (tmp_path / "temporary").mkdir()
    (tmp_path / "tools" / "as").write_text(SLOW)
    (tmp_path / "tools" / "as").chmod(0o755)
    if request.param != "no project":
        (tmp_path / ".aicc").mkdir()
    if request.param.startswith("a store"):
        other = "cold.c" if request.param == "a store" else "hot.c"
        subprocess.run(["aicc", "-O2", "-c", other, "-o", "x.o"], cwd=tmp_path, check=True)
        assert own_bodies.fill(tmp_path / ".aicc", list(units.load_all(str(tmp_path / ".aicc"))))
    return tmp_path


def interrupted(directory: Path, compiler: str, slow: bool) -> tuple[int, list[str]]:
    """Exit status of a compile whose process group is interrupted, and the files that it leaves."""
    variables = {"TMPDIR": str(directory / "temporary")}
    if slow:
        variables["COMPILER_PATH"] = str(directory / "tools")
    source = ["hot.c"] if slow else ["-x", "c", "-"]
    process = subprocess.Popen(
        ["env", "--default-signal=INT", compiler, "-O2", "-c", *source, "-o", "out.o"],  # shells ignore it for `&`
        cwd=directory,
        env={**os.environ, **variables},
        stdin=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        process_group=0,
    )
    deadline = time.monotonic() + DEADLINE_S
    while not (directory / "started").exists() if slow else not running(process.pid, "cc1"):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)
    status = process.wait(DEADLINE_S)
    assert process.stdin
    process.stdin.close()
    while group(process.pid):
        assert time.monotonic() < deadline, "everything ended"
        time.sleep(0.01)
    (directory / "started").unlink(missing_ok=True)
    kept = (one for one in directory.rglob("*") if ".aicc" not in one.parts)
    return status, sorted(str(one.relative_to(directory)) for one in kept)


def group(leader: int) -> list[str]:
    """The names of the living processes of a process group."""
    found = []
    for one in Path("/proc").iterdir():
        if not one.name.isdigit():
            continue
        try:
            name, _, rest = (one / "stat").read_text().partition(") ")
        except OSError:
            continue  # it has ended
        state, _, process_group = rest.split()[:3]
        if int(process_group) == leader and state != "Z":
            found.append(name.partition("(")[2])
    return found


def running(leader: int, name: str) -> bool:
    return name in group(leader)


@pytest.mark.parametrize("slow", [False, True], ids=["while compiling", "while assembling"])
def test_an_interrupted_compile_leaves_nothing(directory: Path, slow: bool) -> None:
    expected = interrupted(directory, "gcc", slow)
    assert "out.o" not in expected[1]
    assert interrupted(directory, "aicc", slow) == expected
