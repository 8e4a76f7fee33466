"""Constants of a candidate's own: what no test has read of them is not known to be right."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from bench import Bench, recorded

from compiler_ai.artifacts import Evidence, Grade

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with recorded(tmp_path_factory, HERE / "tables.c", HERE / "tables_main.c", ("keyword_number", "reversed")) as found:
        yield found


def judged(bench: Bench, function: str, command: str) -> Evidence:
    return bench.verifier(function).check(bench.assembled(bench.listing(command)))


@pytest.mark.parametrize("command", ["gcc -O1", "gcc -O3", "clang-19 -O2 -fno-addrsig"])
def test_the_same_constants_need_not_be_read(bench: Bench, command: str) -> None:
    evidence = judged(bench, "keyword_number", command)
    assert evidence.grade is Grade.TESTED, evidence


@pytest.mark.parametrize("wrong", [1, 2])
def test_a_table_that_is_wrong_in_one_entry_is_not_tested(bench: Bench, wrong: int) -> None:
    evidence = judged(bench, "keyword_number", f"gcc -O2 -DWRONG={wrong}")
    assert evidence.grade is not Grade.TESTED, evidence


def test_another_table_of_which_tests_read_all_is_tested(bench: Bench) -> None:
    evidence = judged(bench, "reversed", "gcc -O2 -DTABLE")
    assert evidence.grade is Grade.TESTED, evidence
