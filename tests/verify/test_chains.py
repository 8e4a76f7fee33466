"""Faults that show behind several steps only: at the end of a chain whose length a field limits, or an instruction later."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from bench import Bench, recorded

from compiler_ai.artifacts import Grade

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with recorded(tmp_path_factory, HERE / "chains.c", HERE / "chains_main.c", ("best_on", "run")) as found:
        yield found


@pytest.mark.parametrize(
    ("pattern", "wrong"),
    [
        (r"subl\t\$1,", "subl\t$2,"),  # ends early, or never
        (r"shrl\t\$2,", "shrl\t$3,"),
        (r"shrl\t\$2,", "shrl\t$30,"),
    ],
)
def test_the_end_of_a_chain_is_tested(bench: Bench, pattern: str, wrong: str) -> None:
    evidence = bench.verifier("best_on").check(bench.changed("best_on", pattern, wrong))
    assert evidence.grade < Grade.TESTED  # unknown where it follows the chain without end


@pytest.mark.parametrize("condition", ["jg", "jns"])
def test_what_one_instruction_leaves_to_the_next_is_tested(bench: Bench, condition: str) -> None:
    """No captured program has a negative number where one is asked for zero."""
    wrong = bench.changed("run", r"(testl\t(%\w+), \2\n\t)jne\b", rf"\1{condition}")
    assert bench.verifier("run").check(wrong).grade is Grade.REFUTED


@pytest.mark.parametrize("function", ["best_on", "run"])
def test_another_compilation_is_tested(bench: Bench, function: str) -> None:
    evidence = bench.verifier(function).check(bench.assembled(bench.listing("gcc -Os")))
    assert evidence.grade is Grade.TESTED, evidence.notes or evidence.counterexample
