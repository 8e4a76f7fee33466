"""Limits on what several inputs make up together are tested on the limit and next to it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from bench import Bench, recorded
from hypothesis import given
from hypothesis import strategies as st

from compiler_ai.artifacts import Grade
from compiler_ai.verify.sums import Input, solutions

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with recorded(tmp_path_factory, HERE / "sums.c", HERE / "sums_main.c", ("in_range",)) as found:
        yield found


@pytest.mark.parametrize("limit", [43518, 43520])
def test_a_limit_that_is_off_by_one_is_seen(bench: Bench, limit: int) -> None:
    wrong = bench.changed("in_range", r"\$43519\b", f"${limit}")
    assert bench.verifier("in_range").check(wrong).grade is Grade.REFUTED


def test_another_compilation_is_tested(bench: Bench) -> None:
    assert bench.verifier("in_range").check(bench.assembled(bench.listing("gcc -Os"))).grade is Grade.TESTED


@given(st.lists(st.tuples(st.integers(0, 255), st.integers(-300, 300).filter(bool)), min_size=2, max_size=6), st.data())
def test_solutions_solve(terms: list[tuple[int, int]], data: st.DataObject) -> None:
    inputs = [Input(value, 1, number) for number, (value, _) in enumerate(terms)]
    weights = {one: weight for one, (_, weight) in zip(inputs, terms, strict=True)}
    lacking = data.draw(st.integers(-1000, 1000))
    for solution in solutions(weights, lacking):
        assert sum((value - one.value) * weights[one] for one, value in solution.items()) == lacking
        assert all(0 <= value <= 255 for value in solution.values())


def test_what_lighter_inputs_take_back_is_found() -> None:
    """From F4 8F BF BF, the last code point, to F4 90 80 80, the first number behind it."""
    first, second, third = (Input(value, 1, number) for number, value in enumerate((0x8F, 0xBF, 0xBF)))
    found = list(solutions({first: 1 << 12, second: 1 << 6, third: 1}, 1))
    assert {first: 0x90, second: 0x80, third: 0x80} in found
