"""gdb in a program with a rewritten function: breakpoints, line numbers and backtraces hold."""

from __future__ import annotations

import subprocess
from pathlib import Path

import own_bodies
import pytest

from compiler_ai.driver import units

SOURCE = """\
#include <stdlib.h>
__attribute__((noinline)) int checked(int a)
{
    if (a > 3)
        abort();
    return a * 2;
}
__attribute__((noinline)) int hot(int n)
{
    int sum = 1;
    for (int i = 0; i < n; i++)
        sum += checked(i) ^ sum;
    return sum;
}
int main(int argc, char **argv)
{
    (void)argv;
    return hot(argc + 8) + 1;
}
"""


def gdb(directory: Path, *commands: str) -> str:
    words = ["gdb", "-nx", "-q", "-batch", *(word for one in commands for word in ("-ex", one)), "./prog"]
    done = subprocess.run(words, cwd=directory, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    "flags",
    [
        "-O2 -g",
        pytest.param("-O1 -gdwarf-4", marks=pytest.mark.full),
        pytest.param("-O2 -g -fomit-frame-pointer -fno-asynchronous-unwind-tables", marks=pytest.mark.full),
    ],
)
def test_backtraces_go_through_a_rewritten_function(tmp_path: Path, flags: str) -> None:
    (tmp_path / ".aicc").mkdir()
    (tmp_path / "a.c").write_text(SOURCE)
    build = ["aicc", *flags.split(), "a.c", "-o", "prog"]
    subprocess.run(build, cwd=tmp_path, check=True)
    plain = (tmp_path / "prog").read_bytes()
    stored = own_bodies.fill(tmp_path / ".aicc", list(units.load_all(str(tmp_path / ".aicc"))), only="hot")
    assert stored == ["hot"]
    subprocess.run(build, cwd=tmp_path, check=True)
    assert (tmp_path / "prog").read_bytes() != plain

    said = gdb(tmp_path, "run", "backtrace")
    frames = [line for line in said.splitlines() if line.startswith("#")]
    assert any(" checked (" in line and "a.c:5" in line for line in frames), said
    (inside,) = [line for line in frames if " in hot (" in line or " hot (" in line]
    assert "a.c:" in inside, "a rewritten function keeps a line"
    assert any(" main (" in line and "a.c:18" in line for line in frames), "unwinding goes on to its caller"

    stopped = gdb(tmp_path, "break hot", "run", "backtrace", "finish")
    assert "hot (" in stopped
    assert " main (" in stopped
