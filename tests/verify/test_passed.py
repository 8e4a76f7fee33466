"""What a callee is passed counts whole, in whatever way it is passed: in vector registers, in two registers or on the stack, as one of
any number of arguments, or behind a pointer into the caller's frame."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from bench import Bench, recorded

from compiler_ai.artifacts import Grade

SOURCE = Path(__file__).with_name("passed.c")
NUMBERS = {
    "by_number": (1, 2), "by_pair": (3,), "by_point": (4,), "by_segment": (5,), "by_mixed": (6, 7), "by_large": (8, 9),
    "by_many": (10, 11, 12), "by_wide": (13,), "by_extended": (14,), "by_complex": (15,), "by_vector": (16,),
    "by_ellipsis": (17, 18), "by_format": (19, 20), "by_options": (21, 22, 23), "by_text": (24,), "by_reference": (25,),
    "by_listener": (26,), "by_declaration": (27, 28), "by_part": (29,), "by_count": (30,), "by_context": (31,),
    "by_union": (32,), "by_plain_text": (33,),
}  # fmt: skip


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with recorded(tmp_path_factory, SOURCE, SOURCE.with_name("passed_main.c"), tuple(NUMBERS)) as made:
        yield made


@pytest.mark.parametrize("function", NUMBERS)
@pytest.mark.parametrize("command", ["gcc -O1", "gcc -O3", "clang-19 -O2 -fno-addrsig"])
def test_other_compilations_are_tested(bench: Bench, function: str, command: str) -> None:
    found = bench.verifier(function).check(bench.assembled(bench.listing(command)))
    assert found.grade is Grade.TESTED, (found.counterexample, found.notes)
    assert found.answered > 0


@pytest.mark.parametrize(
    ("function", "number"), [(function, number) for function in NUMBERS for number in NUMBERS[function]]
)
def test_another_argument_is_not_tested(bench: Bench, function: str, number: int) -> None:
    wrong = bench.listing(f"gcc -O2 -DWRONG={number}")
    assert bench.verifier(function).check(bench.assembled(wrong)).grade is not Grade.TESTED
