"""The rows of the table, from draws and trials that are written down."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest

from compiler_ai.artifacts import Candidate, Evidence, Grade, Interval, Rejection, Timing, Trial
from compiler_ai.bench.drawing import Draw
from compiler_ai.bench.table import chosen_ratio, rows, stage, trial_stage
from compiler_ai.store.digest import digest


def timing(ratio: float) -> Timing:
    return Timing(Interval(ratio, ratio, ratio), None, (ratio,) * 15)


def trial(candidate: Candidate, rejected: str = "", grade: Grade | None = None, ratio: float = 0.0) -> Trial:
    return Trial(
        candidate,
        digest(candidate),
        Rejection(rejected, "why") if rejected else None,
        Evidence(grade) if grade is not None else None,
        timing(ratio) if ratio else None,
    )


def body(number: int) -> Candidate:
    return Candidate("f", f"\tmovl\t${number}, %eax\n\tret\n")


@pytest.mark.parametrize(
    ("rejected", "grade", "reached"),
    [
        ("screen.text", None, "parsed"),
        ("screen.assemble", None, "parsed"),
        ("screen.object", None, "assembled"),
        ("screen.code", None, "assembled"),
        ("verify.refuted", Grade.REFUTED, "refuted"),
        ("verify.unknown", Grade.UNKNOWN, "screened"),
        ("verify.failed", None, "screened"),
        ("measure.slower", Grade.TESTED, "tested"),
        ("", Grade.BOUNDED, "bounded"),
        ("", Grade.PROVED, "proved"),
    ],
)
def test_how_far_a_body_got(rejected: str, grade: Grade | None, reached: str) -> None:
    assert trial_stage(trial(body(1), rejected, grade)) == reached


def table(*answers: tuple[str, int, Trial | None, dict[str, Any]]) -> Any:
    """(function, number, trial, more of the draw) each."""
    draws = [
        Draw("model", function, number, candidates=(one.candidate,) if one else (), **more)
        for function, number, one, more in answers
    ]
    found = {(function, one.digest): one for function, _, one, _ in answers if one}
    return rows(draws, found, 4)


def test_a_stage_counts_those_that_got_further_too() -> None:
    (one, four) = table(
        ("f", 1, trial(body(1), "screen.assemble"), {}),
        ("f", 2, trial(body(2), "verify.refuted", Grade.REFUTED), {}),
        ("f", 3, trial(body(3), "measure.slower", Grade.TESTED, 0.5), {}),
        ("f", 4, trial(body(4), "", Grade.TESTED, 2.0), {"answer_tokens": 7, "seconds": 1.5}),
        ("g", 1, None, {"copied": True}),
        ("g", 2, None, {"failure": "it is down"}),
    )
    assert (one.answered, one.parsed, one.copied, one.assembled) == (2, 2, 1, 0)
    assert (four.answered, four.parsed, four.copied, four.assembled, four.screened) == (5, 5, 1, 3, 3)
    assert (four.refuted, four.tested, four.faster) == (1, 2, 1)
    assert (four.functions, four.right_functions, four.faster_functions) == (2, 1, 1)
    assert (four.tokens, four.seconds) == (7, 1.5)


def test_speedups_are_not_clipped_and_gains_are_what_would_be_kept() -> None:
    (_, four) = table(
        ("f", 1, trial(body(1), "measure.slower", Grade.TESTED, 0.5), {}),
        ("g", 1, trial(body(2), "", Grade.TESTED, 2.0), {}),
    )
    assert four.speedup.ratio == pytest.approx(1.0)
    assert four.gain.ratio == pytest.approx(math.sqrt(2.0))
    assert four.speedup.low < 1 < four.speedup.high


def test_nothing_right_has_no_speedup() -> None:
    (one, _) = table(("f", 1, trial(body(1), "verify.refuted", Grade.REFUTED), {}))
    assert one.speedup is None
    assert one.gain.ratio == 1.0


def test_the_best_of_many_equal_bodies_is_no_faster_than_one() -> None:
    noise = random.Random(1)

    def equal() -> Timing:
        ratios = tuple(math.exp(noise.gauss(0, 0.1)) for _ in range(15))
        return Timing(Interval(1, 1, 1), None, ratios)

    best_of_8 = [math.log(chosen_ratio([equal() for _ in range(8)])) for _ in range(400)]
    assert abs(sum(best_of_8) / 400) < 0.01


def test_of_two_bodies_in_an_answer_the_one_that_got_further_counts() -> None:
    wrong, right = body(1), body(2)
    draw = Draw("model", "f", 1, candidates=(right, wrong))
    found = {("f", digest(wrong)): trial(wrong, "verify.refuted"), ("f", digest(right)): trial(right, "", Grade.TESTED)}
    assert stage(draw, found) == "tested"
