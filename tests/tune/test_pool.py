"""Workers: one that dies costs its own task, says why in a line, and none outlives the tuning."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from compiler_ai.tune import pool
from compiler_ai.tune.pool import Died, Progress, run_all

Report = Callable[[Progress], None]


def work(task: str, _budget_s: float, report: Report) -> str:
    """What a worker does in these tests: `task` says."""
    if task == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if task == "memory":
        raise MemoryError
    if task == "exit":
        print("Traceback (most recent call last):\nLLVM ERROR: out of memory", file=sys.stderr, flush=True)
        os._exit(3)
    if task.startswith("warns"):
        print("the trial cache is full", file=sys.stderr)
    if task.startswith("/"):
        Path(task).write_text(str(os.getpid()))
        time.sleep(3600)
    report(Progress("stage", 1, 2, 1.5))
    return f"did {task}"


def hang(_task: object, _budget_s: float, report: Report) -> str:
    report(Progress("replay", 0, 6, 0.0))
    time.sleep(600)
    return "too late"


def fall(_task: object, _budget_s: float, report: Report) -> str:
    report(Progress("measure", 1, 3, 1.2))
    os._exit(7)


def answers(*tasks: str) -> dict[str, object]:
    found = dict(run_all(tasks, work, lambda _index: 600.0, 2, lambda _index, _progress: None))
    return {tasks[index]: answer for index, answer in found.items()}


def test_a_worker_that_dies_costs_its_own_task(capfd: pytest.CaptureFixture[str]) -> None:
    found = answers("killed", "memory", "exit", "fine")
    assert found["fine"] == "did fine"
    assert found["memory"] == Died("MemoryError: ")
    assert found["killed"] == Died("its worker was ended by SIGKILL, by hand or for want of memory")
    assert found["exit"] == Died("its worker ended with status 3: LLVM ERROR: out of memory")
    assert capfd.readouterr() == ("", "")


def test_what_several_workers_warn_of_is_said_once(capfd: pytest.CaptureFixture[str]) -> None:
    assert answers("warns 1", "warns 2", "warns 3")["warns 3"] == "did warns 3"
    assert capfd.readouterr().err == "the trial cache is full\n"


def test_workers_end_with_a_tuning_that_is_killed(tmp_path: Path) -> None:
    program = f"import sys; sys.path[:0] = {sys.path!r}; import test_pool; test_pool.answers({str(tmp_path / 'pid')!r})"
    tuning = subprocess.Popen([sys.executable, "-c", program])
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        time.sleep(0.05)
        assert tuning.poll() is None
    worker = Path("/proc", (tmp_path / "pid").read_text())
    assert worker.exists()
    tuning.kill()
    tuning.wait()
    while worker.exists() and "Z" not in (worker / "stat").read_text().rpartition(") ")[2][:1]:
        time.sleep(0.05)


def test_a_worker_that_is_killed_is_said_to_have_been_at_a_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    def then_its_time_is_over(_index: int, _progress: Progress) -> None:
        monkeypatch.setattr(pool, "time", SimpleNamespace(monotonic=lambda: math.inf))

    answers = run_all([0], hang, lambda _index: 3600.0, 1, then_its_time_is_over)
    assert list(answers) == [(0, Died("its worker did not end in time and was killed (replay)"))]


def test_a_worker_that_dies_too() -> None:
    answers = run_all([0], fall, lambda _index: 60.0, 1, lambda _index, _progress: None)
    assert list(answers) == [(0, Died("its worker ended with status 7 (measure)"))]
