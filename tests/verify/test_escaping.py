"""A pointer to a constant that a function gives to others leads to the same constant, not to another one at the same address."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from bench import Bench, recorded

from compiler_ai.artifacts import Grade

HERE = Path(__file__).parent
OTHER = {"named": "OTHER_TEXT", "chosen": "OTHER_NUMBER"}
FUNCTIONS = ("named", "chosen", "weight")


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with recorded(tmp_path_factory, HERE / "escaping.c", HERE / "escaping_main.c", FUNCTIONS) as found:
        yield found


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("command", ["gcc -O1", "gcc -O3", "gcc -O2 -DOTHER_TEXT", "gcc -O2 -DOTHER_NUMBER"])
def test_the_same_constants_are_tested_and_others_are_not(bench: Bench, function: str, command: str) -> None:
    found = bench.verifier(function).check(bench.assembled(bench.listing(command)))
    is_other = command.endswith(OTHER.get(function, "none"))
    assert (found.grade is not Grade.TESTED) == is_other, (found.counterexample, found.notes)
