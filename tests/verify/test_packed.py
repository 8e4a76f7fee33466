"""What several parts of one number make up together is tested where one part is on a limit and another at its extreme."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from bench import Bench, recorded

from compiler_ai.artifacts import Grade

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with recorded(tmp_path_factory, HERE / "packed.c", HERE / "packed_main.c", ("two_sums",)) as found:
        yield found


@pytest.mark.parametrize("options", ["-O2", "-O1", "-O3 -fno-if-conversion"])
def test_a_limit_passed_by_the_extreme_of_another_part_is_seen(bench: Bench, options: str) -> None:
    wrong = bench.assembled(bench.listing(f"gcc {options} -DREDUCED_ONCE"))
    assert bench.verifier("two_sums").check(wrong).grade is Grade.REFUTED


def test_another_compilation_is_tested(bench: Bench) -> None:
    assert bench.verifier("two_sums").check(bench.assembled(bench.listing("gcc -Os"))).grade is Grade.TESTED
