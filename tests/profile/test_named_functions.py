"""`aicc-tool profile --functions`: calls of what is not hot are captured too, so that `tune --functions` can have it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from compiler_ai.profile.hotness import Rules, select, with_functions
from compiler_ai.profile.model import Profile

PROGRAM = """
volatile unsigned sink;
__attribute__((noinline)) void hot(unsigned n) { for (unsigned i = 0; i < n; i++) sink += i * 3; }
__attribute__((noinline)) unsigned rare(unsigned n) { return n * 7 + 1; }
__attribute__((noinline)) unsigned never_called(unsigned n) { return n * 9 + 1; }
int main(int argc, char **argv) {
    for (unsigned i = 0; i < 4000; i++) { hot(40000 + i); sink += rare(i); }
    return argc > 9 ? never_called(argc) : 0;
}
"""


def test_named_functions_are_captured_and_stay_in_the_profile(tmp_path: Path, aicc_tool: str) -> None:
    (tmp_path / "program.c").write_text(PROGRAM)

    def run(*words: str, status: int = 0) -> str:
        done = subprocess.run(words, cwd=tmp_path, env=os.environ, capture_output=True, text=True, check=False)
        assert done.returncode == status, done.stderr
        return done.stdout + done.stderr

    run(aicc_tool, "init")
    run("aicc", "-O2", "-c", "program.c")
    run("aicc", "-o", "program", "program.o")
    said = run(aicc_tool, "profile", "--functions", "rare,never_called,misspelt", "--captures", "4", "--", "./program")
    assert "misspelt: not in the profile" in said
    assert "no capture of never_called" in said
    kept = {path.name.partition(".")[0] for path in (tmp_path / ".aicc" / "captures").rglob("*.cap")}
    assert kept == {"hot", "rare"}
    said = run(aicc_tool, "tune", "--functions", "never_called,misspelt", status=1)
    assert (
        "never_called (0.0%): no call of it was captured: it was not called at a sampled moment; "
        "'aicc-tool profile --add --functions never_called -- COMMAND' tries another workload\n" in said
    )
    assert "misspelt: not in the profile" in said

    profile = Profile.load(tmp_path / ".aicc" / "profile.json")
    assert {function.symbol for function in profile.functions} >= {"hot", "rare", "never_called"}
    run(
        aicc_tool,
        "profile",
        "--add",
        "--functions",
        "never_called",
        "--captures",
        "4",
        "--",
        "./program",
        *"123456789",
        status=91,
    )
    kept = {path.name.partition(".")[0] for path in (tmp_path / ".aicc" / "captures").rglob("*.cap")}
    assert kept == {"hot", "rare", "never_called"}, "which adds to what there was"

    usual = select(profile, tmp_path, Rules())
    assert [hot.profiled.symbol for hot in usual.functions] == ["hot"]
    assert with_functions(profile, frozenset({"rare"}), tmp_path) == profile
