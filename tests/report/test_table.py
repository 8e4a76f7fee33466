"""The table at the end of a tuning run."""

from __future__ import annotations

import io

from rich.console import Console

from compiler_ai.artifacts import (
    Candidate,
    Evidence,
    FunctionResult,
    Grade,
    HotFunction,
    Interval,
    ProfiledFunction,
    Rejection,
    Timing,
    Trial,
)
from compiler_ai.artifacts import Rewrite as StoredRewrite
from compiler_ai.profile.model import Profile
from compiler_ai.report.table import print_table
from compiler_ai.tool.explain import explained


def result(name: str, cost: float, ratio: float | None) -> FunctionResult:
    profiled = ProfiledFunction(name, "/p/program", "p.c", 0x1000, 64, cost)
    rewrite = None
    if ratio is not None:
        timing = Timing(Interval(ratio, ratio - 0.01, ratio + 0.01), None)
        candidate = Candidate(name, "\tret\n", origin="gcc -O2")
        rewrite = StoredRewrite("key", candidate, Evidence(Grade.TESTED), timing, "x86_64", "p.c", 64)
    return FunctionResult(HotFunction(profiled, cost / 100.0), None, rewrite=rewrite)


def printed(results: list[FunctionResult]) -> str:
    console = Console(file=io.StringIO(), width=200)
    print_table(console, results, Profile((), tuple(one.hot.profiled for one in results), ()))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_mean_counts_functions_that_stay() -> None:
    said = printed([result("fast", 50.0, 4.0), result("same", 50.0, None)])
    assert "Geometric mean over the 2 hot functions, those without a rewrite at 1.00x: 2.00x" in said
    assert "4.00x [3.99, 4.01]" in said
    assert said.index("fast") < said.index("same")


def test_one_function_has_no_mean() -> None:
    assert "Geometric mean" not in printed([result("fast", 100.0, 2.0)])


def test_what_was_never_proposed_is_counted_and_explained() -> None:
    one = result("same", 50.0, None)
    one.not_proposed.append(Rejection("propose", "clang -O3: it needs puts, which GCC's unit does not use"))
    assert "propose 1" in printed([one])
    assert "propose: clang -O3: it needs puts" in explained(one)


LATE = Rejection("budget", "out of time: give it more with --budget")


def test_a_function_for_which_there_was_no_time_says_so() -> None:
    late, died = result("late", 50.0, None), result("died", 30.0, None)
    late.not_proposed.append(LATE)
    late.skipped = "propose: no candidate: out of time"
    died.skipped = "its worker was ended by SIGKILL"
    said = printed([late, died, result("same", 20.0, None)])
    rows = {line.split()[0]: line for line in said.splitlines() if line}
    assert "not tried: out of time" in rows["late"]
    assert "propose: no candidate" not in said
    assert "GCC's own (its worker was ended by SIGKILL)" in rows["died"]
    assert rows["same"].split()[-3:] == ["GCC's", "own", "1.00x"]
    assert said.splitlines()[-1] == "1 of 3 functions ran out of time: the same command again goes on"


def test_what_was_tried_in_part_stays_gccs_own() -> None:
    late = result("late", 50.0, None)
    late.not_proposed.append(LATE)
    late.trials.append(Trial(Candidate("late", "\tret\n"), "d", Rejection("rank.slower", "")))
    said = printed([late])
    assert "GCC's own" in said
    assert said.endswith("1 of 1 function ran out of time: the same command again goes on\n")


def test_with_time_enough_nothing_is_said_of_it() -> None:
    assert "out of time" not in printed([result("fast", 50.0, 4.0), result("same", 50.0, None)])
