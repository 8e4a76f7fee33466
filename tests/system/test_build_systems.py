"""The examples of make, CMake, autotools and Meson: built by aicc they are GCC's, and rewrites get into them."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import object_code
import own_bodies
import pytest

from compiler_ai.driver import units

EXAMPLES = Path(__file__).parents[2] / "examples"
GCC = {"CC": "gcc", "CXX": "g++", "AR": "gcc-ar"}
AICC = {"CC": "aicc", "CXX": "aic++", "AR": "aicc-ar"}


@dataclass(frozen=True)
class Example:
    """A project, how a shell builds it in its own directory, how it tests itself, and how it is made clean again."""

    name: str
    build: str
    test: str
    clean: str
    hot: tuple[str, ...]
    says: str = ""  # what configuring has to print


MAKE = Example("make", "make -j4", "make check", "make clean", ("count_letters", "rank_letters"))
CMAKE = Example(
    "cmake",
    "cmake -S . -B build -G Ninja && cmake --build build",
    "ctest --test-dir build --output-on-failure",
    "rm -rf build",
    ("histogram",),
    "compiler id: GNU",
)
AUTOTOOLS = Example(
    "autotools",
    "test -x configure || autoreconf -i; ./configure --enable-shared --enable-static && make -j4",
    "make check && ldd .libs/fold | grep -q libfold.so.1 && ar t .libs/libfold.a",
    "make distclean",
    ("fold",),
)
MESON = Example(
    "meson",
    "meson setup build && meson compile -C build",
    "meson test -C build",
    "rm -rf build",
    ("transpose",),
    "compiler id: gcc",
)


class Tree:
    """A copy of an example's files."""

    def __init__(self, example: Example, directory: Path) -> None:
        self.example, self.directory = example, directory / example.name
        shutil.copytree(EXAMPLES / example.name, self.directory)

    @property
    def project(self) -> Path:
        return self.directory / ".aicc"

    def shell(self, line: str, **variables: str) -> str:
        environment = {**os.environ, "LC_ALL": "C", **variables}
        done = subprocess.run(
            ["/bin/sh", "-ec", line], cwd=self.directory, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def built(self, kept: Path, build: str = "", **variables: str) -> dict[str, bytes]:
        """Build, run the project's own tests, copy the objects to `kept`; their contents by name."""
        said = self.shell(build or self.example.build, **variables)
        assert self.example.says in said
        self.shell(self.example.test, **variables)
        objects = sorted(self.directory.rglob("*.o"))
        assert objects
        result = {}
        for one in objects:
            name = str(one.relative_to(self.directory))
            result[name] = one.read_bytes()
            (kept / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(one, kept / name)
        return result

    def clean(self) -> None:
        self.shell(self.example.clean)


@pytest.mark.parametrize(
    "example", [MAKE, CMAKE, pytest.param(AUTOTOOLS, marks=pytest.mark.full), MESON], ids=lambda one: one.name
)
def test_an_example_is_gccs_and_gets_its_rewrites(example: Example, tmp_path: Path) -> None:
    tree = Tree(example, tmp_path)
    plain = tree.built(tmp_path / "plain", **GCC)
    tree.clean()
    tree.project.mkdir()
    assert tree.built(tmp_path / "same", **AICC) == plain, "without rewrites every object is GCC's"

    commands = [one for one in units.load_all(str(tree.project)) if (tree.directory / Path(one.source).name).exists()]
    stored = set(own_bodies.fill(tree.project, commands))
    assert set(example.hot) <= stored
    tree.clean()
    assert tree.built(tmp_path / "rewritten", **AICC).keys() == plain.keys()
    changed: set[str] = set()
    for name in plain:
        changed |= object_code.differing(tmp_path / "plain" / name, tmp_path / "rewritten" / name)
    assert set(example.hot) <= changed <= stored, "what has a rewrite changed, and nothing else"
    assert not (tree.project / "log").exists()


@pytest.mark.parametrize(
    ("example", "build"),
    [
        (CMAKE, "cmake -S . -B build -DCMAKE_TOOLCHAIN_FILE=$(aicc-tool toolchain cmake) && cmake --build build"),
        pytest.param(
            MESON,
            'meson setup build --native-file "$(aicc-tool toolchain meson)" && meson compile -C build',
            marks=pytest.mark.full,
        ),
    ],
    ids=["cmake", "meson"],
)
def test_the_file_for_a_build_system_names_aicc(example: Example, build: str, tmp_path: Path) -> None:
    tree = Tree(example, tmp_path)
    tree.project.mkdir()
    tree.built(tmp_path / "kept", build)
    assert {Path(one.source).name for one in units.load_all(str(tree.project))} >= {
        path.name for path in (EXAMPLES / example.name).glob("*.c")
    }


@pytest.mark.full
def test_link_time_optimisation_in_cmake_uses_archive_tools_that_know_its_objects(tmp_path: Path) -> None:
    tree = Tree(CMAKE, tmp_path)
    tree.project.mkdir()
    configure = "cmake -S . -B build -DWHOLE_PROGRAM=ON -DCMAKE_TOOLCHAIN_FILE=$(aicc-tool toolchain cmake)"
    said = tree.shell(f"{configure} && cmake --build build -v && {CMAKE.test}")
    assert "aicc-ar" in said


def test_a_directory_in_front_of_path_switches_a_makefile_over(tmp_path: Path) -> None:
    tree = Tree(MAKE, tmp_path)
    plain = tree.built(tmp_path / "plain", CC="gcc")
    tree.clean()
    tree.project.mkdir()
    names = tmp_path / "names"
    said = tree.shell(f"aicc-tool toolchain masquerade {names}; aicc-tool toolchain masquerade {names}")
    assert f'PATH="{names}:$PATH"' in said
    assert {"gcc", "cc", "g++", "c++"} <= {one.name for one in names.iterdir()}
    assert tree.built(tmp_path / "same", CC="gcc", PATH=f"{names}:{os.environ['PATH']}") == plain
    assert len(list(units.load_all(str(tree.project)))) == 3


def test_a_directory_with_files_of_somebody_is_not_filled_with_links(tmp_path: Path) -> None:
    (tmp_path / "gcc").write_text("mine\n")
    done = subprocess.run(
        ["aicc-tool", "toolchain", "masquerade", str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        f"aicc-tool toolchain: error: {tmp_path}/gcc is not a link to aicc: name a directory of its own"
    ]
    assert (tmp_path / "gcc").read_text() == "mine\n"
