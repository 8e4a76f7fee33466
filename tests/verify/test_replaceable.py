"""Weak functions and constants, and constants of other units, may be others in the next program: no body may rest on them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from bench import Bench, recorded

from compiler_ai.artifacts import Evidence, Grade

HERE = Path(__file__).parent
FUNCTIONS = ("priced", "clipped", "coded")


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with recorded(tmp_path_factory, HERE / "replaceable.c", HERE / "replaceable_main.c", FUNCTIONS) as found:
        yield found


def judged(bench: Bench, function: str, command: str) -> Evidence:
    return bench.verifier(function).check(bench.assembled(bench.listing(command)))


@pytest.mark.parametrize("function", FUNCTIONS)
def test_what_rests_on_this_programs_definition_is_refuted(bench: Bench, function: str) -> None:
    assert judged(bench, function, "gcc -O2 -DKNOWN").grade is Grade.REFUTED


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("command", ["gcc -O3", "gcc -Os", "clang-19 -O2 -fno-addrsig -fno-unroll-loops"])
def test_another_compilation_is_tested(bench: Bench, function: str, command: str) -> None:
    found = judged(bench, function, command)
    assert found.grade is Grade.TESTED, (found.counterexample, found.notes)
