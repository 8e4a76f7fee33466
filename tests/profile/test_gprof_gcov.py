"""gmon.out and gcov files that the real tools wrote become profiles; damaged ones are one clear line."""

from __future__ import annotations

import gzip
import json
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from compiler_ai.profile.errors import ProfileError
from compiler_ai.profile.importers import import_file

UTIL = """
#include "deep.h"
static __attribute__((noinline)) unsigned work(unsigned n)
{
    unsigned s = n;
    for (unsigned i = 0; i < n; i++)
        s = s * 33 + (s >> 3);
    return s;
}
unsigned loop(unsigned n)
{
    return work(n) + deep(n);
}
"""
DEEP = """
static unsigned deep(unsigned n)
{
    unsigned s = n;
    for (unsigned i = 0; i < 2000; i++)
        s = s * 5 + (s >> 7);
    return s;
}
"""
MAIN = """
#include <stdio.h>
unsigned loop(unsigned);
static __attribute__((noinline)) unsigned work(unsigned n)
{
    return n * 3;
}
int main(void)
{
    unsigned s = 0;
    for (unsigned i = 0; i < 3000; i++)
        s += loop(100000 + (s & 1023));
    for (unsigned i = 0; i < 100000; i++)
        s += work(s);
    printf("%u\\n", s);
    return 0;
}
"""


def build(directory: Path, *flags: str, name: str = "program") -> Path:
    """Built unit by unit, so that each has its own .gcno."""
    directory.mkdir(parents=True, exist_ok=True)
    for file, text in {"util.c": UTIL, "main.c": MAIN, "deep.h": DEEP}.items():
        (directory / file).write_text(text)
    for unit in ("util", "main"):
        subprocess.run(["gcc", *flags, "-c", f"{unit}.c", "-o", f"{unit}.o"], cwd=directory, check=True)
    subprocess.run(["gcc", *flags, "-o", name, "util.o", "main.o"], cwd=directory, check=True)
    return directory / name


def costs(profile) -> dict[tuple[str, str], float]:
    return {(function.symbol, function.source): function.cost for function in profile.functions}


def reports(words: list[str], directory: Path) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "compiler_ai.tool.main", "profile", "-o", str(directory / ".aicc"), *words],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module", params=["-pie", "-no-pie", "-static"])
def gprof_run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("gprof")
    code = ["-fPIE"] if request.param == "-pie" else []
    program = build(directory, "-O2", "-pg", *code, request.param)
    subprocess.run([str(program)], cwd=directory, check=True, capture_output=True)
    return directory


@pytest.fixture(scope="module")
def gcov_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("gcov")
    program = build(directory, "-O2", "-g", "--coverage")
    subprocess.run([str(program)], cwd=directory, check=True, capture_output=True)
    return directory


def test_gmon_out_ranks_by_self_time(gprof_run):
    profile = import_file(gprof_run / "gmon.out")
    best = profile.functions[0]
    assert (best.symbol, best.source) == ("work", "util.c")
    assert best.cost > 0.6
    assert all(0 <= sample.offset < best.size_bytes for sample in best.samples)
    assert profile.runs[0].tool == "gprof"
    assert profile.runs[0].date.endswith("+00:00")
    flat = subprocess.run(
        ["gprof", "-b", "-p", "program", "gmon.out"], cwd=gprof_run, capture_output=True, text=True, check=True
    )
    share = next(float(line.split()[0]) for line in flat.stdout.splitlines() if line.split()[-1:] == ["work"])
    assert best.cost * 100 == pytest.approx(share, abs=5)  # a hundredth of a second more or less in no function


def test_gcov_ranks_by_lines_executed_and_not_by_calls(gcov_run):
    profile = import_file(gcov_run)
    cost = costs(profile)
    assert cost["work", "util.c"] > 0.9
    assert cost["work", "util.c"] > 100 * cost["work", "main.c"], "100,000 calls of one line against 3,000 long ones"
    assert cost["loop", "util.c"] > 0, "what is inlined into it counts as its own"
    assert profile.total == pytest.approx(1)
    assert (profile.runs[0].tool, profile.runs[0].unit) == ("gcov", "lines")


def test_one_gcda_file_is_enough(gcov_run):
    cost = costs(import_file(gcov_run / "util.gcda"))
    assert set(cost) == {("work", "util.c"), ("loop", "util.c")}
    assert cost["work", "util.c"] > 0.9


@pytest.mark.parametrize("packed", [True, False])
def test_gcov_json_is_the_same(gcov_run, tmp_path, packed):
    subprocess.run(["gcov", "--json-format", "util.gcda"], cwd=gcov_run, check=True, capture_output=True)
    written = gcov_run / "util.gcov.json.gz"
    path = written
    if not packed:
        path = tmp_path / "util.gcov.json"
        path.write_bytes(gzip.decompress(written.read_bytes()))
    imported = import_file(path, module=gcov_run / "program")
    assert costs(imported) == costs(import_file(gcov_run / "util.gcda"))


@pytest.mark.parametrize(("level", "absent"), [("-O0", "deep"), ("-O2", "deep.h")])
def test_what_the_shipped_program_inlines_counts_for_the_function_that_holds_it(tmp_path, level, absent):
    counted = build(tmp_path / "counted", level, "--coverage")
    subprocess.run([str(counted)], check=True, capture_output=True)
    shipped = build(tmp_path / "shipped", "-O2")
    profile = import_file(counted.parent / "util.gcda", module=shipped)
    assert {function.module for function in profile.functions} == {str(shipped)}
    assert [(item.module, "inlined" in item.reason) for item in profile.unmatched] == [(absent, True)]
    told = import_file(counted.parent / "util.gcda", module=build(tmp_path / "told", "-O2", "-g"))
    assert not told.unmatched
    assert costs(told)["loop", "util.c"] > profile.unmatched[0].cost


def test_clones_share_what_gcov_counts_for_their_source(gcov_run, tmp_path):
    program = build(tmp_path, "-O2")
    subprocess.run(["objcopy", "--redefine-sym", "loop=loop.constprop.0", str(program)], check=True)
    assert ("loop.constprop.0", "") in costs(import_file(gcov_run / "util.gcda", module=program))


def test_the_command_imports_and_names_what_is_hot(gcov_run):
    status, _, said = reports(["--import", str(gcov_run / "util.gcda")], gcov_run)
    assert status == 0, said
    assert "work" in said


def flip(data: bytes, at: int, value: bytes) -> bytes:
    return data[:at] + value + data[at + len(value) :]


def test_what_is_wrong_with_a_gmon_out_is_one_line(gprof_run, tmp_path):
    data = (gprof_run / "gmon.out").read_bytes()
    wrong = {
        "ends in its header": data[:10],
        "ends in the middle": data[: len(data) // 2],
        "version 9": flip(data, 4, struct.pack("<I", 9)),
        "unknown kind 7": flip(data, 20, b"\7"),
        "no histogram": data[:20],
        "histogram over": flip(data, 29, data[21:29]),
        "not one sample": flip(data, 61, bytes(struct.unpack_from("<I", data, 37)[0] * 2)),
        "no program beside it": data,
    }
    for message, content in wrong.items():
        path = tmp_path / "gmon.out"
        path.write_bytes(content)
        module = None if "beside" in message else gprof_run / "program"
        with pytest.raises(ProfileError, match=message) as error:
            import_file(path, module=module)
        assert "\n" not in str(error.value)
    status, _, said = reports(["--import", str(path)], tmp_path)
    assert (status, len(said.splitlines())) == (1, 1), said
    assert "no program beside it" in said


def test_a_wrong_module_is_one_line(gprof_run, gcov_run, tmp_path):
    stripped = tmp_path / "stripped"
    subprocess.run(["strip", "-o", str(stripped), str(gprof_run / "program")], check=True)
    for file in (gprof_run / "gmon.out", gcov_run / "util.gcda"):
        for module, message in {
            tmp_path / "none": "no such module",
            Path(__file__): "not a program",
            stripped: "no symbol table",
            Path("/bin/true"): "no symbol table|not of this program",
        }.items():
            with pytest.raises(ProfileError, match=message):
                import_file(file, module=module)
    path = tmp_path / "callgrind.out"
    path.write_text("# callgrind format\nevents: Ir\n")
    with pytest.raises(ProfileError, match="names its modules itself"):
        import_file(path, module=stripped)


def test_two_programs_beside_it_are_ambiguous(gcov_run, tmp_path):
    for name in ("one", "two"):
        build(tmp_path, "-O2", name=name)
    (tmp_path / "util.gcda").write_bytes((gcov_run / "util.gcda").read_bytes())
    (tmp_path / "util.gcno").write_bytes((gcov_run / "util.gcno").read_bytes())
    with pytest.raises(ProfileError, match=r"several programs \(one, two\)"):
        import_file(tmp_path / "util.gcda")


def test_what_is_wrong_with_a_gcda_is_one_line(gcov_run, tmp_path):
    data = (gcov_run / "util.gcda").read_bytes()
    wrong = {
        "ends in its header": data[:9],
        "ends in the middle": data[:-5],
        "written by GCC 49, whose gcov is not here": flip(data, 4, b"*29E"),
        "written by no GCC that is known": flip(data, 4, b"....  "[:4]),
        ".gcno must lie beside it": data,
    }
    for message, content in wrong.items():
        path = tmp_path / "util.gcda"
        path.write_bytes(content)
        with pytest.raises(ProfileError, match=message) as error:
            import_file(path, module=gcov_run / "program")
        assert "\n" not in str(error.value)
    status, _, said = reports(["--import", str(path), "--module", str(gcov_run / "program")], tmp_path)
    assert (status, len(said.splitlines())) == (1, 1), said
    assert ".gcno must lie beside it" in said
    for cut in range(4, len(data)):
        path.write_bytes(data[:cut])
        with pytest.raises(ProfileError):
            import_file(path, module=gcov_run / "program")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ProfileError, match=r"no \.gcda file below it"):
        import_file(tmp_path / "empty")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format_version": "7"}, "gcov JSON version '7'"),
        ({"format_version": ["1"]}, "gcov JSON version"),
        ({"files": {}}, "damaged gcov JSON"),
        ({"files": [{"file": "a.c"}]}, "damaged gcov JSON"),
        ({"files": [{"file": "a.c", "lines": [{"count": -1, "function_name": "f"}]}]}, "damaged gcov JSON"),
        ({"files": [{"file": "a.c", "lines": [{"count": 1, "function_name": "f\x1b[2J"}]}]}, "damaged gcov JSON"),
        ({"files": [{"file": "a.c", "lines": [7]}]}, "damaged gcov JSON"),
        ({"files": []}, "no line of it was executed"),
    ],
)
def test_what_is_wrong_with_gcov_json_is_one_line(tmp_path, change, message):
    path = tmp_path / "a.gcov.json"
    path.write_text(json.dumps({"format_version": "1", "files": [], "data_file": "a.gcda", **change}))
    with pytest.raises(ProfileError, match=message) as error:
        import_file(path)
    assert "\n" not in str(error.value)


def test_hostile_and_cut_json_is_one_line(gcov_run, tmp_path):
    subprocess.run(["gcov", "--json-format", "main.gcda"], cwd=gcov_run, check=True, capture_output=True)
    packed = (gcov_run / "main.gcov.json.gz").read_bytes()
    text = gzip.decompress(packed)
    for content in (
        packed[:40],
        packed[:-3],
        flip(packed, 30, b"\xff\xff\xff"),
        text[:200],
        b'{"files": ' + b"[" * 100_000,
        b'{"format_version": "1", "files": [{"file": "a.c", "lines": [{"function_name": "f", "count": 1' + b"0" * 5000,
        b"{}",
        b"{\xff\xfe}",
    ):
        path = tmp_path / "a.gcov.json.gz"
        path.write_bytes(content)
        with pytest.raises(ProfileError, match=r"a\.gcov\.json\.gz: ") as error:
            import_file(path, module=gcov_run / "program")
        assert "\n" not in str(error.value)
