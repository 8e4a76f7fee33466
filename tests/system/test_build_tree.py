"""Programs that are not built, or do not lie, below the project's directory: in a build tree beside the source's, or installed."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from compiler_ai.driver import units

SOURCE = """
#include <stdio.h>
#include <stdlib.h>
__attribute__((noinline)) unsigned hot(unsigned n) { unsigned s = 1; for (unsigned i = 0; i < n; i++) s = s * 31 + (s >> 7) + i; return s; }
int main(int argc, char **argv) { unsigned s = 0; for (int i = 0; i < atoi(argv[argc - 1]); i++) s += hot(100000 + i); printf("%u\\n", s); return 0; }
"""


def run(*words: str | Path, cwd: Path, status: int = 0, **environment: str) -> str:
    done = subprocess.run(
        [str(word) for word in words], cwd=cwd, env={**os.environ, **environment},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == status, done.stdout
    return done.stdout


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """`src`, a project, and `build` beside it."""
    (tmp_path / "build").mkdir()
    (tmp_path / "src" / ".aicc").mkdir(parents=True)
    (tmp_path / "src" / "prog.c").write_text(SOURCE)
    return tmp_path / "src"


def recorded(project: Path) -> list[str]:
    return [one.object_path for one in units.load_all(str(project / ".aicc"))]


def profile(program: Path | str, cwd: Path, status: int = 0, **environment: str) -> str:
    return run("aicc-tool", "profile", "--no-captures", "--", program, "1000", cwd=cwd, status=status, **environment)


@pytest.mark.parametrize("given", ["../src/prog.c", "{source}/prog.c"], ids=["relative", "absolute"])
def test_a_compile_in_a_build_tree_belongs_to_the_sources_project(source: Path, given: str) -> None:
    build = source.parent / "build"
    for _ in range(2):  # the second time without an interpreter
        run("aicc", "-O2", "-c", given.format(source=source), "-o", "prog.o", cwd=build)
        assert recorded(source) == [f"{build}/prog.o"]
    assert list((source / ".aicc" / "cache" / "known").glob("*.known"))
    run("aicc", "prog.o", "-o", "prog", cwd=build)
    assert "  hot" in profile("../build/prog", source)


def test_a_working_directory_with_a_project_of_its_own_keeps_it(source: Path) -> None:
    (source.parent / "build" / ".aicc").mkdir()
    run("aicc", "-O2", "-c", "../src/prog.c", cwd=source.parent / "build")
    assert (len(recorded(source.parent / "build")), recorded(source)) == (1, [])


@pytest.mark.skipif(os.getuid() != 0, reason="files of other users")
def test_a_strangers_project_above_the_source_counts_as_none(source: Path) -> None:
    os.chown(source / ".aicc", 65534, 65534)
    os.chown(source, 65534, 65534)
    run("aicc", "-O2", "-c", "../src/prog.c", cwd=source.parent / "build")
    assert recorded(source) == []


def test_cmake_in_a_build_tree(source: Path) -> None:
    (source / "CMakeLists.txt").write_text(
        "project(prog C)\ncmake_minimum_required(VERSION 3.10)\nadd_executable(prog prog.c)\n"
    )
    run("cmake", "-S", ".", "-B", "../build", "-DCMAKE_BUILD_TYPE=Release", cwd=source, CC="aicc")
    run("make", "-C", "../build", cwd=source)
    assert "  hot" in profile("../build/prog", source)


def test_an_installed_program_is_known_by_its_code(source: Path) -> None:
    run("aicc", "-O2", "prog.c", "-o", "prog", cwd=source)
    shutil.move(source / "prog", source.parent / "installed")
    assert "  hot" in profile("../installed", source)


def test_aicc_dir_names_the_project_for_compiler_and_tools(source: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere" / ".aicc"
    build = source.parent / "build"
    run("aicc", "-O2", "../src/prog.c", "-o", "prog", cwd=build, AICC_DIR=str(elsewhere))
    assert "  hot" in profile("./prog", build, AICC_DIR=str(elsewhere))


def test_a_program_of_nobodys_is_said_to_be_with_what_to_do(source: Path) -> None:
    build = source.parent / "build"
    run("gcc", "-O2", "../src/prog.c", "-o", "prog", cwd=build)
    said = profile("../build/prog", source, status=1)
    assert "0% of all samples" in said
    assert f"nothing to tune: no compile of this program is recorded in {source}/.aicc: build it with CC=aicc" in said
    assert f"AICC_DIR={source}/.aicc" in said


def test_a_program_of_other_code_is_not_the_projects(source: Path) -> None:
    run("aicc", "-O2", "-c", "prog.c", cwd=source)
    run("gcc", "-O0", "prog.c", "-o", "../build/prog", cwd=source)
    assert "nothing to tune: no sample is in code of the units recorded in" in profile(
        "../build/prog", source, status=1
    )
