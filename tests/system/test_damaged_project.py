"""Whatever has happened to .aicc, or happens during a build: an object is GCC's byte for byte or has intact rewrites."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Iterable
from pathlib import Path

import pytest
from plug import DAMAGE, Project, add_rewrites, gccs, make_built, on_small_disk, until

from compiler_ai.store.store import Store


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The project built by GCC, objects in gcc/; then a store with rewrites, and its build's object in rewritten/."""
    project = make_built(tmp_path_factory.mktemp("built"))
    add_rewrites(project)
    project.build()
    (project.directory.parent / "rewritten").mkdir()
    for name in ("main.o", "sums.o"):
        shutil.copy(project.directory / name, project.directory.parent / "rewritten")
    assert (project.directory / "sums.o").read_bytes() != gccs(project, "sums.o")
    shutil.copytree(project.aicc, project.directory.parent / "saved")
    return project


@pytest.fixture
def project(built: Project) -> Project:
    shutil.rmtree(built.aicc)
    shutil.copytree(built.directory.parent / "saved", built.aicc)
    return built


def compiled(project: Project, *options: str) -> bytes:
    """sums.o, compiled silently."""
    done = project.run("aicc", "-O1", *options, "-c", "sums.c")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    return (project.directory / "sums.o").read_bytes()


def rewritten(project: Project) -> bytes:
    return (project.directory.parent / "rewritten" / "sums.o").read_bytes()


def complaints(project: Project) -> list[str]:
    """What `aicc-tool store verify` says, which must be something."""
    lines = Store(project.aicc).verify()
    assert lines
    assert not any("\n" in line for line in lines)
    return lines


def some(names: Iterable[str], *default: str) -> list[object]:
    """The names as parameters, all but `default` for `make test-full` only."""
    return [name if name in default else pytest.param(name, marks=pytest.mark.full) for name in names]


@pytest.mark.parametrize("damage", some(DAMAGE, "truncated", "a loop"))
def test_a_damaged_file_of_the_store_costs_its_own_entry(project: Project, damage: str) -> None:
    """Both entries are of one unit, so the object has the other rewrite; with both damaged it is GCC's."""
    spoilt = []
    for suffix in (".asm", ".json"):
        path = next((project.aicc / "store").glob(f"sum_squares-*{suffix}"))
        whole = path.read_bytes()
        DAMAGE[damage](path)
        spoilt.append(compiled(project))
        assert any(path.stem in line for line in complaints(project))
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)
        path.write_bytes(whole)
    assert spoilt[0] == spoilt[1]
    assert spoilt[0] not in (rewritten(project), gccs(project, "sums.o"))
    for path in (project.aicc / "store").glob("*.json"):
        DAMAGE[damage](path)
    assert compiled(project) == gccs(project, "sums.o")
    assert "sum_squares: its rewrite is missing or damaged" in (project.aicc / "log").read_text()


@pytest.mark.parametrize("damage", some(DAMAGE, "garbage"))
def test_a_damaged_lock_file_is_gccs_object_or_intact_rewrites(project: Project, damage: str) -> None:
    DAMAGE[damage](project.aicc / "store" / "lock.toml")
    made = compiled(project)
    assert made == gccs(project, "sums.o") or damage == "truncated"
    assert made != rewritten(project)
    complaints(project)


@pytest.mark.parametrize(
    "version", some(["2", "0", "-1", "one", "[1]", "1" * 5000], "2", "1" * 5000), ids=lambda text: text[:4]
)
def test_a_store_of_another_version_is_gccs_object(project: Project, version: str) -> None:
    path = project.aicc / "store" / "lock.toml"
    path.write_text(path.read_text().replace("version = 1\n", f"version = {version}\n"))
    assert compiled(project) == gccs(project, "sums.o")
    done = project.run("aicc-tool", "store", "verify")
    assert (done.returncode, done.stderr) == (1, "")
    assert "format" in done.stdout.splitlines()[0]
    assert len(done.stdout.splitlines()) <= 2


@pytest.mark.parametrize("name", ["store", "units", "log"])
@pytest.mark.parametrize("what", some(["a file", "a directory", "a loop", "nothing"], "a file"))
def test_something_else_in_the_place_of_a_part_of_the_project_breaks_no_build(
    project: Project, name: str, what: str
) -> None:
    path = project.aicc / name
    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    if what == "a file":
        path.write_bytes(b"\0\xff")
    elif what == "a directory":
        path.mkdir()
    elif what == "a loop":
        path.symlink_to(path)
    assert compiled(project) == (gccs(project, "sums.o") if name == "store" else rewritten(project))


def test_damaged_records_of_units_are_passed_over(project: Project) -> None:
    for number, path in enumerate(sorted((project.aicc / "units").iterdir())):
        list(DAMAGE.values())[1 + number % 4](path)
    assert compiled(project) == rewritten(project)
    assert project.run("aicc-tool", "doctor").returncode == 0


@pytest.mark.parametrize("free_kib", [0, 8])
def test_a_build_on_a_full_project_disk_is_the_same_build(project: Project, free_kib: int) -> None:
    """.aicc lies on a file system with no room for log, units or anything else."""
    saved = project.directory.parent / "saved"
    script = f"""
    cp -r '{saved}/.' '{project.aicc}/' && rm -r '{project.aicc}/units' || exit 33
    cat /dev/zero >'{project.aicc}/filler' 2>/dev/null
    [ {free_kib} = 0 ] || truncate -s -{free_kib}K '{project.aicc}/filler'
    aicc -O1 -c sums.c && aicc -O1 -faicc-emit=object -c main.c
    """
    done = project.run(*on_small_disk(project.aicc, 512, script))
    assert (done.returncode, done.stderr) == (0, "")
    assert (project.directory / "sums.o").read_bytes() == rewritten(project)


def test_without_room_for_temporary_files_a_compile_that_needs_none_works(project: Project, tmp_path: Path) -> None:
    script = f"""
    cat /dev/zero >'{tmp_path}/filler' 2>/dev/null
    TMPDIR='{tmp_path}' aicc -pipe -O1 -c sums.c
    """
    done = project.run(*on_small_disk(tmp_path, 64, script))
    assert (done.returncode, done.stderr) == (0, "")
    assert (project.directory / "sums.o").read_bytes() == rewritten(project)


@pytest.mark.parametrize("limit_kib", [60_000, pytest.param(90_000, marks=pytest.mark.full)])
def test_with_no_more_memory_than_gcc_needs_a_compile_works(project: Project, limit_kib: int) -> None:
    """`ulimit -v`: whether there is room for a rewrite or not, an object is made."""
    for command in ("gcc -o theirs.o", "aicc"):
        done = project.run("sh", "-c", f"ulimit -v {limit_kib}; exec {command} -O1 -c sums.c")
        assert done.returncode == 0, done.stderr
    assert (project.directory / "sums.o").read_bytes() in (gccs(project, "sums.o"), rewritten(project))


@pytest.mark.parametrize("seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.full) for seed in range(2, 20))])
def test_a_killed_make_leaves_nothing_that_the_next_one_uses_wrongly(project: Project, seed: int) -> None:
    """The whole process group dies at once, as in a reboot; make then builds what is missing, from the same store."""
    project.run("make", "clean")
    making = project.start("make", "-j2", "CC=aicc")
    time.sleep(0.015 * seed)
    os.killpg(making.pid, signal.SIGKILL)
    making.communicate()
    until(lambda: not project.processes())
    for path in project.directory.glob("*.o"):
        made, whole = path.read_bytes(), (project.directory.parent / "rewritten" / path.name).read_bytes()
        if made != whole:  # the assembler was killed while it wrote it, in place, as in GCC's own builds
            assert len(made) < len(whole) or not made.startswith(b"\x7fELF")
            path.unlink()
    if not os.access(project.directory / "program", os.X_OK):  # the linker was: it sets the mode last
        (project.directory / "program").unlink(missing_ok=True)
    done = project.run("make", "-j2", "CC=aicc")
    assert done.returncode == 0, done.stderr
    assert (project.directory / "sums.o").read_bytes() == rewritten(project)
    assert project.run("./program", "1000").stdout == project.expected
