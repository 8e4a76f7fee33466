"""A command that was seen before is done again without an interpreter, and never when anything that decides about it has changed."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import own_bodies
import pytest

from compiler_ai.driver import units
from compiler_ai.store.store import Store

SOURCE = "int hot(int n) { int s = 0; for (int i = 0; i < n; i++) s += i * i ^ s; return s; }\nint cold(int n) { return n / 3; }\n"
WORDS = ("-O2", "-c", "hot.c", "-o", "hot.o")


class Project:
    """A directory with a source, how gcc compiles it, and how aicc does."""

    def __init__(self, directory: Path) -> None:
        self.directory, self.aicc = directory, directory / ".aicc"
        self.environment = dict(os.environ)

    def compile(self, *words: str) -> bool:
        """Whether an interpreter started for it; the compile works."""
        launcher = shutil.which("aicc", path=self.environment["PATH"])
        assert launcher
        done = subprocess.run(
            ["/bin/sh", "-x", launcher, *(words or WORDS)],
            cwd=self.directory, env=self.environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert (done.returncode, done.stdout) == (0, ""), done.stderr
        return any(line.startswith("+ exec ") and " -I -S " in line for line in done.stderr.splitlines())

    @property
    def object(self) -> bytes:
        return (self.directory / "hot.o").read_bytes()

    @property
    def gccs(self) -> bytes:
        subprocess.run(["gcc", *WORDS[:-1], "gcc.o"], cwd=self.directory, env=self.environment, check=True)
        return (self.directory / "gcc.o").read_bytes()

    def add_rewrite(self) -> None:
        assert own_bodies.fill(self.aicc, list(units.load_all(str(self.aicc))), only="hot") == ["hot"]
        time.sleep(0.15)  # what changed just now is not relied on

    def known(self) -> Path:
        (found,) = (self.aicc / "cache" / "known").glob("*.known")
        return found

    def applied(self) -> bool:
        """Whether the shim need not look for the store's functions next time."""
        return self.known().with_suffix(".applied").exists()


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """No rewrites, and the command is known."""
    one = Project(tmp_path / "project")
    one.aicc.mkdir(parents=True)
    (one.directory / "hot.c").write_text(SOURCE)
    assert one.compile()
    return one


@pytest.fixture
def rewritten(project: Project) -> Project:
    """A rewrite of `hot`, and the command is known."""
    project.add_rewrite()
    assert project.compile()
    assert project.object != project.gccs
    return project


def test_without_a_store_gcc_runs_at_once(project: Project) -> None:
    assert not project.compile()
    assert project.object == project.gccs


def test_with_a_store_the_rewrite_is_spliced(rewritten: Project) -> None:
    spliced = rewritten.object
    (rewritten.directory / "hot.o").unlink()
    assert not rewritten.compile()
    assert rewritten.object == spliced
    assert not (rewritten.aicc / "log").exists()
    assert not list(Path("/dev/shm").glob("aicc-trees-*"))


def test_no_file_of_ours_may_be_taken_for_an_object(rewritten: Project) -> None:
    assert {file.suffix for file in (rewritten.aicc / "cache" / "known").iterdir()} == {".known", ".applied"}


def test_the_source_may_have_changed(rewritten: Project) -> None:
    for source, applies in ((SOURCE.replace("i * i", "i * 3"), False), (SOURCE.replace("/ 3", "/ 5"), True)):
        (rewritten.directory / "hot.c").write_text(source)
        for _ in range(2):
            assert not rewritten.compile()
            assert (rewritten.object != rewritten.gccs) == applies
            assert rewritten.applied() == applies


def test_a_function_that_has_gone(rewritten: Project) -> None:
    assert rewritten.applied()
    (rewritten.directory / "hot.c").write_text(SOURCE.replace("hot", "warm"))
    for _ in range(2):
        assert not rewritten.compile()
        assert rewritten.object == rewritten.gccs
        assert not rewritten.applied()


def put_in_front(project: Project, path: Path, script: str) -> None:
    """A shell script that PATH leads to before the program of that name."""
    path.parent.mkdir()
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    project.environment["PATH"] = f"{path.parent}:{project.environment['PATH']}"


def test_a_unit_that_took_a_rewrite_last_time_is_not_searched_for_names(rewritten: Project, tmp_path: Path) -> None:
    script = f'echo . >>{tmp_path}/searches\nexec {shutil.which("grep")} "$@"'
    put_in_front(rewritten, tmp_path / "bin" / "grep", script)
    rewritten.known().with_suffix(".applied").unlink()
    for _ in range(3):
        rewritten.compile()
        assert rewritten.object != rewritten.gccs
        assert (tmp_path / "searches").read_text() == ".\n"


def test_the_assembler_sees_the_same_environment(rewritten: Project, tmp_path: Path) -> None:
    put_in_front(rewritten, tmp_path / "bin" / "as", f'env -0 >{tmp_path}/seen\nexec /usr/bin/as "$@"')
    environments = []
    for starts in (True, False):
        assert rewritten.compile() == starts
        words = dict(one.split("=", 1) for one in (tmp_path / "seen").read_text().split("\0") if one)
        assert words.pop("AICC_SHIM_TREES")
        words["COLLECT_GCC_OPTIONS"] = words["COLLECT_GCC_OPTIONS"].partition("'-O2'")[2]
        environments.append(words)
    assert environments[0] == environments[1]


def drop(project: Project) -> None:
    Store(project.aicc).drop("hot")


def other_gcc(project: Project) -> None:
    (project.directory / "bin").mkdir()
    (project.directory / "bin" / "gcc").write_text('#!/bin/sh\nexec /usr/bin/gcc "$@"\n')
    (project.directory / "bin" / "gcc").chmod(0o755)
    project.environment["PATH"] = f"{project.directory}/bin:{project.environment['PATH']}"


def move(project: Project) -> None:
    moved = project.directory.with_name("moved")
    project.directory.rename(moved)
    project.directory, project.aicc = moved, moved / ".aicc"


def inner_project(project: Project) -> None:
    (project.directory / "sub").mkdir()
    (project.directory / "sub" / ".aicc").mkdir()
    shutil.copy(project.directory / "hot.c", project.directory / "sub")
    project.directory /= "sub"


GCCS, SAME = True, False


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (drop, GCCS),
        (lambda one: (one.aicc / "store" / "lock.toml").unlink(), GCCS),
        (lambda one: next((one.aicc / "store").glob("*.asm")).write_text("\tnop\n"), None),
        (lambda one: one.environment.update(C_INCLUDE_PATH="/nowhere"), SAME),
        (lambda one: one.environment.update(AICC_MODE="off"), GCCS),
        (lambda one: one.environment.update(AICC_MODEL_SAMPLES="3"), SAME),
        (lambda one: (one.aicc / "objects").mkdir(), SAME),
        (lambda one: shutil.rmtree(one.aicc / "units"), SAME),
        (lambda one: next((one.aicc / "units").iterdir()).write_text("damaged"), SAME),
        (other_gcc, GCCS),
        (move, SAME),
        (inner_project, GCCS),
    ],
    ids=["dropped", "no lock.toml", "damaged body", "environment", "mode", "model", "objects", "no record", "damaged record",
         "another gcc", "moved", "inner project"],
)  # fmt: skip
def test_what_has_changed_counts(
    rewritten: Project, change: Callable[[Project], object], expected: bool | None
) -> None:
    """`expected`: whether the object is gcc's then, or the rewritten one. None: the launcher need not see it, the shim does."""
    spliced = rewritten.object
    change(rewritten)
    assert rewritten.compile() == (expected is not None)
    assert rewritten.object == (spliced if expected is SAME else rewritten.gccs)
    assert len(list((rewritten.aicc / "units").iterdir())) >= 1
    assert "damaged" not in next((rewritten.aicc / "units").iterdir()).read_text()


def test_a_store_that_was_not_there_counts(project: Project) -> None:
    project.add_rewrite()
    assert project.compile()
    assert project.object != project.gccs
    assert not project.compile()


def test_another_command_is_another(rewritten: Project) -> None:
    assert rewritten.compile("-O1", *WORDS[1:])
    assert rewritten.compile("-O2", "-DX= ", *WORDS[1:])
    assert rewritten.compile("-O2", "-DX=", *WORDS[1:])
    assert not rewritten.compile("-O2", "-DX=", *WORDS[1:])


def test_words_that_cannot_be_told_line_by_line_are_not_kept(rewritten: Project) -> None:
    for _ in range(2):
        assert rewritten.compile("-O2", "-DX=1\n", *WORDS[1:])
        assert rewritten.compile("-O2", "-DX=" + 9000 * "1", *WORDS[1:])
    assert rewritten.object != rewritten.gccs


def test_a_cut_file_is_not_used(rewritten: Project) -> None:
    spliced, whole = rewritten.object, rewritten.known().read_bytes()
    for length in range(0, len(whole), max(1, len(whole) // 25)):
        rewritten.known().write_bytes(whole[:length])
        assert rewritten.compile()
        assert rewritten.object == spliced
        assert rewritten.known().read_bytes() == whole


@pytest.mark.parametrize("what", ["directory", "unreadable", "no cache"])
def test_a_file_that_cannot_be_had_costs_time_alone(rewritten: Project, what: str) -> None:
    spliced, path = rewritten.object, rewritten.known()
    path.unlink()
    if what == "directory":
        path.mkdir()
    elif what == "unreadable":
        path.symlink_to(path)
    else:
        shutil.rmtree(rewritten.aicc / "cache")
        (rewritten.aicc / "cache").write_text("in the way")
    assert rewritten.compile()
    assert rewritten.object == spliced


@pytest.mark.parametrize(("theirs", "free"), [(8, 9), (9, 8)])
def test_a_descriptor_of_the_callers_is_left_alone(rewritten: Project, tmp_path: Path, theirs: int, free: int) -> None:
    spliced = rewritten.object
    (tmp_path / "theirs").write_text("theirs")
    (tmp_path / "bin").mkdir()
    seen = tmp_path / "bin" / "as"
    seen.write_text(f'#!/bin/sh\nls /proc/$$/fd >{tmp_path}/seen\nexec /usr/bin/as "$@"\n')
    seen.chmod(0o755)
    rewritten.environment["PATH"] = f"{tmp_path}/bin:{rewritten.environment['PATH']}"
    assert rewritten.compile()  # PATH counts
    words = ["/bin/sh", "-c", f"exec {theirs}<>{tmp_path}/theirs; exec aicc {' '.join(WORDS)}"]
    subprocess.run(words, cwd=rewritten.directory, env=rewritten.environment, check=True)
    assert rewritten.object == spliced
    assert (tmp_path / "theirs").read_text() == "theirs"
    descriptors = (tmp_path / "seen").read_text().split()
    assert str(theirs) in descriptors
    assert str(free) not in descriptors, "nothing stays open of a way that was not taken"
