"""How the time of a run is divided among its functions."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from compiler_ai.artifacts import Baseline, CompileCommand, HotFunction, ProfiledFunction
from compiler_ai.driver import options
from compiler_ai.tune import session
from compiler_ai.tune.allotment import Allotment
from compiler_ai.tune.plan import Plan, Task


class Clock:
    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def test_equal_shares_get_equal_time():
    clock = Clock()
    allotment = Allotment([0.25] * 4, 100.0, 1, clock)
    for index in range(4):
        assert allotment.begin(index) == pytest.approx(25.0)
        clock.now_s += 25.0
        allotment.end(index)


def test_four_times_the_share_is_twice_the_time():
    allotment = Allotment([0.4, 0.1], 90.0, 1, Clock())
    assert allotment.begin(0) == pytest.approx(60.0)


def test_what_one_leaves_goes_to_those_after_it():
    clock = Clock()
    allotment = Allotment([0.2] * 3, 90.0, 1, clock)
    assert allotment.begin(0) == pytest.approx(30.0)
    clock.now_s += 10.0
    allotment.end(0)
    assert allotment.begin(1) == pytest.approx(40.0)


def test_what_runs_beside_it_keeps_its_time():
    allotment = Allotment([0.4, 0.1, 0.1], 100.0, 2, Clock())
    assert allotment.begin(0) == pytest.approx(100.0)
    assert allotment.begin(1) == pytest.approx(50.0)


def test_what_is_left_at_a_pause_goes_to_what_promises_most():
    clock = Clock()
    allotment = Allotment([0.4, 0.4, 0.4], 90.0, 1, clock)
    for index, gain in ((0, 0.04), (1, 0.36)):
        assert allotment.begin(index) == pytest.approx(30.0)
        clock.now_s += 10.0
        allotment.pause(index, gain)
    assert allotment.begin(2) == pytest.approx(30.0)  # what the others left is kept for those that wait
    clock.now_s += 10.0
    allotment.end(2)
    assert allotment.resume(1) == pytest.approx(30.0)  # half of the time that there is
    clock.now_s += 20.0
    allotment.end(1)
    assert allotment.resume(0) == pytest.approx(40.0)


def test_one_of_many_that_wait_gets_twice_its_part():
    clock = Clock()
    allotment = Allotment([0.1] * 10, 100.0, 1, clock)
    for index in range(10):
        allotment.begin(index)
        allotment.pause(index, 0.05)
    assert allotment.resume(0) == pytest.approx(20.0)


def test_one_that_goes_on_before_others_have_begun_leaves_them_time():
    allotment = Allotment([0.25] * 4, 100.0, 1, Clock())
    allotment.begin(0)
    allotment.pause(0, 0.25)
    assert allotment.resume(0) == pytest.approx(50.0)
    allotment.end(0)
    allotment = Allotment([0.04] * 9, 100.0, 1, Clock())
    allotment.begin(0)
    allotment.pause(0, 0.01)
    assert allotment.resume(0) == pytest.approx(2 * 100.0 / 17)


def test_one_that_promises_more_than_any_other_could_save_gets_half_of_the_time():
    for gain, seconds in ((0.3, 50.0), (0.1, 2 * 100.0 * math.sqrt(0.1) / (math.sqrt(0.1) + 8 * math.sqrt(0.2)))):
        allotment = Allotment([0.5, *[0.2] * 8], 100.0, 1, Clock())
        allotment.begin(0)
        allotment.pause(0, gain)
        assert allotment.resume(0) == pytest.approx(seconds)


def test_a_function_that_has_not_begun_can_save_its_share_at_most():
    allotment = Allotment([0.5, 0.3, 0.1], 100.0, 1, Clock())
    assert allotment.most_to_come() == 0.5
    allotment.begin(0)
    assert allotment.most_to_come() == 0.3
    allotment.begin(1)
    allotment.begin(2)
    assert allotment.most_to_come() == 0.0


def test_when_the_time_is_over_there_is_enough_to_say_so():
    clock = Clock()
    allotment = Allotment([0.5, 0.5], 20.0, 1, clock)
    allotment.begin(0)
    clock.now_s += 60.0
    allotment.end(0)
    assert allotment.begin(1) == 10.0


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=12), st.integers(1, 4), st.floats(1000.0, 10_000.0))
def test_those_that_use_their_time_up_end_with_the_run(shares, jobs, total_s):
    clock = Clock()
    allotment = Allotment(shares, total_s, jobs, clock)
    running: dict[int, float] = {}
    for index in range(len(shares)):
        if len(running) == jobs:
            first = min(running, key=lambda one: running[one])
            clock.now_s = running.pop(first)
            allotment.end(first)
        running[index] = clock.now_s + allotment.begin(index)
    assert max(running.values()) <= Clock.now_s + total_s + 10.0 * len(shares)


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=12), st.floats(1000.0, 10_000.0))
def test_those_that_pause_end_with_the_run_too(shares, total_s):
    clock = Clock()
    allotment = Allotment(shares, total_s, 1, clock)
    for index, share in enumerate(shares):
        clock.now_s += allotment.begin(index) / 2
        allotment.pause(index, share)
    for index in range(len(shares)):
        clock.now_s += allotment.resume(index)
        allotment.end(index)
    assert clock.now_s <= Clock.now_s + total_s + 20.0 * len(shares)


def test_a_tuning_run_divides_its_time_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    given_s: list[float] = []

    def run(tasks: list[Task], _work: Any, budgets: Allotment, *_rest: Any) -> Iterator[Any]:
        given_s.extend(budgets.begin(index) for index in range(len(tasks)))
        return iter(())

    monkeypatch.setattr(session, "run_all", run)
    parsed, _ = options.parse([], {})
    command = CompileCommand(("gcc",), (), "unit.c", "unit.o", str(tmp_path), "x86_64")
    hot = HotFunction(ProfiledFunction("f", "/p/program", "unit.c", 0, 4, 1.0), 0.64)
    one = Task(hot, Baseline("f", command, "", "key", 4), (), (), (), tmp_path, 0)
    plan = Plan([one, replace(one, hot=replace(hot, share=0.04))])
    settings = session.Settings(tmp_path, parsed, 100.0, frozenset(), 1, 0)
    session.run_tasks(settings, plan, Console(quiet=True), {})
    assert given_s[0] == pytest.approx(80.0, abs=1.0)
