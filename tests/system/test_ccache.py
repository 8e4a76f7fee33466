"""The real ccache in front of aicc and behind it: it saves work, and never serves an object made under another store."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import own_bodies
import pytest

from compiler_ai.driver import units

SOURCE = "int hot(int n) { int s = 0; while (n--) s += n ^ s; return s; }\nint cold(int a) { return a * 3; }\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / ".aicc").mkdir()
    (tmp_path / "hot.c").write_text(SOURCE)
    assert shutil.which("ccache"), "ccache is not installed"
    return tmp_path


def build(project: Path, *command: str, **environment: str) -> bytes:
    """The object that one compile gives."""
    done = subprocess.run(
        [*command, "-O2", "-c", "hot.c", "-o", "hot.o"],
        cwd=project,
        env={**os.environ, "CCACHE_DIR": str(project / "ccache"), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return (project / "hot.o").read_bytes()


def fill(project: Path, marker: str) -> None:
    """A store with a rewrite of `hot`: GCC's body with an instruction in front that can be told."""
    subprocess.run(["aicc", "-O2", "-c", "hot.c"], cwd=project, check=True)
    shutil.rmtree(project / ".aicc" / "store", ignore_errors=True)
    assert own_bodies.fill(project / ".aicc", list(units.load_all(str(project / ".aicc"))), marker, only="hot") == [
        "hot"
    ]


def hits(project: Path) -> int:
    done = subprocess.run(
        ["ccache", "--print-stats"],
        env={**os.environ, "CCACHE_DIR": str(project / "ccache")},
        capture_output=True,
        text=True,
        check=True,
    )
    counts = dict(line.split("\t") for line in done.stdout.splitlines())
    return int(counts["direct_cache_hit"]) + int(counts["preprocessed_cache_hit"])


@pytest.mark.parametrize(
    ("command", "environment"),
    [(["ccache", "aicc"], {}), (["aicc"], {"AICC_CC": "ccache gcc"})],
    ids=["in front", "behind"],
)
def test_an_object_made_under_another_store_is_never_served(
    project: Path, command: list[str], environment: dict[str, str]
) -> None:
    plain = build(project, "gcc")
    assert build(project, *command, **environment) == plain
    fill(project, "xorl %eax, %eax")
    first = build(project, *command, **environment)
    assert first != plain
    assert first == build(project, "aicc")
    fill(project, "xorl %ecx, %ecx")
    second = build(project, *command, **environment)
    assert second == build(project, "aicc")
    assert second not in (first, plain)
    shutil.rmtree(project / ".aicc" / "store")
    assert build(project, *command, **environment) == plain


@pytest.mark.parametrize(
    ("command", "environment"),
    [(["ccache", "aicc"], {}), (["aicc"], {"AICC_CC": "ccache gcc"})],
    ids=["in front", "behind"],
)
@pytest.mark.parametrize("stored", [False, True])
def test_the_second_compile_comes_from_the_cache(
    project: Path, command: list[str], environment: dict[str, str], stored: bool
) -> None:
    if stored:
        fill(project, "xorl %eax, %eax")
    first = build(project, *command, **environment)
    before = hits(project)
    assert build(project, *command, **environment) == first
    assert hits(project) == before + 1


def test_a_command_too_long_for_what_is_added_is_compiled_without_aicc(project: Path) -> None:
    plain = build(project, "gcc")
    fill(project, "xorl %eax, %eax")
    words = [f"-Wl,--defsym,symbol_{number}=0" for number in range(9000)]  # for no linker
    assert build(project, "aicc", *words, AICC_CC="ccache gcc") == plain
