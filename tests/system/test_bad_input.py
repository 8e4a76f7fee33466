"""What users get wrong: one clear line each; and where GCC can still do the job, it does."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import own_bodies
import pytest

from compiler_ai.driver import units

SOURCE = "int hot(int n) { int s = 0; while (n--) s += n ^ s; return s; }\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / ".aicc").mkdir()
    (tmp_path / "a.c").write_text(SOURCE)
    return tmp_path


def run(directory: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words, cwd=directory, env={**os.environ, **variables}, capture_output=True, text=True, check=False
    )


def built(directory: Path, **variables: str) -> bytes:
    """The object of a compile that has to succeed without a word."""
    done = run(directory, "aicc", "-O2", "-c", "a.c", **variables)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    return (directory / "a.o").read_bytes()


def gccs(directory: Path) -> bytes:
    assert run(directory, "gcc", "-O2", "-c", "a.c").returncode == 0
    return (directory / "a.o").read_bytes()


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ("-faicc-plugin=/nonexistent.py", "-faicc-plugin=/nonexistent.py: there is no such file"),
        ("-fdump-aicc-verif", "-fdump-aicc-verif: there is no such pass: write propose, screen, "),
    ],
)
@pytest.mark.parametrize("mode", ["apply", "tune"])
def test_what_is_asked_for_and_cannot_be_had_is_said_and_gcc_compiles(
    argument: str, said: str, mode: str, project: Path
) -> None:
    expected = gccs(project)
    done = run(project, "aicc", "-O2", "-c", "a.c", argument, f"-faicc-mode={mode}")
    assert (done.returncode, done.stderr.count("\n"), done.stdout) == (0, 1, "")
    assert done.stderr.startswith(f"aicc: {said}")
    assert (project / "a.o").read_bytes() == expected


def test_tuning_without_a_profile_says_what_to_do_first(project: Path) -> None:
    done = run(project, "aicc", "-O2", "-c", "a.c", "-faicc-mode=tune")
    assert (done.returncode, done.stderr.count("\n")) == (0, 1)
    assert done.stderr.endswith("profile.json: run 'aicc-tool profile -- COMMAND' first\n")


@pytest.mark.parametrize(
    ("arguments", "variables", "said"),
    [
        (["-faicc-mod=off"], {}, "unrecognized command-line option '-faicc-mod=off'; did you mean '-faicc-mode='?"),
        (["-faicc-zzz"], {}, "unrecognized command-line option '-faicc-zzz'"),
        (["-faicc-mode=aply"], {}, "'aply' is not valid for '-faicc-mode=', which takes off, apply, tune; did you mean 'apply'?"),
        (["-faicc-mode="], {}, "missing argument to '-faicc-mode='"),
        (["-faicc-mode"], {}, "missing argument to '-faicc-mode='"),
        (["-faicc-budget=long"], {}, "'long' is not a duration for '-faicc-budget=': write 90s, 10m or 1h"),
        (["-fdump-aicc-"], {}, "unrecognized command-line option '-fdump-aicc-'; did you mean '-fdump-aicc-all'?"),
        (["-faicc-plugin-arg-x"], {}, "malformed '-faicc-plugin-arg-x': write -faicc-plugin-arg-<name>-<key>[=<value>]"),
        ([], {"AICC_MODE": "fast"}, "'fast' is not valid for 'AICC_MODE', which takes off, apply, tune"),
        ([], {"AICC_FLAGS": "-O3"}, "AICC_FLAGS takes only aicc's own options, not '-O3'"),
        ([], {"AICC_FLAGS": "'"}, "AICC_FLAGS is not well quoted: No closing quotation"),
        ([], {"AICC_CC": "nothing"}, "compiler 'nothing' (from AICC_CC) not found: install it or set AICC_CC to another one"),
        ([], {"AICC_CC": "aicc"}, "AICC_CC ('aicc') names aicc itself: set it to the compiler that aicc is to drive"),
    ],
    ids=lambda one: " ".join(map(str, one)) if one and not isinstance(one, str) else "",
)  # fmt: skip
def test_a_command_that_cannot_be_meant_is_one_line(
    project: Path, arguments: list[str], variables: dict[str, str], said: str
) -> None:
    for directory in (project, project / "sub"):
        directory.mkdir(exist_ok=True)
        done = run(directory, "aicc", *arguments, "-c", str(project / "a.c"), **variables)
        assert (done.returncode, done.stdout, done.stderr) == (1, "", f"aicc: error: {said}\n")
    shutil.rmtree(project / ".aicc")
    done = run(project, "aicc", *arguments, "-c", "a.c", **variables)
    assert (done.returncode, done.stderr) == (1, f"aicc: error: {said}\n"), "outside of a project too"


def test_a_compiler_that_is_broken_fails_as_it_does_alone(project: Path) -> None:
    (project / "gcc-broken").write_text("#!/bin/sh\necho 'gcc: internal error' >&2\nexit 4\n")
    (project / "gcc-broken").chmod(0o755)
    done = run(project, "aicc", "-c", "a.c", AICC_CC="./gcc-broken")
    assert (done.returncode, done.stderr) == (4, "gcc: internal error\n")


@pytest.mark.parametrize("part", [".aicc", ".aicc/units", ".aicc/store", ".aicc/log", ".aicc/cache"])
def test_a_project_that_cannot_be_written_or_read_is_gccs_build(project: Path, part: str) -> None:
    expected = gccs(project)
    shutil.rmtree(project / ".aicc")
    (project / part).parent.mkdir(exist_ok=True)
    if part == ".aicc/log":
        (project / part).mkdir()
    else:
        (project / part).write_text("in the way")
    assert built(project) == expected
    if part == ".aicc/units":
        (line,) = (project / ".aicc" / "log").read_text().splitlines()
        assert "cannot record how a.c is compiled" in line


def test_a_project_that_is_named_and_not_there_is_made(project: Path) -> None:
    expected = gccs(project)
    assert built(project, AICC_DIR=str(project / "new")) == expected
    assert built(project, AICC_DIR="/proc/none") == expected


def test_a_store_of_a_newer_aicc_is_gccs_build_and_one_line_a_compile(project: Path) -> None:
    expected = gccs(project)
    built(project)
    assert own_bodies.fill(project / ".aicc", list(units.load_all(str(project / ".aicc")))) == ["hot"]
    assert built(project) != expected
    lock = project / ".aicc" / "store" / "lock.toml"
    lock.write_text(lock.read_text().replace("version = 1\n", "version = 2\n"))
    assert built(project) == expected
    (line,) = (project / ".aicc" / "log").read_text().splitlines()
    assert line.endswith("store format 2 was written by a newer aicc; this one reads up to 1: upgrade aicc")
    said = run(project, "aicc-tool", "store", "list")
    assert said.returncode == 1
    (line,) = said.stderr.splitlines()
    assert "newer aicc" in line
    assert "upgrade aicc" in line
