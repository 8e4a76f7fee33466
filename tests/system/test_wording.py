"""What a first-time user gets to read: help, and errors that name the command that they concern."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest


def run(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, cwd=cwd, capture_output=True, text=True, check=False)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / ".aicc").mkdir()
    (tmp_path / "a.c").write_text(
        "int main(void) { unsigned s = 0; for (unsigned i = 0; i < 300000000; i++) s = s * 3 ^ i; return s & 1; }\n"
    )
    return tmp_path


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("explain", "aicc-tool explain: error: the following arguments are required: function (try 'aicc-tool explain --help')\n"),
        ("tune -faicc-foo", "aicc-tool tune: error: unrecognized arguments: -faicc-foo (try 'aicc-tool tune --help')\n"),
        ("store verify X", "aicc-tool store verify: error: unrecognized arguments: X (try 'aicc-tool store verify --help')\n"),
        ("--nosuch init", "aicc-tool: error: unrecognized arguments: --nosuch (try 'aicc-tool --help')\n"),
    ],
)  # fmt: skip
def test_argument_errors_name_their_command(project: Path, words: str, said: str) -> None:
    done = run("aicc-tool", *words.split(), cwd=project)
    assert (done.returncode, done.stderr) == (2, said)


def test_a_file_that_may_not_be_run_is_no_missing_program(project: Path) -> None:
    done = run("aicc-tool", "profile", "--", "./a.c", cwd=project)
    assert (done.returncode, "a.c: not executable (permission denied)" in done.stderr) == (1, True)


def test_profile_counts_in_english_says_each_thing_once_and_what_comes_next(project: Path) -> None:
    run("aicc", "-O2", "a.c", "-o", "prog", cwd=project)
    done = run("aicc-tool", "profile", "--functions", "nosuch", "--", "./prog", cwd=project)
    assert "; 1 hot function covers 100% of those" in done.stderr
    assert done.stderr.count("nosuch") == 1
    if " 0 captured" not in done.stderr and "no captures" not in done.stderr:
        assert done.stderr.endswith("Next: 'aicc-tool tune'.\n") or "0 captured calls" in done.stderr


def test_tune_mode_without_a_profile_logs_why_and_nothing_else(project: Path) -> None:
    done = run("aicc", "-O2", "-faicc-mode=tune", "-c", "a.c", cwd=project)
    assert (done.returncode, len(done.stderr.splitlines())) == (0, 1)
    (line,) = (project / ".aicc" / "log").read_text().splitlines()
    assert "profile.json" in line


def test_aiccs_own_options_are_listed(project: Path) -> None:
    done = run("aicc", "-faicc-help", cwd=project)
    assert (done.returncode, done.stderr) == (0, "")
    assert all(
        word in done.stdout
        for word in ("-faicc-mode=", "-faicc-isa=", "-fopt-info-aicc", "AICC_DIR", "aicc-tool --help")
    )
    assert run("aicc", "--help", cwd=project).stdout == run("gcc", "--help", cwd=project).stdout, "scripts read it"
