"""How the time of a run is divided among its functions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler_ai.tune.allotment import Allotment


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
