"""What a predictor can only learn from hearing the same calls again and again counts as time that they take."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from test_turns import BRANCHLESS, BRANCHY, DATA, assembled, image

from compiler_ai.measure.foresight import mispredicted, unforeseen
from compiler_ai.measure.timing import Timer
from compiler_ai.sandbox.errors import SandboxError
from compiler_ai.sandbox.process import Sandbox

LENGTH = 64


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as opened:
        yield opened


@pytest.mark.parametrize(
    ("runs", "wrong"),
    [
        ([[(0, True)] * 9 + [(0, False)]] * 8, 1),  # a loop's end
        ([[(0, True), (4, False)]] * 8, 0),
        ([[(0, True)] * 3, [(4, False)] * 3], 0),
        ([[(0, turn % 2 == 0) for turn in range(40)]] * 4, 20),  # no history is kept
    ],
)
def test_jumps_are_foreseen_as_they_were_most_often_before(runs: list, wrong: float) -> None:
    assert mispredicted(runs) == pytest.approx(wrong, abs=0.5)


def test_nothing_is_foreseen_of_what_is_chance() -> None:
    chance = random.Random(3)
    runs = [[(0, chance.random() < 0.5) for _ in range(100)] for _ in range(20)]
    assert 40 < mispredicted(runs) < 60


def test_jumps_on_each_call_s_data_count_as_time(sandbox: Sandbox, tmp_path: Path) -> None:
    chance = random.Random(7)
    images = [image(chance.randbytes(LENGTH), DATA, LENGTH) for _ in range(8)]
    plain, branchy = assembled(BRANCHLESS, tmp_path), assembled(BRANCHY, tmp_path)
    least, most = (unforeseen(sandbox, code, "f", images, 3000) for code in (plain, branchy))
    assert least < 3
    assert LENGTH / 4 < most - least < LENGTH
    timer = Timer(sandbox, plain, "f", images)
    assert timer.measure(plain).warm.ratio > 0.9
    assert timer.measure(branchy).warm.ratio < 0.8  # eight calls of 64 jumps are known by heart soon


def test_a_call_that_goes_on_too_long_is_not_told(sandbox: Sandbox, tmp_path: Path) -> None:
    with pytest.raises(SandboxError, match="does not come back"):
        unforeseen(sandbox, assembled(BRANCHY, tmp_path), "f", [image(bytes(64), DATA, 64)], 40)
