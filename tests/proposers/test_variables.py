"""What LLVM is told of a unit's own variables."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from compiler_ai.proposers.variables import declared

SOURCE = """
static int mode;
static struct { long first, second; } pair;
static const int weights[3] = {1, 2, 3};
static char names[2][20] = {"a, align 4", "b"};
static _Thread_local int mine;
static void step(void) { static int calls, last; pair.first += ++calls + last++; }
static void jump(void) { static int last; pair.second += last++; }
void set(int m) { mode = m; }
int get(int i) { step(); jump(); mine++; return mode ? weights[i % 3] + names[0][i % 20] : (int)pair.first; }
"""


def module(directory: Path) -> str:
    clang = shutil.which("clang-19")
    assert clang, "clang-19 is missing"
    (directory / "unit.c").write_text(SOURCE)
    words = [clang, "-O3", "-Xclang", "-disable-llvm-passes", "-S", "-emit-llvm", "-o", "unit.ll", "unit.c"]
    subprocess.run(words, cwd=directory, check=True)
    return (directory / "unit.ll").read_text()


def test_writable_variables_are_somebody_elses_and_all_else_stays(tmp_path: Path) -> None:
    text = declared(module(tmp_path))
    variables = [line for line in text.splitlines() if line.startswith("@")]
    for expected in (
        "@mode = external hidden global i32, align 4",
        "@pair = external hidden global %struct.anon, align 8",
        "@names = external hidden global [2 x [20 x i8]], align 16",
        "@aicc.static.calls = external hidden global i32, align 4",
        "@step.last = external hidden global i32, align 4",  # there are two of this name: which is GCC's cannot be told
        "@jump.last = external hidden global i32, align 4",
    ):
        assert expected in variables
    assert any(line.startswith("@mine = internal thread_local") for line in variables)
    assert any(line.startswith("@weights = internal constant") for line in variables)
    assert "step.calls" not in text


def test_llvm_takes_none_of_it_for_known(tmp_path: Path) -> None:
    """As `internal`, `mode` would be 0 for ever in a module that has lost `set`, and `pair` be two variables."""
    text = declared(module(tmp_path)).replace("define dso_local void @set", "define internal void @set")
    (tmp_path / "declared.ll").write_text(text)
    subprocess.run(["clang-19", "-O3", "-S", "-o", "declared.s", "declared.ll"], cwd=tmp_path, check=True)
    code = (tmp_path / "declared.s").read_text()
    assert "set:" not in code
    for name in ("mode(%rip)", "pair+8(%rip)", "aicc.static.calls(%rip)"):
        assert name in code
