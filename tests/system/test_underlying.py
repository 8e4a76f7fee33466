"""What aicc may be asked to drive, each in a project whose store has a rewrite: objects are that compiler's or have the rewrite."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import own_bodies
import pytest

from compiler_ai.driver import units

SOURCE = (
    "int hot(int n) { int s = 0; while (n--) s += n ^ s; return s; }\nint main(void) { return hot(3) != 1 && 0; }\n"
)
# As distcc does it: another process, on another machine, that knows nothing of our environment or descriptors.
ELSEWHERE = '#!/bin/sh\nexec env -i PATH="$PATH" "$@"\n'
PASSES_ON = '#!/bin/sh\nexec "$@"\n'


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / ".aicc").mkdir()
    (tmp_path / "hot.c").write_text(SOURCE)
    assert compiled(tmp_path, "aicc") == compiled(tmp_path, "gcc")
    assert own_bodies.fill(tmp_path / ".aicc", list(units.load_all(str(tmp_path / ".aicc"))), only="hot") == ["hot"]
    assert compiled(tmp_path, "aicc") != compiled(tmp_path, "gcc")
    return tmp_path


def run(directory: Path, *words: str, **variables: str) -> None:
    path = f"{directory / 'bin'}:{os.environ['PATH']}"
    done = subprocess.run(
        words, cwd=directory, env={**os.environ, "PATH": path, **variables}, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, ""), words


def compiled(directory: Path, *command: str, **variables: str) -> bytes:
    run(directory, *command, "-O2", "-c", "hot.c", "-o", "hot.o", **variables)
    return (directory / "hot.o").read_bytes()


def program(directory: Path, name: str, text: str) -> None:
    (directory / "bin").mkdir(exist_ok=True)
    (directory / "bin" / name).write_text(text)
    (directory / "bin" / name).chmod(0o755)


@pytest.mark.parametrize("flags", [(), ("-fno-integrated-as",), ("-fno-integrated-as", "-g"), ("-flto",)], ids=" ".join)
def test_clang(project: Path, flags: tuple[str, ...]) -> None:
    clang = shutil.which("clang-19")
    assert clang, "clang-19 is not installed"
    assert compiled(project, "aicc", *flags, AICC_CC=clang) == compiled(project, clang, *flags)
    run(project, "aicc", *flags[:1], "hot.c", "-o", "prog", AICC_CC=clang)
    run(project, "./prog")
    assert not (project / ".aicc" / "log").exists()


@pytest.mark.parametrize("name", ["distcc", "icecc", "sccache", "mine"])
@pytest.mark.parametrize("compiler", ["gcc", "gcc -m64"])
def test_a_wrapper_that_compiles_elsewhere(project: Path, name: str, compiler: str) -> None:
    program(project, name, ELSEWHERE)
    assert compiled(project, "aicc", AICC_CC=f"{name} {compiler}") == compiled(project, *compiler.split())


@pytest.mark.parametrize("wrapper", ["env", "nice -n 1", "distcc"])
def test_a_wrapper_that_compiles_here(project: Path, wrapper: str) -> None:
    program(project, "distcc", PASSES_ON)
    mine = compiled(project, "aicc", AICC_CC=f"{wrapper} gcc")
    assert mine in (compiled(project, "gcc"), compiled(project, "aicc"))


def test_a_compiler_with_arguments_of_its_own_gets_the_rewrite(project: Path) -> None:
    assert compiled(project, "aicc", AICC_CC="gcc -pipe") == compiled(project, "aicc") != compiled(project, "gcc")


def test_a_cross_compiler_by_prefix(project: Path) -> None:
    (project / "bin").mkdir()
    (project / "bin" / "x86_64-linux-gnu-aicc").symlink_to(str(shutil.which("aicc")))
    assert compiled(project, "x86_64-linux-gnu-aicc") == compiled(project, "aicc")
