"""What a compile with rewrites loads, and the stand-ins that keep it small: they do what they stand in for."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import own_bodies
import pytest
from hypothesis import given
from hypothesis import strategies as st

import compiler_ai
from compiler_ai import patterns
from compiler_ai.cached import cached_property
from compiler_ai.driver import flags, treefile, units
from compiler_ai.sha256 import sha256

# Each takes longer to import than the listing model.
HEAVY = {"re", "enum", "dataclasses", "functools", "collections", "typing", "hashlib", "json", "inspect", "shlex", "importlib"}  # fmt: skip
SOURCE = """
#include <assert.h>
static int table[4] = { 1, 2, 3, 4 };
int hot(int n) { switch (n) { case 0: return 7; case 1: return table[n & 3]; case 2: return n * 5; case 3: return 11; case 4: return 2; }
    assert(n > 9); for (int i = 0; i < n; i++) table[i & 3] += i; return table[1]; }
"""
SPLICE = """
import sys
sys.path.insert(0, sys.argv[1])
from compiler_ai.driver.apply import rewrite_listing
spliced = rewrite_listing(open(sys.argv[2], "rb").read(), ["-o", "x.o", sys.argv[2]], sys.argv[3])
print(".Laicc_begin_hot" in (spliced or ""), *sorted(set(sys.modules)))
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / ".aicc").mkdir()
    (tmp_path / "hot.c").write_text(SOURCE)
    subprocess.run(["aicc", "-O2", "-c", "hot.c"], cwd=tmp_path, check=True)
    assert own_bodies.fill(tmp_path / ".aicc", list(units.load_all(str(tmp_path / ".aicc")))) == ["hot"]
    dumps = [f"{option}stdout" for option in treefile.DUMPS]
    with open(tmp_path / "trees", "wb") as trees:
        subprocess.run(["gcc", "-O2", "-S", "hot.c", *dumps], cwd=tmp_path, stdout=trees, check=True)
    return tmp_path


def splice(project: Path) -> tuple[bool, set[str]]:
    """Whether the shim's part of a compile put the rewrite in, and the modules that it loaded."""
    with open(project / "trees", "rb") as trees:
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", SPLICE, str(Path(compiler_ai.__file__).parents[1]),
             str(project / "hot.s"), str(project / ".aicc")],
            env={**os.environ, "AICC_SHIM_PROJECT": str(project / ".aicc"), "AICC_SHIM_TREES": str(trees.fileno()),
                 "COLLECT_GCC_OPTIONS": "'-O2' '-mtune=generic' '-march=x86-64'"},
            pass_fds=[trees.fileno()], capture_output=True, text=True, check=True,
        )  # fmt: skip
    word, *modules = done.stdout.split()
    return word == "True", set(modules)


def test_a_compile_with_rewrites_loads_nothing_heavy(project: Path) -> None:
    assert splice(project)[0], "the first compiles the patterns"
    spliced, modules = splice(project)
    assert spliced
    assert not modules & HEAVY


@pytest.mark.parametrize("content", [b"", b"\0" * 40, b"other"], ids=["cut", "zeros", "foreign"])
def test_a_damaged_memory_of_patterns_is_made_again(project: Path, content: bytes) -> None:
    splice(project)
    (memory,) = (project / ".aicc" / "cache").glob("patterns-*")
    intact = memory.read_bytes()
    memory.write_bytes(content or intact[:-1])
    assert splice(project)[0]
    assert memory.read_bytes() == intact


def test_a_memory_that_cannot_be_written_costs_time_alone(project: Path) -> None:
    shutil.rmtree(project / ".aicc" / "cache")
    (project / ".aicc" / "cache").write_text("in the way")
    assert splice(project)[0]


@pytest.mark.parametrize(
    ("pattern", "flag"),
    [
        (r"^(?P<name>\w+)\s*(?:=|:)\s*(\d+)$", patterns.MULTILINE),
        (r"a.*?b|[^\W\d]é", patterns.DOTALL),
        (r"(?i)x{2,3}", 0),
    ],
)
def test_a_kept_pattern_is_the_one_that_was_compiled(tmp_path: Path, pattern: str, flag: int) -> None:
    path = str(tmp_path / "patterns")
    first = patterns.Patterns(path)
    first.compiled(pattern, flag)
    first.keep()
    kept, expected = patterns.Patterns(path).compiled(pattern, flag), re.compile(pattern, flag)
    assert kept == expected
    assert (kept.groups, kept.groupindex, kept.flags) == (expected.groups, expected.groupindex, expected.flags)
    text = "name = 12\nother: 3\na\nb xxx é"
    assert [one.groups() for one in kept.finditer(text)] == [one.groups() for one in expected.finditer(text)]
    assert kept.sub("-", text) == expected.sub("-", text)


def test_a_memory_of_another_interpreter_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(tmp_path / "patterns")
    monkeypatch.setattr(patterns, "_INTERPRETER", ("another", 1))
    first = patterns.Patterns(path)
    first._kept["a+", 0] = (0, [1], 0, {}, (None,))
    first._new = True
    first.keep()
    monkeypatch.undo()
    assert patterns.Patterns(path).compiled("a+", 0).fullmatch("aaa")


@given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), max_size=5))
def test_options_of_gccs_driver_are_split_as_a_shell_does(words: list[str]) -> None:
    text = " ".join("'" + word.replace("'", "'\\''") + "'" for word in words)
    assert flags._unquote(text) == shlex.split(text) == words


def test_sha256_is_sha256() -> None:
    assert sha256(b"abc").hexdigest() == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_cached_property_is_asked_for_once() -> None:
    class Counting:
        calls = 0

        @cached_property
        def value(self) -> int:
            self.calls += 1
            return self.calls

    one, other = Counting(), Counting()
    assert [one.value, one.value, other.value, one.calls] == [1, 1, 1, 1]


def test_a_directory_that_may_not_be_searched_ends_the_way_up() -> None:
    """Somebody else's build below a directory that only its owner can read."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        above, launcher = Path(name, "private"), Path(name, "aicc")
        (above / "work").mkdir(parents=True)
        shutil.copy(Path(__file__).parents[2] / "bin" / "aicc", launcher)
        Path(name).chmod(0o755)
        above.chmod(0o700)
        words = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", str(launcher), "-dumpversion"]
        done = subprocess.run(words, cwd=above / "work", capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == subprocess.run(["gcc", "-dumpversion"], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("stage", ["libexec/as", "linkexec/ld"])
def test_without_its_interpreter_a_stage_is_gccs_own_and_says_so(stage: str, project: Path) -> None:
    """It may go between two compiles: what the launcher found out last time still names it."""
    shim = Path(compiler_ai.__file__).parent / stage
    environment = {
        **os.environ,
        "AICC_SHIM_PYTHON": "/nonexistent/python3",
        "AICC_SHIM_PROJECT": str(project / ".aicc"),
    }
    done = subprocess.run([str(shim), "--version"], env=environment, capture_output=True, text=True, check=True)
    assert (done.stdout.startswith("GNU"), done.stderr) == (True, "")
    last = (project / ".aicc" / "log").read_text().splitlines()[-1]
    assert f"{shim.name}: cannot run /nonexistent/python3" in last
