"""Verification goes to those that will be measured, and leaves the time for that."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
from compiler_ai.passes.verify import Verify
from compiler_ai.toolchains.x86_64 import X86_64
from made_work import made_context, made_work, stages

from compiler_ai import artifacts as a
from compiler_ai.sandbox.errors import OutOfTimeError
from compiler_ai.store.trials import TrialCache
from compiler_ai.work import FINALISTS, Context, FunctionWork


class Judging:
    """A judge whose verdicts are given beforehand, by the candidates' objects; counts what it was asked. None: time is over first."""

    unusable = ""

    def __init__(self, grades: dict[bytes, a.Grade | None], unreached: dict[bytes, int] | None = None) -> None:
        self.grades = grades
        self.unreached = unreached or {}
        self.asked: list[bytes] = []

    def verifier(self, _work: FunctionWork, _context: Context) -> Judging:
        return self

    def in_time(self, _context: Context) -> AbstractContextManager[None]:
        return nullcontext()

    def judgement(self, object_bytes: bytes) -> Begun:
        return Begun(self, object_bytes)


class Begun:
    def __init__(self, judging: Judging, object_bytes: bytes) -> None:
        self.judging, self.object_bytes = judging, object_bytes

    def unreached(self) -> int:
        return self.judging.unreached.get(self.object_bytes, 0)

    def evidence(self) -> a.Evidence:
        self.judging.asked.append(self.object_bytes)
        grade = self.judging.grades[self.object_bytes]
        if grade is None:
            raise OutOfTimeError("over")
        return a.Evidence(grade)


@pytest.fixture
def work() -> FunctionWork:
    return made_work(6)


def run(work: FunctionWork, judging: Judging, directory: Path, time_s: float) -> list[str]:
    """The stages at which candidates were rejected, "" for those that were not."""
    Verify(TrialCache(directory, X86_64.name, "machine", "judges"), judging).run(work, made_context(directory, time_s))  # type: ignore[arg-type]
    return stages(work)


def test_it_ends_with_as_many_as_are_measured(work: FunctionWork, tmp_path: Path) -> None:
    grades = dict.fromkeys((b"%d" % n for n in range(6)), a.Grade.TESTED) | {b"1": a.Grade.REFUTED}
    judging = Judging(grades)
    found = run(work, judging, tmp_path, 600.0)
    assert judging.asked == [b"0", b"1", b"2", b"3"]
    assert len(judging.asked) == FINALISTS + 1, "one of them is no finalist"
    assert found == ["", "verify.refuted", "", "", "rank.behind", "rank.behind"]


def test_it_waits_for_its_turn_with_what_it_may_save(work: FunctionWork, tmp_path: Path) -> None:
    asked: list[float] = []

    def pause(gain: float) -> float:
        asked.append(gain)
        time.sleep(0.2)
        return 600.0

    judging = Judging(dict.fromkeys((b"%d" % n for n in range(6)), a.Grade.TESTED))
    for number, state in enumerate(work.candidates):
        state.look = 1.25 if number == 2 else 1.1
    work.hot = replace(work.hot, share=0.5)
    context = replace(made_context(tmp_path, 0.0), pause=pause)
    verify = Verify(TrialCache(tmp_path, X86_64.name, "machine", "judges"), judging)  # type: ignore[arg-type]
    verify.run(work, context)
    assert asked == [pytest.approx(0.1)], "1.25x of a half"
    assert judging.asked[0] == b"2"
    assert context.remaining_s > 599.9, "its time begins when it goes on"
    for state in work.candidates:
        state.evidence = state.rejection = None
    verify.run(work, context)
    assert len(asked) == 1, "a function waits once"


def test_what_is_verified_is_measured_rather_than_more_verified(work: FunctionWork, tmp_path: Path) -> None:
    judging = Judging(dict.fromkeys((b"%d" % n for n in range(6)), a.Grade.TESTED))
    found = run(work, judging, tmp_path, 5.0)
    assert judging.asked == [b"0"], "five seconds are what measuring takes"
    assert found == ["", *["budget"] * 5]


def test_without_any_verified_the_whole_time_is_used(work: FunctionWork, tmp_path: Path) -> None:
    judging = Judging(dict.fromkeys((b"%d" % n for n in range(6)), a.Grade.UNKNOWN))
    assert run(work, judging, tmp_path, 5.0) == ["verify.unknown"] * 6


def test_when_the_best_looking_come_to_nothing_those_behind_have_their_chance(tmp_path: Path) -> None:
    work = made_work(20)
    for number, state in enumerate(work.candidates):
        state.look = 3.0 - number / 10
        if number >= 6:
            state.rejection = a.Rejection("rank.behind", "about so much at a first look")
    work.candidates[7].look = 0.99  # no faster
    grades = dict.fromkeys((b"%d" % n for n in range(20)), a.Grade.UNKNOWN) | {
        b"8": a.Grade.TESTED,
        b"9": a.Grade.TESTED,
    }
    judging = Judging(grades)
    found = run(work, judging, tmp_path, 600.0)
    assert judging.asked == [b"0", b"1", b"2", b"3", b"4", b"5", b"6", b"8"], "one that can be used is enough"
    assert found[6:11] == ["verify.unknown", "rank.behind", "", "rank.behind", "rank.behind"]


def test_not_all_of_those_behind_are_tried(tmp_path: Path) -> None:
    work = made_work(30)
    for number, state in enumerate(work.candidates):
        state.look = 2.0
        if number >= 6:
            state.rejection = a.Rejection("rank.behind", "about so much at a first look")
    judging = Judging(dict.fromkeys((b"%d" % n for n in range(30)), a.Grade.UNKNOWN))
    run(work, judging, tmp_path, 600.0)
    assert len(judging.asked) == 12


def test_where_tests_reach_every_block_comes_first_unless_it_promises_far_less(
    work: FunctionWork, tmp_path: Path
) -> None:
    for state, look in zip(work.candidates, (3.0, 2.9, 1.9, 1.5, 1.2, 1.1), strict=True):
        state.look = look
    grades = dict.fromkeys((b"%d" % n for n in range(6)), a.Grade.UNKNOWN)
    judging = Judging(grades, {b"0": 4, b"1": 36})
    run(work, judging, tmp_path, 600.0)
    assert judging.asked == [b"2", b"0", b"1", b"3", b"4", b"5"]


def test_a_verification_that_the_time_does_not_suffice_for_is_no_verdict(work: FunctionWork, tmp_path: Path) -> None:
    grades = dict.fromkeys((b"%d" % n for n in range(6)), a.Grade.TESTED) | {b"0": None}
    found = run(work, Judging(grades), tmp_path, 600.0)
    assert found[:2] == ["budget", ""]
    remembered = TrialCache(tmp_path, X86_64.name, "machine", "judges").load(work.baseline.key)
    assert sorted(trial.digest for trial in remembered) == ["d1", "d2", "d3"]
