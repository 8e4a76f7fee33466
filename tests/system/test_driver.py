"""The installed `aicc` is GCC to its users: same objects, same messages, same exit status."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import own_bodies
import pytest

from compiler_ai.driver import units

SOURCE = "int add(int a, int b) { return a + b; }\nint main(void) { return add(1, -1); }\n"


def run(*words: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words, cwd=cwd, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / ".aicc").mkdir()
    (tmp_path / "a.c").write_text(SOURCE)
    return tmp_path


@pytest.fixture
def shim_project(project: Path) -> Path:
    """A project whose store has an entry, so that the shim is in place, but none for this unit."""
    store = project / ".aicc" / "store"
    store.mkdir()
    entry = 'name = "f"\nfunction = "add"\nkey = "0"\n'
    (store / "lock.toml").write_text(f"version = 1\n\n[[rewrite]]\n{entry}")
    return project


@pytest.mark.parametrize(
    "flags", ["-O2", "-O2 -g", "-O3 -pipe", "-Os -save-temps", "-O2 -flto", "-O2 -flto -ffat-lto-objects"]
)
def test_objects_are_gccs_byte_for_byte(aicc, shim_project, flags):
    for compiler in ("gcc", aicc):
        done = run(compiler, *flags.split(), "-frandom-seed=1", "-c", "a.c", "-o", "out.o", cwd=shim_project)
        assert (done.returncode, done.stderr) == (0, "")
        (shim_project / "out.o").rename(shim_project / f"{Path(compiler).name}.o")
    assert (shim_project / "gcc.o").read_bytes() == (shim_project / "aicc.o").read_bytes()


@pytest.mark.parametrize(
    "words",
    [
        "-c missing.c",
        "-c a.c -Wno-such -fno-such-option",
        "a.c -lnosuchlibrary",
        "-c broken.c",
        "",
        "--version",
        "-dumpmachine",
    ],
)
def test_messages_and_exit_status_are_gccs(aicc, shim_project, words):
    (shim_project / "broken.c").write_text("int f( {")
    mine, gccs = (run(c, *words.split(), cwd=shim_project) for c in (aicc, "gcc"))
    clean = [text.replace("aicc", "gcc") for text in (mine.stderr, mine.stdout)]
    normal = [line for line in clean[0].splitlines() if "/tmp/cc" not in line]
    assert normal == [line for line in gccs.stderr.splitlines() if "/tmp/cc" not in line]
    assert (clean[1], mine.returncode) == (gccs.stdout, gccs.returncode)


def test_links_runs_and_leaves_nothing_beside_the_sources(aicc, project):
    (project / "b.c").write_text("int b(void) { return 2; }\n")
    assert run(aicc, "-O2", "a.c", "b.c", "-o", "prog", cwd=project).returncode == 0
    assert run("./prog", cwd=project).returncode == 0
    assert {p.name for p in project.iterdir()} == {".aicc", "a.c", "b.c", "prog"}


def test_several_inputs_dependencies_and_stdin(aicc, shim_project):
    (shim_project / "b.c").write_text("int b(void) { return 2; }\n")
    assert run(aicc, "-O2", "-MMD", "-c", "a.c", "b.c", cwd=shim_project).returncode == 0
    assert (shim_project / "a.d").read_text() == "a.o: a.c\n"
    piped = subprocess.run(
        [aicc, "-xc", "-c", "-", "-o", "-o.o"], input=SOURCE, cwd=shim_project, text=True, check=False
    )
    assert piped.returncode == 0


def test_assembly_output_is_untouched(aicc, shim_project):
    run(aicc, "-O2", "-S", "a.c", "-o", "mine.s", cwd=shim_project)
    run("gcc", "-O2", "-S", "a.c", "-o", "gcc.s", cwd=shim_project)
    assert (shim_project / "mine.s").read_text() == (shim_project / "gcc.s").read_text()


def test_handwritten_assembly_is_untouched(aicc, shim_project):
    (shim_project / "h.S").write_text("#define N 3\n\t.text\n\t.globl f\nf:\tmov $N, %eax\n\tret\n")
    for compiler in ("gcc", aicc):
        assert run(compiler, "-c", "h.S", "-o", Path(compiler).name + ".o", cwd=shim_project).returncode == 0
    assert (shim_project / "gcc.o").read_bytes() == (shim_project / "aicc.o").read_bytes()


def test_a_compile_is_recorded_in_the_project(aicc, project):
    run(aicc, "-O2", "-DN=1", "-c", "a.c", cwd=project)
    (unit,) = (project / ".aicc" / "units").iterdir()
    assert "argument=-DN=1" in unit.read_text()


def test_an_unwritable_project_does_not_break_a_build(aicc, project):
    (project / ".aicc" / "units").write_text("not a directory")
    assert run(aicc, "-c", "a.c", cwd=project).returncode == 0
    assert "cannot record" in (project / ".aicc" / "log").read_text()


def test_a_compiler_that_is_missing_or_ourselves_is_one_line(aicc, project):
    for name in ("no-such-compiler", aicc):
        done = run(aicc, "-c", "a.c", cwd=project, AICC_CC=name)
        assert done.returncode == 1
        assert len(done.stderr.splitlines()) == 1
        assert "AICC_CC" in done.stderr


def test_a_configure_style_probe_sees_no_words_of_ours(aicc, shim_project):
    done = run(aicc, "-Wall", "-Werror", "-c", "a.c", cwd=shim_project)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("damage", ["newer", "binary", "directory"])
def test_a_store_that_cannot_be_used_yields_gccs_object_and_a_line_in_the_log(aicc, shim_project, damage):
    lock = shim_project / ".aicc" / "store" / "lock.toml"
    lock.unlink()
    if damage == "directory":
        lock.mkdir()
    else:
        lock.write_bytes(
            b"version = 99\n[[rewrite]]\n" if damage == "newer" else b'\xff\x00[[rewrite]]\nfunction = "add\n'
        )
    done = run(aicc, "-O2", "a.c", "-o", "prog", cwd=shim_project)
    assert (done.returncode, done.stderr) == (0, "")
    if damage == "newer":
        assert "newer aicc" in (shim_project / ".aicc" / "log").read_text()


def test_a_unit_whose_code_names_its_file_gets_its_rewrites(aicc, project):
    asserts = "#include <assert.h>\nint checked(int n) { assert(n > 1); return n * 3; }\n"
    (project / "sub").mkdir()
    (project / "sub" / "b.c").write_text(asserts)
    for source in ("sub/b.c", "./sub/../sub/b.c", str(project / "sub" / "b.c")):
        shutil.rmtree(project / ".aicc")
        (project / ".aicc").mkdir()
        command = ["-O2", "-c", source, "-o", "b.o"]
        assert run(aicc, *command, cwd=project).returncode == 0
        plain = (project / "b.o").read_bytes()
        stored = own_bodies.fill(project / ".aicc", list(units.load_all(str(project / ".aicc"))))
        assert stored == ["checked"]
        assert run(aicc, *command, cwd=project).returncode == 0
        assert (project / "b.o").read_bytes() != plain, source
