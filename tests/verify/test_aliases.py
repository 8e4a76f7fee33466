"""A body that keeps in a register what its own stores may change is seen to be wrong."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from bench import Bench, recorded

from compiler_ai.artifacts import Evidence, Grade

HERE = Path(__file__).parent
WRONG = ("ascending", "filled", "own", "added", "added_up", "crossed", "scaled", "paired", "inherited")


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with recorded(tmp_path_factory, HERE / "aliases.c", HERE / "aliases_main.c", (*WRONG, "counted")) as found:
        yield found


def judged(bench: Bench, function: str, command: str) -> Evidence:
    return bench.verifier(function).check(bench.assembled(bench.listing(command)))


@pytest.mark.parametrize("function", WRONG)
def test_what_stores_may_change_is_not_kept(bench: Bench, function: str) -> None:
    assert judged(bench, function, "gcc -O2 -DKEPT").grade is Grade.REFUTED


@pytest.mark.parametrize("function", [*WRONG, "counted"])
@pytest.mark.parametrize("command", ["gcc -O3", "clang-19 -O2 -fno-addrsig"])
def test_another_compilation_is_tested(bench: Bench, function: str, command: str) -> None:
    found = judged(bench, function, command)
    assert found.grade is Grade.TESTED, (found.counterexample, found.notes)
