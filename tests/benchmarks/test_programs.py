"""The harness for real programs: where sources come from, what is described, and inputs that never change."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAMS = Path(__file__).resolve().parents[2] / "benchmarks" / "programs"


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(PROGRAMS))


def test_debians_own_entries_are_asked_for_sources_and_others_are_not() -> None:
    from sources import source_stanzas

    text = (
        "Types: deb\n# a snapshot\nURIs: http://archive.example/debian\nSuites: bookworm bookworm-updates\nComponents: main\n"
        "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n\n"
        "Types: deb deb-src\nURIs: http://archive.example/debian-security\nSuites: bookworm-security\nComponents: main\n\n"
        "Types: deb\nURIs: https://deb.nodesource.com/node_20.x\nSuites: nodistro\nComponents: main\n\n"
        "Types: deb-src\nURIs: http://archive.example/debian\nSuites: bookworm\nComponents: main\n"
    )
    first, second = source_stanzas([text], "bookworm")
    assert first.startswith("Types: deb-src\n# a snapshot\nURIs: http://archive.example/debian\n")
    assert "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg" in first
    assert "bookworm-security" in second


def test_entries_of_one_line_too() -> None:
    from sources import source_lines

    text = (
        "# deb http://old bookworm main\n"
        "deb [signed-by=/k.gpg] http://archive.example/debian bookworm main contrib # ours\n"
        "deb http://security.debian.org bookworm-security main\ndeb http://elsewhere stable main\n"
    )
    assert list(source_lines([text], "bookworm")) == [
        "deb-src [signed-by=/k.gpg] http://archive.example/debian bookworm main contrib\n",
        "deb-src http://security.debian.org bookworm-security main\n",
    ]


def test_every_program_says_how_it_is_built_and_tested() -> None:
    from harness import load

    programs = load(PROGRAMS / "programs.toml")
    assert {one.name for one in programs} == {"bzip2", "lua", "zlib", "lz4", "zstd", "expat"}
    for one in programs:
        assert "aicc" in one.build + one.configure
        assert one.tests
        assert all(f"${kind.upper()}" in one.workload for kind in one.inputs)


@pytest.mark.parametrize("kind", ["text", "log", "records", "markup"])
def test_an_input_is_the_same_every_time(kind: str, tmp_path: Path) -> None:
    import inputs

    first = inputs.write(tmp_path / "a", kind, 20_000)
    second = inputs.write(tmp_path / "b", kind, 20_000)
    data = first.read_bytes()
    assert hashlib.sha256(data).digest() == hashlib.sha256(second.read_bytes()).digest()
    assert 20_000 <= len(data) < 30_000
    assert len(set(data)) > 20
    assert not list(tmp_path.glob("*/*.tmp"))


def test_the_harness_says_what_programs_there_are(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(PROGRAMS), str(tmp_path), "nosuch"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "no program is called nosuch: there are bzip2" in done.stderr


def test_what_make_was_given_for_the_benchmark_reaches_no_programs_make(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from harness import Bench, Program

    monkeypatch.setenv("MAKEFLAGS", " -- PROGRAMS=expat")
    bench = Bench(Program("one", "one", "", "", "", ""), tmp_path, [])
    source = tmp_path / "one" / "source"
    source.mkdir(parents=True)
    (source / "Makefile").write_text("PROGRAMS = its own\nall:\n\t@echo $(PROGRAMS)\n")
    assert bench._step("build", "make") == 0
    assert "its own" in (tmp_path / "one" / "build.log").read_text()
