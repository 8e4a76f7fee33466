"""What a body, or a function of libc that it calls, leaves out of a masked read need not be there when its inputs are varied."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from bench import Bench, recorded

from compiler_ai.artifacts import Grade

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with recorded(tmp_path_factory, HERE / "page_ends.c", HERE / "page_ends_main.c", ("ordered",)) as found:
        yield found


def test_arrays_that_end_with_their_page_are_varied_up_to_there(bench: Bench) -> None:
    tests = bench.verifier("ordered")._prepared.tests
    assert any("mutation" in test.state.name and test.state.extra for test in tests)


def test_another_compilation_is_tested(bench: Bench) -> None:
    assert bench.verifier("ordered").check(bench.assembled(bench.listing("gcc -O1"))).grade is Grade.TESTED
