"""A byte is tested with every value, and what like bytes add up to is tested where there are many of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from bench import Bench, recorded

from compiler_ai.artifacts import Grade

HERE = Path(__file__).parent
# What is wrong in every_value.c: the function, the number there, the value.
WRONG = {
    "one value of an argument": ("category", 1, 0x5B),
    "another value of an argument": ("category", 1, 0x97),
    "one entry of a table that is looked into once": ("step", 2, 0x0C),
    "the last entry of such a table": ("step", 2, 0xFF),
    "one value of an enumeration": ("price", 3, 0x2D),
    "one value of a member": ("weighed", 4, 0x32),
    "another value of a member": ("weighed", 4, 0xFE),
    "one value where two texts differ": ("ranked", 5, 0xD3),
    "one length of a match": ("matching", 6, 256),
    "a counter of a byte that is emptied one turn late": ("count_of", 7, 0),
    "a counter of two bytes": ("count_of", 8, 0),
    "the last byte of a long text": ("first_other", 9, 0),
}
FUNCTIONS = tuple(dict.fromkeys(function for function, _, _ in WRONG.values()))


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with recorded(tmp_path_factory, HERE / "every_value.c", HERE / "every_value_main.c", FUNCTIONS) as made:
        yield made


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("command", ["gcc -O3", "clang-19 -O2 -fno-addrsig"])
def test_other_compilations_are_tested(bench: Bench, function: str, command: str) -> None:
    evidence = bench.verifier(function).check(bench.assembled(bench.listing(command)))
    assert evidence.grade is Grade.TESTED, evidence


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_for_one_value_or_length_is_refuted(bench: Bench, what: str) -> None:
    function, number, value = WRONG[what]
    wrong = bench.assembled(bench.listing(f"gcc -O2 -DWRONG={number} -DVALUE={value}"))
    assert bench.verifier(function).check(wrong).grade is Grade.REFUTED
