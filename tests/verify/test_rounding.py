"""Functions that are wrong for numbers next to a limit, or after the longest runs of the largest byte, only; and the second of two x87 results."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from bench import Bench, recorded

from compiler_ai.artifacts import Grade

SOURCE = Path(__file__).with_name("rounding.c")
FUNCTIONS = ("to_doubles", "to_floats", "turned", "below", "two_sums", "blended")


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with recorded(tmp_path_factory, SOURCE, None, FUNCTIONS) as found:
        yield found


@pytest.mark.parametrize(("function", "number"), [(name, number) for number, name in enumerate(FUNCTIONS, 1)])
def test_a_wrong_one_is_refuted(bench: Bench, function: str, number: int) -> None:
    wrong = bench.assembled(bench.listing(f"gcc -O2 -DWRONG={number}"))
    assert bench.verifier(function).check(wrong).grade is Grade.REFUTED


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("command", ["gcc -O3", "gcc -Os"])
def test_another_compilation_is_tested(bench: Bench, function: str, command: str) -> None:
    found = bench.verifier(function).check(bench.assembled(bench.listing(command)))
    assert found.grade is Grade.TESTED, (found.counterexample, found.notes)
