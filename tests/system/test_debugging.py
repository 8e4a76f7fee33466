"""gdb in a program with a rewritten function: breakpoints, line numbers and backtraces hold."""

from __future__ import annotations

import subprocess
from pathlib import Path

import debug_information
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
MORE = SOURCE.replace("abort();", "a++;").replace(
    "int main(",
    "int after(const char *s, int n)\n{\n    int k = n * 3;\n    while (*s++)\n        k ^= checked(k + n);\n    return k;\n}\nint main(",
)


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


@pytest.mark.parametrize("flags", ["-O2 -g", "-O1 -gdwarf-4 -fPIC", "-O3 -g3"])
def test_lines_and_variables_of_other_functions_are_gccs(tmp_path: Path, flags: str) -> None:
    (tmp_path / ".aicc").mkdir()
    (tmp_path / "a.c").write_text(MORE)
    build = ["aicc", *flags.split(), "-c", "a.c", "-o", "a.o"]
    subprocess.run(build, cwd=tmp_path, check=True)
    plain = debug_information.described(tmp_path / "a.o")
    assert set(plain) >= {"checked", "hot", "after", "main"}
    assert all(len(rows) > 3 for rows, _ in plain.values())
    assert len(plain["after"][1]) >= 3
    stored = own_bodies.fill(tmp_path / ".aicc", list(units.load_all(str(tmp_path / ".aicc"))), only="hot")
    assert stored == ["hot"]
    subprocess.run(build, cwd=tmp_path, check=True)
    rewritten = debug_information.described(tmp_path / "a.o")
    assert rewritten["hot"] != plain["hot"]
    assert rewritten["hot"][0], "it keeps a line entry"
    assert {name: told for name, told in rewritten.items() if name != "hot"} == {
        name: told for name, told in plain.items() if name != "hot"
    }


@pytest.mark.parametrize("more", ["-g", "-g1", "-g3", "-gdwarf-4", "-ffunction-sections"])
@pytest.mark.parametrize("tuned_with_it", [False, True], ids=["added", "dropped"])
def test_a_rewrite_applies_with_and_without_debug_information(tmp_path: Path, more: str, tuned_with_it: bool) -> None:
    (tmp_path / ".aicc").mkdir()
    (tmp_path / "a.c").write_text(MORE)
    plain, with_it = (["aicc", "-O2", *flags, "-c", "a.c", "-o", "a.o"] for flags in ([], [more]))
    tuned, built = (with_it, plain) if tuned_with_it else (plain, with_it)
    subprocess.run(built, cwd=tmp_path, check=True)
    told = debug_information.described(tmp_path / "a.o") if "-g" in more and not tuned_with_it else {}
    (record,) = (tmp_path / ".aicc" / "units").iterdir()
    record.unlink()
    subprocess.run(tuned, cwd=tmp_path, check=True)
    assert own_bodies.fill(tmp_path / ".aicc", list(units.load_all(str(tmp_path / ".aicc"))), only="hot") == ["hot"]
    subprocess.run(built, cwd=tmp_path, check=True)
    assert b"\x0f\x1f\x40\x33" in (tmp_path / "a.o").read_bytes(), "what own_bodies.SHOWS assembles to"
    if told:
        rewritten = debug_information.described(tmp_path / "a.o")
        assert rewritten["hot"][0], "it keeps a line entry"
        assert {name: one for name, one in rewritten.items() if name != "hot"} == {
            name: one for name, one in told.items() if name != "hot"
        }
