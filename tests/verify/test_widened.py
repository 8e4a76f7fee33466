"""Bytes and 16-bit numbers that are widened are tested with both signs, wherever they come from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from bench import Bench, recorded

from compiler_ai.artifacts import Grade

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with recorded(tmp_path_factory, HERE / "widened.c", HERE / "widened_main.c", ("note",)) as found:
        yield found


def test_a_byte_that_is_widened_as_a_signed_one_is_seen(bench: Bench) -> None:
    wrong = bench.changed("note", r"movzbl\t", "movsbl\t")
    assert bench.verifier("note").check(wrong).grade is Grade.REFUTED


def test_another_compilation_is_tested(bench: Bench) -> None:
    assert bench.verifier("note").check(bench.assembled(bench.listing("gcc -O1"))).grade is Grade.TESTED
