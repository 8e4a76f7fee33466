"""`aicc-tool check` says what was compared, and praises nothing else."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from compiler_ai.program import snapshot


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / ".aicc").mkdir()
    return tmp_path


def built(project: Path, name: str, text: str) -> None:
    (project / f"{name}.c").write_text(f"#include <unistd.h>\n#include <signal.h>\n{text}\n")
    subprocess.run(["gcc", "-o", name, f"{name}.c"], cwd=project, check=True)


def tool(directory: Path, *words: str) -> subprocess.CompletedProcess[str]:
    options = ["--pairs", "6", "--budget", "1s", "--json", "check.json"]
    return subprocess.run(
        ["aicc-tool", "check", *options, *words], cwd=directory, capture_output=True, text=True, check=False
    )


def checked(project: Path, before: str, after: str) -> tuple[int, str, dict[str, object]]:
    """Exit status, standard output and the JSON file of a comparison of two programs."""
    built(project, "before", before)
    built(project, "after", after)
    done = tool(project, "--before", "./before", "--", "./after")
    assert done.stderr == ""
    return done.returncode, done.stdout, json.loads((project / "check.json").read_text())


SAYS = "int main(void) { return write(1, %s, 2) != 2; }"
CRASHES = "int main(void) { return raise(SIGSEGV); }"


def test_the_same_output_and_exit_status(project: Path) -> None:
    status, said, kept = checked(project, SAYS % '"a\\n"', SAYS % '"a\\n"')
    assert (status, kept["verdict"], kept["status"]) == (0, "SAME", 0)
    assert said.startswith("same output and exit status in 6 paired runs of: ./after")
    assert "both ended" not in said


def test_another_output_is_different(project: Path) -> None:
    status, said, kept = checked(project, SAYS % '"a["', SAYS % '"b["')
    assert (status, kept["verdict"]) == (1, "DIFFERENT")
    assert said == "different: standard output differs at byte 0 (line 1): b'a[' before, b'b[' after\n"


def test_two_crashes_compare_nothing(project: Path) -> None:
    status, said, kept = checked(project, CRASHES, CRASHES)
    assert said == "both ended by signal 11 (SIGSEGV): nothing was compared\n"
    assert (status, kept["verdict"], kept["status"], kept["cpu"]) == (1, "CRASHED", -11, None)


def test_a_crash_on_one_side_is_different(project: Path) -> None:
    status, said, _ = checked(project, SAYS % '"a\\n"', CRASHES)
    assert (status, said) == (
        1,
        "different: exit status differs: it ended with exit status 0 before, by signal 11 (SIGSEGV) after\n",
    )


@pytest.mark.parametrize(
    ("code", "words"), [(3, "exit status 3"), (139, "exit status 139 (what a shell says of signal 11 (SIGSEGV))")]
)
def test_an_exit_status_that_is_the_same_on_both_sides_is_fine_and_stated(project: Path, code: int, words: str) -> None:
    program = f"int main(void) {{ return {code}; }}"
    status, said, kept = checked(project, program, program)
    assert f"\n  both ended with {words}\n" in said
    assert (status, kept["verdict"], kept["status"]) == (0, "SAME", code)


CLOCK = "#include <time.h>\nstatic long now(void) { struct timespec t; clock_gettime(CLOCK_REALTIME, &t); return t.tv_nsec; }"
CHANGES = CLOCK + '\n#include <stdio.h>\nint main(void) { printf("a %%ld\\n", now()); fputs("%s", stderr); return %d; }'


def test_an_output_that_changes_without_a_rewrite_too_is_no_miscompile(project: Path) -> None:
    status, said, kept = checked(project, CHANGES % ("b", 0), CHANGES % ("b", 0))
    assert (status, kept["verdict"]) == (3, "UNSTABLE")
    assert said.startswith("the output changes from run to run without a rewrite, too: standard output at byte ")


@pytest.mark.parametrize(
    ("after", "what"),
    [(("c", 0), "standard error differs at byte 0"), (("b", 1), "exit status differs")],
)
def test_it_does_not_hide_what_changes_with_the_rewrite_only(project: Path, after: tuple[str, int], what: str) -> None:
    status, said, kept = checked(project, CHANGES % ("b", 0), CHANGES % after)
    assert (status, kept["verdict"]) == (1, "DIFFERENT")
    assert said.startswith(f"different: {what}")


@pytest.fixture
def rebuilt(project: Path) -> Path:
    """A project whose program was profiled, and has been built anew since."""
    built(project, "prog", SAYS % '"a\\n"')
    snapshot.take(project / ".aicc", [project / "prog"])
    built(project, "prog", "int unused;" + SAYS % '"a\\n"')
    return project


def test_what_was_profiled_is_compared_with_what_was_built_since(rebuilt: Path) -> None:
    done = tool(rebuilt, "--", "./prog")
    assert (done.returncode, done.stdout.partition(" in ")[0]) == (0, "same output and exit status")
    assert "CPU time" in done.stdout


@pytest.mark.parametrize("command", ["true", "false"])
def test_a_command_that_runs_nothing_of_it_compares_nothing(rebuilt: Path, command: str) -> None:
    done = tool(rebuilt, "--", command)
    said = f"nothing was compared: the command ran nothing that was profiled, which is {rebuilt / 'prog'}; "
    assert done.stdout.startswith(said)
    assert (done.returncode, done.stdout.count("\n")) == (1, 1)
    kept = json.loads((rebuilt / "check.json").read_text())
    assert (kept["verdict"], kept["cpu"], kept["wall"]) == ("NOT_RUN", None, None)


def test_a_project_that_was_copied_or_moved_says_what_to_do(
    rebuilt: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    new = tmp_path_factory.mktemp("elsewhere") / "new"
    shutil.copytree(rebuilt, new)
    copied = tool(new, "--", "./prog")
    assert copied.returncode == 1
    (rebuilt / "prog").unlink()
    moved = tool(new, "--", "./prog")
    assert (moved.returncode, moved.stdout) == (1, "")
    for said in (copied.stdout, moved.stderr):
        assert "if the project was moved or copied, name the old program with --before, or profile again" in said
    (rebuilt / "prog").write_bytes(next((rebuilt / ".aicc" / "baseline").glob("*.prog")).read_bytes())
    assert "moved or copied" in tool(new, "--", "./prog").stderr
    assert "moved or copied" not in tool(rebuilt, "--", "./prog").stderr, "its own tree is where it was"
