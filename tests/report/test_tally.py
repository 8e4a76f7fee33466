"""The numbers of a row add up: what was tried is the winner and what each stage turned away."""

from __future__ import annotations

from compiler_ai import artifacts as a
from compiler_ai.report.tally import tally

FASTER = a.Timing(a.Interval(1.2, 1.1, 1.3), None)
RIGHT = a.Evidence(a.Grade.TESTED)


def trial(stage: str, timing: a.Timing | None = None) -> a.Trial:
    candidate = a.Candidate("f", "\tret\n")
    return a.Trial(candidate, stage, a.Rejection(stage, "") if stage else None, RIGHT, timing)


def result(trials: list[a.Trial], wins: bool) -> a.FunctionResult:
    hot = a.HotFunction(a.ProfiledFunction("f", "/p/x", "x.c", 16, 32, 1.0), 1.0)
    won = a.Rewrite("k", trials[0].candidate, RIGHT, FASTER, "x86_64", "x.c", 6) if wins else None
    return a.FunctionResult(hot, None, trials, won)


def test_the_winner_and_what_was_rejected_are_what_was_tried() -> None:
    stages = ["verify.refuted", "rank.behind", "rank.slower", "measure.same", "screen.text"]
    counts = tally(result([trial("", FASTER), *map(trial, stages)], wins=True))
    assert (counts.tried, counts.rejected_by) == (6, "screen 1, verify 1, rank 2, measure 1")
    assert counts.tried == 1 + sum(counts.rejected.values())
    assert counts.left == ""


def test_a_faster_body_that_is_not_the_best_was_turned_away_by_select() -> None:
    counts = tally(result([trial("", FASTER), trial("", FASTER)], wins=True))
    assert (counts.tried, counts.rejected_by) == (2, "select 1")


def test_what_nobody_judged_is_not_tried() -> None:
    one = result([trial("rank.slower"), trial("budget"), trial("budget"), trial("")], wins=False)
    one.not_proposed += [a.Rejection("propose.answer", ""), a.Rejection("propose", ""), a.Rejection("budget", "")]
    counts = tally(one)
    assert (counts.tried, counts.rejected_by) == (1, "rank 1")
    assert counts.left == "propose 2, budget 3, given up 1"
