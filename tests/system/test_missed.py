"""A rewrite that does not apply any more is seen: in the remarks, and by `aicc-tool store verify`."""

from __future__ import annotations

import subprocess
from pathlib import Path

import own_bodies
import pytest

from compiler_ai.driver import units

SOURCE = "\nint cold(int n) { return n / 3; }\nint hot(int n) { int s = 0; for (int i = 0; i < n; i++) s += i * i ^ s; return s; }\n"
MISSED = "hot.c:3: missed: hot: the store's rewrite is for other code (source or flags changed): tune again\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """With a rewrite of `hot` at -O2."""
    (tmp_path / ".aicc").mkdir()
    (tmp_path / "hot.c").write_text(SOURCE)
    assert compiled(tmp_path, "-O2") == ""
    assert own_bodies.fill(tmp_path / ".aicc", list(units.load_all(str(tmp_path / ".aicc"))), only="hot") == ["hot"]
    return tmp_path


def compiled(project: Path, *flags: str) -> str:
    words = ["aicc", *flags, "-c", "hot.c"]
    return subprocess.run(words, cwd=project, stderr=subprocess.PIPE, text=True, check=True).stderr


def verified(project: Path) -> str:
    words = ["aicc-tool", "store", "verify"]
    return subprocess.run(words, cwd=project, stdout=subprocess.PIPE, text=True, check=True).stdout


def test_one_that_applies_is_no_remark_of_missing(project: Path) -> None:
    assert compiled(project, "-O2", "-g", "-fopt-info-aicc") == "hot.c:3: optimized: hot: rewritten from the store\n"
    assert verified(project) == "1 rewrite, 0 problems\n"


@pytest.mark.parametrize("flags", ["-O1", "-O2 -mavx2", "-O0"])
def test_other_flags_are_a_remark(project: Path, flags: str) -> None:
    assert compiled(project, *flags.split(), "-fopt-info-aicc") == MISSED


def test_a_changed_source_is_a_remark_and_in_what_verify_says(project: Path) -> None:
    (project / "hot.c").write_text(SOURCE.replace("i * i", "i + i"))
    assert compiled(project, "-O2") == "", "nothing is said unasked"
    assert compiled(project, "-O2", "-fopt-info-aicc") == MISSED
    assert "hot-" in verified(project)
    assert "no recorded unit has this code any more" in verified(project)


def test_another_source_with_such_a_function_is_none(project: Path) -> None:
    (project / "hot.c").rename(project / "other.c")
    words = ["aicc", "-O1", "-c", "other.c", "-fopt-info-aicc"]
    assert subprocess.run(words, cwd=project, capture_output=True, text=True, check=True).stderr == ""


def test_remarks_that_cannot_be_written_are_one_line_in_the_log(project: Path) -> None:
    compiled(project, "-O2")
    rewritten = (project / "hot.o").read_bytes()
    assert compiled(project, "-O2", "-fopt-info-aicc=/nowhere/at/all") == ""
    assert (project / "hot.o").read_bytes() == rewritten
    lines = (project / ".aicc" / "log").read_text().splitlines()
    assert [line for line in lines if line.endswith("remarks: cannot write /nowhere/at/all: No such file or directory")]
    assert "Traceback" not in "\n".join(lines)
