"""aicc under other names: a directory of links in front of PATH switches a build over, and nothing drives itself."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SOURCE = "int add(int a, int b) { return a + b; }\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / ".aicc").mkdir()
    (tmp_path / "a.c").write_text(SOURCE)
    names = tmp_path / "names"
    names.mkdir()
    for name in ("gcc", "cc", "gcc-12", "x86_64-linux-gnu-gcc", "aicc-12"):
        (names / name).symlink_to(str(shutil.which("aicc")))
    (names / "g++").symlink_to(str(shutil.which("aic++")))
    return tmp_path


def run(project: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    path = f"{project / 'names'}:{os.environ['PATH']}"
    return subprocess.run(
        words, cwd=project, env={**os.environ, "PATH": path, **variables}, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("name", ["gcc", "cc", "gcc-12", "x86_64-linux-gnu-gcc", "g++", "aicc-12"])
def test_path_alone_switches_a_build_over(project: Path, name: str) -> None:
    done = run(project, name, "-O2", "-c", "a.c")
    assert (done.returncode, done.stderr) == (0, "")
    assert list((project / ".aicc" / "units").iterdir()), "the compile went past aicc"
    mine = (project / "a.o").read_bytes()
    plain = {"aicc-12": "gcc-12"}.get(name, name)
    subprocess.run([plain, "-O2", "-c", "a.c"], cwd=project, check=True)
    assert mine == (project / "a.o").read_bytes()


@pytest.mark.parametrize("order", ["{names}:{ccache}", "{ccache}:{names}"])
@pytest.mark.parametrize("in_project", [True, False])
def test_ccaches_masquerade_directory_and_ours_do_not_call_each_other_for_ever(
    project: Path, order: str, in_project: bool
) -> None:
    if not in_project:
        shutil.rmtree(project / ".aicc")
    (project / "ccache").mkdir()
    for name in ("gcc", "cc"):
        (project / "ccache" / name).symlink_to(str(shutil.which("ccache")))
    directories = order.format(names=project / "names", ccache=project / "ccache")
    for _ in range(3):  # what is known of a command is used again
        done = subprocess.run(
            ["timeout", "20", "gcc", "-O2", "-c", "a.c"],
            cwd=project,
            env={**os.environ, "PATH": f"{directories}:{os.environ['PATH']}", "CCACHE_DIR": str(project / "cached")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
    mine = (project / "a.o").read_bytes()
    subprocess.run(["gcc", "-O2", "-c", "a.c"], cwd=project, check=True)
    assert mine == (project / "a.o").read_bytes()


def test_outside_of_a_project_the_next_program_of_the_name_runs(project: Path) -> None:
    shutil.rmtree(project / ".aicc")
    done = run(project, "gcc", "-dumpfullversion")
    assert done.stdout == subprocess.run(["gcc", "-dumpfullversion"], capture_output=True, text=True, check=True).stdout


def test_a_compiler_that_is_not_there_is_one_line(project: Path) -> None:
    (project / "names" / "no-such-gcc").symlink_to(str(shutil.which("aicc")))
    done = run(project, "no-such-gcc", "-c", "a.c")
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "no-such-gcc: error: compiler 'no-such-gcc' not found: install it or set AICC_CC to another one"
    ]


@pytest.mark.parametrize("name", ["aicc", "ccache aicc", "{names}/gcc"])
def test_naming_aicc_as_its_own_compiler_is_one_line(project: Path, name: str) -> None:
    done = run(project, "aicc", "-c", "a.c", AICC_CC=name.format(names=project / "names"))
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "names aicc itself" in done.stderr


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ("./junk", "cannot run ./junk: Exec format error: set AICC_CC to a compiler"),
        ("./a.c", "'./a.c' (from AICC_CC) is not an executable file: set AICC_CC to a compiler"),
        ("ccache", "AICC_CC ('ccache') names no compiler: write 'ccache gcc'"),
        ("ccache missing", "compiler 'missing' (from AICC_CC) not found: install it or set AICC_CC to another one"),
        ("gcc '", "AICC_CC is not well quoted: No closing quotation"),
    ],
)
def test_a_compiler_that_cannot_be_used_is_one_line_that_says_what_to_do(project: Path, named: str, said: str) -> None:
    (project / "junk").write_text("garbage")
    (project / "junk").chmod(0o755)
    done = run(project, "aicc", "-c", "a.c", AICC_CC=named)
    assert (done.returncode, done.stderr) == (1, f"aicc: error: {said}\n")


def test_a_script_that_leads_back_to_aicc_ends_at_the_compiler(project: Path) -> None:
    script = project / "wrapped"
    script.write_text('#!/bin/sh\nexec gcc "$@"\n')
    script.chmod(0o755)
    done = run(project, "aicc", "-O2", "-c", "a.c", AICC_CC=str(script))
    assert (done.returncode, done.stderr) == (0, "")
