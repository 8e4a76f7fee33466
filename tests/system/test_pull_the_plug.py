"""kill -9, full disks, damaged files and too little memory, at any moment: the next run goes on and nothing is lost."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from plug import (
    DAMAGE,
    FUNCTIONS,
    Project,
    fresh,
    gccs,
    kill,
    lines_until,
    make_profiled,
    on_small_disk,
    tune_command,
    until,
)

from compiler_ai.tune.alone import alone

WAITING = Path(__file__).parent / "waiting_plugin.py"
WORKER = "multiprocessing.spawn"


@pytest.fixture(scope="module")
def profiled(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return make_profiled(tmp_path_factory.mktemp("profiled"))


@pytest.fixture
def project(profiled: Project, tmp_path: Path) -> Project:
    return fresh(profiled, tmp_path / "cache")


def test_a_killed_tuning_leaves_nothing_running_and_the_next_one_goes_on(project: Project) -> None:
    tuning = project.start(*tune_command("-j1"))
    first = list(lines_until(tuning, "[1/2]"))[-1]
    assert "faster" in first, first
    project.wait_for(WORKER)
    kill(tuning.pid)
    tuning.wait()
    until(lambda: not project.processes())
    assert len(project.stored()) == 1
    project.build()
    done = project.tune("-j2")
    assert (done.returncode, done.stderr) == (0, "")
    assert first.replace("[1/2]", "") in done.stdout.replace("[1/2]", "").replace("[2/2]", "")  # from the trial cache
    assert project.stored() == set(FUNCTIONS)
    project.build()


def test_one_tuning_a_project_at_a_time_and_a_killed_one_is_in_nobodys_way(project: Project) -> None:
    tuning = project.start(*tune_command("-j1"))
    project.wait_for(WORKER)
    second = project.tune()
    said = f"aicc-tool tune: error: another tune is running in this project (pid {tuning.pid})\n"
    assert (second.returncode, second.stdout, second.stderr) == (1, "", said)
    holders = [pid for pid in project.processes() if holds(pid, project.aicc / "tune.lock")]
    assert holders == [tuning.pid], "none of what it has started"
    kill(tuning.pid)
    tuning.wait()
    with alone(project.aicc):
        pass


def holds(pid: int, path: Path) -> bool:
    """Whether a process has a file open."""
    try:
        return any(os.readlink(link) == str(path) for link in Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return False  # it has ended


def compile_that_waits(project: Project, waits: Path) -> subprocess.Popen[str]:
    """A compile in tune mode that has begun with its passes."""
    words = [
        "aicc",
        "-O1",
        "-faicc-mode=tune",
        f"-faicc-plugin={WAITING}",
        f"-faicc-plugin-arg-waiting_plugin-file={waits}",
    ]
    (project.directory / "sums.o").unlink(missing_ok=True)
    compiling = project.start(*words, "-c", "sums.c")
    until(waits.exists)
    return compiling


@pytest.mark.parametrize("killed", ["tune.inline", "as_main.py", "gcc"])
def test_a_compile_in_tune_mode_is_killed_in_part(project: Project, tmp_path: Path, killed: str) -> None:
    """Without its passes it is GCC's compile; without its assembler or driver it fails as GCC does; nothing stays behind."""
    compiling = compile_that_waits(project, tmp_path / "waits")
    kill(compiling.pid if killed == "gcc" else project.wait_for(killed))
    _, said = compiling.communicate()
    until(lambda: not project.processes())
    assert "Traceback" not in said
    if killed == "tune.inline":
        assert (compiling.returncode, said) == (0, "")
        assert (project.directory / "sums.o").read_bytes() == gccs(project, "sums.o")
        assert "the pass driver ended with status -9" in (project.aicc / "log").read_text()
    else:
        assert compiling.returncode != 0
        assert not (project.directory / "sums.o").exists()
    project.build()


@pytest.mark.full
def test_a_killed_worker_costs_its_own_function_only(project: Project) -> None:
    tuning = project.start(*tune_command("-j1"))
    kill(project.wait_for(WORKER))
    out, err = tuning.communicate()
    assert (tuning.returncode, err) == (0, "")
    assert "its worker was ended by SIGKILL" in out
    assert "1 of 2 functions has a faster body" in out
    assert len(project.stored()) == 1
    assert "its worker was ended by SIGKILL" in (project.aicc / "log").read_text()
    assert "2 of 2 functions have a faster body" in project.tune().stdout
    assert project.stored() == set(FUNCTIONS)
    project.build()


@pytest.mark.full
def test_a_killed_runner_costs_nothing_for_good(project: Project) -> None:
    tuning = project.start(*tune_command("-j1"))
    for _ in range(3):
        kill(project.wait_for("/runner"))
        until(lambda: not any("/runner" in words for words in project.processes().values()))
    _, err = tuning.communicate()
    assert (tuning.returncode, err) == (0, "")
    project.build()
    assert "2 of 2 functions have a faster body" in project.tune().stdout
    assert project.stored() == set(FUNCTIONS)


@pytest.mark.full
@pytest.mark.parametrize("what", ["the trial cache", "the project", "temporary files"])
def test_a_disk_that_is_full_while_tuning_is_one_line_and_the_next_run_goes_on(
    project: Project, tmp_path: Path, what: str
) -> None:
    place = {"the trial cache": project.cache, "the project": project.aicc, "temporary files": tmp_path / "tmp"}[what]
    place.mkdir(exist_ok=True)
    before = tmp_path / "before"
    shutil.copytree(place, before)
    variable = f"TMPDIR='{place}'" if what == "temporary files" else ""
    script = f"""
    cp -r '{before}/.' '{place}' || exit 33
    cat /dev/zero >'{place}/filler' 2>/dev/null
    {variable} {shlex.join(tune_command())} || exit $?
    """
    done = project.run(*on_small_disk(place, 2048, script))
    assert done.returncode not in (32, 33), done.stderr
    said = [line for line in done.stderr.splitlines() if line]
    assert len(said) == 1, done.stdout + done.stderr
    assert any(words in done.stdout + said[0] for words in ("No space left on device", "disk is full"))
    if what == "the trial cache":  # the verdicts are not remembered, and that is all
        assert done.returncode == 0
        assert project.stored() == set(FUNCTIONS)
    else:
        assert done.returncode == 1
        assert "a faster body" not in done.stdout.replace("0 of 2 functions have a faster body", "")
        assert project.stored() == set()
    project.build()
    assert "2 of 2 functions have a faster body" in project.tune().stdout
    project.build()


@pytest.mark.full
@pytest.mark.parametrize("limit_kib", [120_000, 200_000, 400_000, 800_000])
def test_too_little_memory_loses_nothing(project: Project, limit_kib: int) -> None:
    """`ulimit -v` on the whole tuning: whatever dies of it says so in a line."""
    done = project.run("sh", "-c", f"ulimit -v {limit_kib}; exec {shlex.join(tune_command())}")
    assert len(done.stderr.splitlines()) <= 1, done.stderr
    assert project.stored() <= set(FUNCTIONS)
    project.build()
    assert "2 of 2 functions have a faster body" in project.tune().stdout
    project.build()


@pytest.mark.full
@pytest.mark.parametrize("damage", ["missing", "empty", "truncated", "garbage", "zeros"])
def test_damaged_caches_and_captures_are_made_again_or_passed_over(project: Project, damage: str) -> None:
    assert project.tune().returncode == 0
    for pattern in ("trials/**/*.jsonl", "runtime/*/*"):
        for path in project.cache.glob(pattern):
            DAMAGE[damage](path)
    for path in list(project.aicc.glob("captures/*/*.cap"))[::2]:
        DAMAGE[damage](path)
    DAMAGE[damage](project.aicc / "results.json")
    report = project.run("aicc-tool", "report")
    assert (report.returncode, len(report.stderr.splitlines())) == (1, 1)
    assert "aicc-tool tune" in report.stderr
    done = project.tune()
    assert (done.returncode, done.stderr) == (0, "")
    assert "of 2 functions ha" in done.stdout  # with fewer captures there may be less evidence
    assert project.stored() == set(FUNCTIONS)
    DAMAGE[damage](project.aicc / "profile.json")
    done = project.tune()
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert "aicc-tool profile" in done.stderr
    project.build()


def test_an_interrupted_tuning_leaves_no_temporary_files(project: Project, tmp_path: Path) -> None:
    place = tmp_path / "tmp"
    place.mkdir()
    tuning = project.start("env", f"TMPDIR={place}", *tune_command("-j1"))
    # Python's tempfile makes a file of eight such characters, only to see that it can, and removes it at once.
    until(lambda: sum(not re.fullmatch(r"aicc-tune-.*|[a-z0-9_]{8}", path.name) for path in place.rglob("*")))
    os.kill(tuning.pid, signal.SIGINT)
    tuning.communicate()
    assert tuning.returncode == 130
    assert [path.name for path in place.iterdir()] == []


def test_after_an_interrupt_what_is_said_of_the_tuning_is_true(project: Project) -> None:
    tuning = project.start(*tune_command("-j1"))
    project.wait_for(WORKER)
    os.kill(tuning.pid, signal.SIGINT)
    tuning.communicate()
    for words in (["report"], ["explain", FUNCTIONS[0]]):
        done = project.run("aicc-tool", *words)
        assert (done.returncode, done.stderr) == (0, "")
        assert f"not finished: {FUNCTIONS[0]}" in done.stdout.replace(f"{FUNCTIONS[1]}, ", "")
