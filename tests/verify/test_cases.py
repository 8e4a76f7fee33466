"""Where few calls come to a block, what it works on is varied: a body that is wrong there for some data is seen to be."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from bench import Bench, recorded

from compiler_ai.artifacts import Grade
from compiler_ai.verify import testcase

SOURCE = Path(__file__).with_name("cases.c")
FUNCTIONS = ("operate", "reading", "copied_forward", "transposed", "reduced")


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with recorded(tmp_path_factory, SOURCE, SOURCE.with_name("cases_main.c"), FUNCTIONS) as made:
        yield made


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("command", ["gcc -O3", "gcc -Os", "clang-19 -O2 -fno-addrsig"])
def test_other_compilations_are_tested(bench: Bench, function: str, command: str) -> None:
    evidence = bench.verifier(function).check(bench.assembled(bench.listing(command)))
    assert evidence.grade is Grade.TESTED, evidence


@pytest.mark.parametrize("number", range(1, 16))
def test_a_case_that_is_wrong_for_some_data_is_refuted(bench: Bench, number: int) -> None:
    function = "operate" if number < 11 else "reading"
    wrong = bench.assembled(bench.listing(f"gcc -O2 -DWRONG={number}"))
    assert bench.verifier(function).check(wrong).grade is Grade.REFUTED


def test_one_distance_of_overlapping_arrays_is_tested(bench: Bench) -> None:
    wrong, also_wrong, right = (bench.assembled(bench.listing(f"gcc -O2 -DWRONG={number}")) for number in (16, 19, 17))
    assert bench.verifier("copied_forward").check(wrong).grade is Grade.REFUTED
    assert bench.verifier("copied_forward").check(also_wrong).grade is Grade.REFUTED
    assert bench.verifier("copied_forward").check(right).grade is Grade.TESTED


def test_arrays_overlap_wherever_the_candidate_has_a_block_of_its_own(bench: Bench) -> None:
    wrong = bench.assembled(bench.listing("gcc -O2 -DWRONG=20"))
    assert bench.verifier("transposed").check(wrong).grade is Grade.REFUTED


def test_a_block_of_the_candidates_that_few_come_to_gets_other_data(bench: Bench) -> None:
    wrong = bench.assembled(bench.listing("gcc -O2 -DWRONG=18"))
    assert bench.verifier("reduced").check(wrong).grade is Grade.REFUTED


def test_every_place_of_a_pointer_in_a_block_is_among_the_logged_tests(bench: Bench) -> None:
    prepared = bench.verifier("copied_forward")._prepared
    small = [test for test in prepared.tests if test.state.size <= 33 and not test.is_variation]

    def places(tests: Iterable[testcase.Test], name: str) -> set[int]:
        return {test.state.registers[name] % 64 // 8 for test in tests}

    for name in ("rdi", "rsi"):
        assert places(prepared.to_log(), name) == places(small, name)
        assert len(places(small, name)) > 4
