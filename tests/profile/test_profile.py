"""Profiles of real programs, recorded with the real tools."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compiler_ai.profile import hotness
from compiler_ai.profile.errors import ProfileError
from compiler_ai.profile.importers import import_file
from compiler_ai.profile.model import Profile, merge
from compiler_ai.profile.record import record

HOT = """
static __attribute__((noinline)) unsigned work(unsigned n) { unsigned s = n; for (unsigned i = 0; i < n; i++) s = s * %d + (s >> 3); return s; }
unsigned %s(unsigned n) { return work(n) + 1; }
"""
MAIN = """
#include <stdio.h>
unsigned one(unsigned), two(unsigned);
int main(void) {
    unsigned s = 0;
    for (unsigned i = 0; i < 1200; i++) {
        unsigned n = 50000 + i * 7919 % 100000; // of no length that sampling could keep step with
        s += one(3 * n) + two(n);
    }
    printf("%u\\n", s);
    return 0;
}
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two units, each with a static function `work`; the first one's takes three times the second's time."""
    directory = tmp_path_factory.mktemp("profiled")
    (directory / "one.c").write_text(HOT % (33, "one"))
    (directory / "two.c").write_text(HOT % (65, "two"))
    (directory / "main.c").write_text(MAIN)
    subprocess.run(["gcc", "-O2", "-o", "program", "one.c", "two.c", "main.c"], cwd=directory, check=True)
    return directory / "program"


@pytest.fixture(scope="module")
def profile(program: Path) -> Profile:
    return record([str(program)], program.parent, 997)


def test_static_functions_of_the_same_name_are_kept_apart(profile):
    work = {function.source: function for function in profile.functions if function.symbol == "work"}
    assert set(work) == {"one.c", "two.c"}
    assert 1.4 < work["one.c"].cost / work["two.c"].cost < 6.5
    assert all(sample.offset < work["one.c"].size_bytes for sample in work["one.c"].samples)


def test_children_of_a_shell_are_profiled_too(program):
    profile = record(["sh", "-c", f"{program} >/dev/null; true"], program.parent, 997)
    assert any(function.symbol == "work" for function in profile.functions)


def test_the_hot_set_covers_95_percent_and_says_what_it_leaves_out(profile, program):
    hot = hotness.select(profile, program.parent, hotness.Rules())
    assert [function.profiled.source for function in hot.functions] == ["one.c", "two.c"]
    assert sum(function.share for function in hot.functions) > 0.95
    assert "hot functions cover" in hot.coverage
    outside = hotness.select(profile, program.parent / "elsewhere", hotness.Rules())
    assert not outside.functions
    assert any("not of this project" in item.reason for item in outside.left_out)
    assert outside.coverage.startswith("0% of all samples")


def test_few_samples_are_said_to_be_few(profile, program):
    share = hotness.select(profile, program.parent, hotness.Rules()).own_share
    long, short = (replace(profile, runs=tuple(replace(run, samples=n) for run in profile.runs)) for n in (1000, 60))
    assert share > 0.9
    assert hotness.few_samples(long, share) == ""
    assert hotness.few_samples(short, 0.5).startswith("only 30 samples of the project's functions")
    assert hotness.few_samples(merge(short, short), 0.5).startswith("only 60 samples")
    assert hotness.few_samples(short, 0.0) == ""
    endless = replace(short, runs=tuple(replace(run, samples=1e308) for run in (*short.runs, *short.runs)))
    assert hotness.few_samples(endless, 1.0) == "", "a damaged profile is no traceback"
    instructions = replace(short, runs=tuple(replace(run, unit="instructions") for run in short.runs))
    assert hotness.few_samples(instructions, 0.5) == ""


def test_functions_can_be_asked_for_by_name(profile, program):
    hot = hotness.select(profile, program.parent, hotness.Rules(only=frozenset({"nothing"})))
    assert not hot.functions


def test_runs_add_up_with_their_weights(profile):
    both = merge(profile, profile)
    assert both.total == pytest.approx(2 * profile.total)
    assert len(both.functions) == len(profile.functions)


def test_callgrind_agrees_with_perf(program, tmp_path):
    out = tmp_path / "callgrind.out"
    words = ["valgrind", "-q", "--tool=callgrind", "--dump-instr=yes", f"--callgrind-out-file={out}", str(program)]
    subprocess.run(words, check=True, capture_output=True)
    imported = import_file(out)
    best = imported.functions[0]
    assert (best.symbol, best.source) == ("work", "one.c")
    lines = tmp_path / "lines.out"
    lines.write_text(out.read_text().replace("positions: instr line", "positions: line"))
    with pytest.raises(ProfileError, match="dump-instr"):
        import_file(lines)


def test_a_profile_survives_its_file(profile, tmp_path):
    profile.save(tmp_path / "profile.json")
    assert Profile.load(tmp_path / "profile.json") == profile


@settings(max_examples=60, deadline=None)
@given(cut=st.floats(0, 1))
def test_a_truncated_profile_is_one_error(profile, tmp_path_factory, cut):
    path = tmp_path_factory.mktemp("cut") / "profile.json"
    profile.save(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(cut * (len(content) - 2))])
    with pytest.raises(ProfileError, match=r"profile\.json: .*aicc-tool profile"):
        Profile.load(path)


@pytest.mark.parametrize("content", [b"", b"\x7fELF", b"hello\n", b"PERFILE2", b"PERFILE2" + bytes(200)])
def test_what_is_no_profile_is_one_error(tmp_path, content):
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(ProfileError):
        import_file(path)


def test_a_program_that_does_not_exist_is_one_error(tmp_path):
    with pytest.raises(ProfileError, match="no such program"):
        record(["/no/such/program"], tmp_path, 997)
