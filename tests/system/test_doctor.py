"""`aicc-tool doctor` says on one screen what is in use, what is missing, and what to do about it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

SUBJECTS = ("compiler", "assembler", "shim", "perf", "valgrind", "ptrace", "verifier", "model", "project")


def doctor(directory: Path, **variables: str) -> tuple[int, str]:
    """Exit status, and the screen as one line of words."""
    done = subprocess.run(
        ["aicc-tool", "doctor"],
        cwd=directory,
        env={**os.environ, "COLUMNS": "400", **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    return done.returncode, " ".join(done.stdout.split())


def test_every_part_is_named_where_all_is_well(tmp_path: Path) -> None:
    status, said = doctor(tmp_path)
    assert status == 0, said
    for subject in SUBJECTS:
        assert f"ok {subject} " in said or f"note {subject} " in said, subject
    assert (
        "note project no .aicc at or above this directory: aicc is plain gcc -> aicc-tool init, or set AICC_DIR to one"
        in said
    )
    assert "missing" not in said


def test_what_is_wrong_comes_with_its_fix(tmp_path: Path) -> None:
    (tmp_path / ".aicc" / "store").mkdir(parents=True)
    (tmp_path / ".aicc" / "store" / "lock.toml").write_text("version = 99\n")
    status, said = doctor(tmp_path, AICC_CC="no-such-gcc")
    assert status == 1
    assert "missing compiler compiler 'no-such-gcc' (from AICC_CC) not found" in said
    assert "-> set AICC_CC to another compiler, or unset it" in said
    assert "note project" in said
    assert "-> build with CC=aicc" in said
    assert "-> aicc-tool profile -- COMMAND" in said
    assert "newer aicc" in said


def test_a_model_that_is_named_is_checked_without_asking_it(tmp_path: Path) -> None:
    said = doctor(tmp_path)[1]
    assert "ok model none is named: the search proposer works alone" in said
    (tmp_path / "answers.jsonl").write_text("")
    said = doctor(tmp_path, AICC_MODEL="replay:answers.jsonl")[1]
    assert "ok model replay:answers.jsonl" in said
    said = doctor(tmp_path, AICC_FLAGS="-faicc-model=replay:none.jsonl -faicc-model=replay:answers.jsonl")[1]
    assert "note model replay:none.jsonl: there is no such file -> name one that is there" in said
    assert "ok model replay:answers.jsonl" in said
    status, said = doctor(tmp_path, AICC_MODEL="nonsense")
    assert "note model -faicc-model=nonsense: not a model: write hf:" in said
    assert "-> correct AICC_MODEL or AICC_FLAGS" in said
    assert status == 0
