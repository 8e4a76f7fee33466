"""Numbers of 8, 16 and 32 bits that are widened are tested with both signs, wherever they come from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from bench import Bench, recorded

from compiler_ai.artifacts import Grade

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with recorded(tmp_path_factory, HERE / "widened.c", HERE / "widened_main.c", ("note", "append")) as found:
        yield found


def test_a_byte_that_is_widened_as_a_signed_one_is_seen(bench: Bench) -> None:
    wrong = bench.changed("note", r"movzbl\t", "movsbl\t")
    assert bench.verifier("note").check(wrong).grade is Grade.REFUTED


def test_an_index_that_is_not_widened_is_seen(bench: Bench) -> None:
    wrong = bench.changed("append", r"([\s\S]*)\tcltq\n", r"\1")
    assert bench.verifier("append").check(wrong).grade is Grade.REFUTED


@pytest.mark.parametrize("function", ["note", "append"])
def test_another_compilation_is_tested(bench: Bench, function: str) -> None:
    assert bench.verifier(function).check(bench.assembled(bench.listing("gcc -O1"))).grade is Grade.TESTED
