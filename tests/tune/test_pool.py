"""Workers that do not answer: what is said of them."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from compiler_ai.tune import pool
from compiler_ai.tune.pool import Died, Progress, run_all


def hang(_task: object, _budget_s: float, report: Callable[[Progress], None]) -> str:
    report(Progress("replay", 0, 6, 0.0))
    time.sleep(600)
    return "too late"


def fall(_task: object, _budget_s: float, report: Callable[[Progress], None]) -> str:
    report(Progress("measure", 1, 3, 1.2))
    os._exit(7)


def test_a_worker_that_is_killed_is_said_to_have_been_at_a_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    def then_its_time_is_over(_index: int, _progress: Progress) -> None:
        monkeypatch.setattr(pool, "time", SimpleNamespace(monotonic=lambda: math.inf))

    answers = run_all([0], hang, lambda _index: 3600.0, 1, then_its_time_is_over)
    assert list(answers) == [(0, Died("its worker did not end in time and was killed (replay)"))]


def test_a_worker_that_dies_too() -> None:
    answers = run_all([0], fall, lambda _index: 60.0, 1, lambda _index, _progress: None)
    assert list(answers) == [(0, Died("its worker ended with status 7 (measure)"))]
