"""What a callee may have changed, and what it is passed, counts though nothing but its own code says what it takes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from bench import Bench, recorded

from compiler_ai.artifacts import Grade
from compiler_ai.verify.answered import answered

SOURCE = Path(__file__).with_name("callees.c")
FUNCTIONS = ("tally", "notify", "limited", "old_style")


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with recorded(tmp_path_factory, SOURCE, SOURCE.with_name("callees_main.c"), FUNCTIONS) as made:
        yield made


@pytest.mark.parametrize("function", ["tally", "notify", "old_style"])
@pytest.mark.parametrize("command", ["gcc -O3", "gcc -Os", "clang-19 -O2 -fno-addrsig"])
def test_other_compilations_are_tested(bench: Bench, function: str, command: str) -> None:
    evidence = bench.verifier(function).check(bench.assembled(bench.listing(command)))
    assert evidence.grade is Grade.TESTED, evidence
    assert evidence.answered > 0


@pytest.mark.parametrize(
    ("function", "number"), [("tally", 1), ("notify", 2), ("notify", 3), ("limited", 4), ("old_style", 5)]
)
def test_wrong_bodies_are_refuted(bench: Bench, function: str, number: int) -> None:
    wrong = bench.listing(f"gcc -O2 -DWRONG={number}")
    assert bench.verifier(function).check(bench.assembled(wrong)).grade is Grade.REFUTED


def test_an_answered_state_from_which_nothing_is_called_is_a_plain_test(bench: Bench) -> None:
    prepared = bench.verifier("limited")._prepared
    (captured, *_) = (test.state for test in prepared.tests if test.state.origin == "captured")
    test, _ = prepared.test_or_answered(answered(captured, 1), set())
    assert test is not None
    assert (test.state.answers, test.state.origin) == (None, "mutated")
