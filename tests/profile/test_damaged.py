"""Damaged files of other tools are profiles or one error, never anything else; what is read from them can be saved and loaded."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from compiler_ai.profile.errors import ProfileError
from compiler_ai.profile.importers import import_file
from compiler_ai.profile.importers.gcov import check_data
from compiler_ai.profile.model import Profile

SOURCE = """
#include <stdio.h>
__attribute__((noinline)) unsigned work(unsigned n) { unsigned s = n; for (unsigned i = 0; i < n; i++) s = s * 33 + (s >> 3); return s; }
int main(void) { unsigned s = 0; for (unsigned i = 0; i < 300; i++) s += work(100000 + i); printf("%u\\n", s); return 0; }
"""
DAMAGED = 25


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One real file of each kind, and the program beside it."""
    directory = tmp_path_factory.mktemp("damaged")
    (directory / "main.c").write_text(SOURCE)

    def run(*words: str) -> bytes:
        return subprocess.run(words, cwd=directory, check=True, capture_output=True).stdout

    run("gcc", "-O2", "-pg", "--coverage", "main.c", "-o", "program")
    run("./program")
    run("gcc", "-O2", "main.c", "-o", "plain")  # profiling signals do not get on with valgrind
    run("valgrind", "-q", "--tool=callgrind", "--dump-instr=yes", "--callgrind-out-file=callgrind.out", "./plain")
    run("perf", "record", "-q", "-e", "cpu-clock:u", "-o", "perf.data", "./plain")
    fields = "pid,ip,period,event,comm"
    script = run("perf", "script", "-i", "perf.data", "--show-mmap-events", "--show-task-events", "-F", fields)
    (directory / "script").write_bytes(script)
    run("gcov", "--json-format", "program-main.gcda")
    found = {path.name.partition(".gcov")[0]: path for path in directory.iterdir()}
    return {
        "gmon": found["gmon.out"],
        "callgrind": found["callgrind.out"],
        "script": found["script"],
        "json": next(directory.glob("*.gcov.json.gz")),
        "gcda": next(directory.glob("*.gcda")),
    }


def test_what_perf_script_prints_when_not_told_what_to_print_is_read_too(
    files: dict[str, Path], tmp_path: Path
) -> None:
    words = ["perf", "script", "-i", "perf.data", "--show-mmap-events"]
    plain = subprocess.run(words, cwd=files["script"].parent, check=True, capture_output=True).stdout
    (tmp_path / "script").write_bytes(plain)
    shares = []
    for path in (files["script"], tmp_path / "script"):
        profile = import_file(path, 1.0, None)
        shares.append({one.symbol: one.cost for one in profile.functions})
    assert shares[0] == shares[1]
    assert shares[0]


def damaged(content: bytes, chance: random.Random) -> Iterator[bytes]:
    """Empty, of another kind, cut short, with bytes changed, with pieces doubled, left out, or made of many digits."""
    yield from (b"", b"no profile at all\n")
    for _ in range(DAMAGED // 5):
        at, other = sorted(chance.randrange(len(content)) for _ in range(2))
        yield content[:at]
        changed = bytearray(content)
        for _ in range(chance.randrange(1, 9)):
            changed[chance.randrange(len(changed))] = chance.randrange(256)
        yield bytes(changed)
        yield content[:other] + content[at : at + 500] + content[other:]
        yield content[:at] + content[at + chance.randrange(1, 400) :]
        yield content[:at] + b"9" * 6000 + content[at:]


@pytest.mark.parametrize("kind", ["gmon", "callgrind", "script", "json"])
def test_damage_is_survived(files, tmp_path, kind):
    original = files[kind]
    module = None if kind in ("callgrind", "script") else original.parent / "program"
    assert import_file(original, module=module).functions[0].symbol == "work"
    errors: list[str] = []
    for content in damaged(original.read_bytes(), random.Random(7)):
        path = tmp_path / original.name
        path.write_bytes(content)
        try:
            profile = import_file(path, module=module)
        except ProfileError as error:
            errors.append(str(error))
            continue
        profile.save(tmp_path / "profile.json")
        assert Profile.load(tmp_path / "profile.json") == profile
    assert errors
    assert not any("\n" in message for message in errors)


def test_damaged_counters_are_survived(files):
    content = files["gcda"].read_bytes()
    assert check_data(content, files["gcda"]) == 12
    errors: list[str] = []
    for data in damaged(content, random.Random(7)):
        try:
            assert check_data(data, files["gcda"]) >= 9
        except ProfileError as error:
            errors.append(str(error))
    assert errors
    assert not any("\n" in message for message in errors)
