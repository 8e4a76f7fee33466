"""Workers: one that dies costs its own task, says why in a line, and none outlives the tuning."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from compiler_ai.tune import pool
from compiler_ai.tune.allotment import Allotment, Fixed
from compiler_ai.tune.pool import Died, Parent, Progress, run_all


def work(task: str, _budget_s: float, parent: Parent) -> str:
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
    parent.report(Progress("stage", 1, 2, 1.5))
    return f"did {task}"


def hang(_task: object, _budget_s: float, parent: Parent) -> str:
    parent.report(Progress("replay", 0, 6, 0.0))
    time.sleep(600)
    return "too late"


def fall(_task: object, _budget_s: float, parent: Parent) -> str:
    parent.report(Progress("measure", 1, 3, 1.2))
    os._exit(7)


def look_and_wait(gain: float, budget_s: float, parent: Parent) -> tuple[float, float, float]:
    """When it had looked and when it went on, and with which seconds."""
    looked_s = time.monotonic()
    if gain > 0:
        budget_s = parent.pause(gain)
    if gain == 0.9:
        os._exit(9)
    return looked_s, time.monotonic(), budget_s


def answers(*tasks: str) -> dict[str, object]:
    found = dict(run_all(tasks, work, Fixed(600.0), 2, lambda _index, _progress: None))
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

    answers = run_all([0], hang, Fixed(3600.0), 1, then_its_time_is_over)
    assert list(answers) == [(0, Died("its worker did not end in time and was killed (replay)"))]


def test_a_worker_that_dies_too() -> None:
    answers = run_all([0], fall, Fixed(60.0), 1, lambda _index, _progress: None)
    assert list(answers) == [(0, Died("its worker ended with status 7 (measure)"))]


class Noted(Fixed):
    """What is asked of a task's budget, in order."""

    def __init__(self) -> None:
        super().__init__(60.0)
        self.calls: list[tuple[str, int]] = []

    def begin(self, index: int) -> float:
        self.calls.append(("begin", index))
        return 60.0

    def pause(self, index: int, _gain: float) -> None:
        self.calls.append(("pause", index))

    def resume(self, index: int) -> float:
        self.calls.append(("resume", index))
        return 90.0

    def end(self, index: int) -> None:
        self.calls.append(("end", index))


def nothing(_index: int, _progress: Progress) -> None:
    pass


@pytest.mark.parametrize("jobs", [1, 2])
def test_those_that_pause_go_on_when_all_have_been_looked_at_the_most_promising_first(jobs: int) -> None:
    gains = [0.1, 0.0, 0.3, 0.2]
    budgets = Noted()
    found = dict(run_all(gains, look_and_wait, budgets, jobs, nothing))
    assert [found[index][2] for index in range(4)] == [90.0, 60.0, 90.0, 90.0]
    resumed = [index for call, index in budgets.calls if call == "resume"]
    assert sorted(resumed) == [0, 2, 3]
    assert sorted(index for call, index in budgets.calls if call == "end") == [0, 1, 2, 3]
    if jobs == 1:
        assert resumed == [2, 3, 0]
        assert max(looked_s for looked_s, _, _ in found.values()) < min(found[index][1] for index in (0, 2, 3))


def test_a_worker_that_dies_after_its_pause_costs_its_own_task() -> None:
    budgets = Noted()
    found = dict(run_all([0.9, 0.1], look_and_wait, budgets, 1, nothing))
    assert found[0] == Died("its worker ended with status 9")
    assert found[1][2] == 90.0
    assert [call for call, index in budgets.calls if index == 0] == ["begin", "pause", "resume", "end"]


def die_waiting(gain: float, budget_s: float, parent: Parent) -> float:
    """Dies once its parent knows that it waits, or lives on without a pause."""
    if gain:
        parent.pipe.send(pool._Pause(gain))
        os._exit(9)
    time.sleep(1.0)
    return budget_s


def test_a_worker_that_dies_while_it_waits_costs_its_own_task() -> None:
    allotment = Allotment([0.5, 0.5], 60.0, 2)
    found = dict(run_all([0.5, 0.0], die_waiting, allotment, 2, nothing))
    assert found[0] == Died("its worker ended with status 9")
    assert found[1] == pytest.approx(60.0, abs=1.0)


def test_one_that_promises_more_than_those_to_come_may_goes_on_before_them() -> None:
    class Shares(Noted):
        def most_to_come(self) -> float:
            return 0.25

    budgets = Shares()
    found = dict(run_all([0.1, 0.3, 0.2], look_and_wait, budgets, 1, nothing))
    assert len(found) == 3
    resumed = [call for call in budgets.calls if call[0] in ("begin", "resume")]
    assert resumed == [("begin", 0), ("begin", 1), ("resume", 1), ("begin", 2), ("resume", 2), ("resume", 0)]


def test_more_than_can_be_kept_waiting_go_on_before_all_have_been_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "_MOST_PAUSED", 1)
    budgets = Noted()
    found = dict(run_all([0.1, 0.2], look_and_wait, budgets, 1, nothing))
    assert len(found) == 2
    assert budgets.calls[:4] == [("begin", 0), ("pause", 0), ("resume", 0), ("end", 0)]
