"""Why a function has no captures is remembered where the captures are, and repeated by the tuning."""

from __future__ import annotations

from pathlib import Path

from compiler_ai.toolchains.x86_64 import X86_64

from compiler_ai.artifacts import ProfiledFunction
from compiler_ai.capture.systemcalls import named
from compiler_ai.tune.captured import forget_all, note_missing, why_missing
from compiler_ai.tune.plan import without_captures

READS = ProfiledFunction("f", "/p/program", "x.c", 0x1000, 64, 1.0)
OTHER = ProfiledFunction("f", "/p/program", "y.c", 0x2000, 64, 1.0)


def test_a_reason_is_of_one_function_and_lasts_as_long_as_the_captures(tmp_path: Path) -> None:
    (tmp_path / "captures").mkdir()
    note_missing(tmp_path, {READS: "it makes a system call (openat)"})
    note_missing(tmp_path, {OTHER: "it reads the clock"})
    assert why_missing(tmp_path, READS) == "it makes a system call (openat)"
    assert why_missing(tmp_path, OTHER) == "it reads the clock"
    (tmp_path / "captures" / "missing.json").write_text("[")
    assert why_missing(tmp_path, READS) == ""
    forget_all(tmp_path)
    assert why_missing(tmp_path, READS) == ""


def test_the_hint_leads_on() -> None:
    """It neither replaces the profile nor sends back to what has been said."""
    known, unknown = without_captures("f", "it makes a system call (openat)"), without_captures("f", "")
    assert all("'aicc-tool profile --add --functions f -- COMMAND'" in said for said in (known, unknown))
    assert "it makes a system call (openat)" in known
    assert "says why not" not in known
    assert unknown.endswith("does it, or says why not")


def test_system_calls_go_by_their_names() -> None:
    assert named(257, X86_64.system_call_headers) == "openat"
    assert named(257, ("/nonexistent",)) == "number 257"
    assert named(99999, X86_64.system_call_headers) == "number 99999"
