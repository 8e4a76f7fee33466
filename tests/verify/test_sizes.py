"""A size whose upper half a body ignores is right wherever memory lasts: one that GCC's body goes beyond the memory for tells."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from bench import Bench, recorded

from compiler_ai.artifacts import Evidence, Grade

HERE = Path(__file__).parent
FUNCTIONS = ("fill_ascending", "hash_of")


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with recorded(tmp_path_factory, HERE / "sizes.c", HERE / "sizes_main.c", FUNCTIONS) as found:
        yield found


def judged(bench: Bench, function: str, command: str) -> Evidence:
    return bench.verifier(function).check(bench.assembled(bench.listing(command)))


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_size_of_32_bits_is_not_tested(bench: Bench, function: str) -> None:
    found = judged(bench, function, "gcc -O2 -DNARROW")
    assert found.grade is Grade.UNKNOWN
    assert "memory that is not there" in found.notes[0]


@pytest.mark.parametrize(
    ("function", "command"),
    [
        ("fill_ascending", "gcc -O1"),
        *(("hash_of", command) for command in ("gcc -O1", "gcc -O3", "gcc -Os", "clang-19 -O2 -fno-addrsig")),
    ],
)
def test_another_compilation_is_tested(bench: Bench, function: str, command: str) -> None:
    found = judged(bench, function, command)
    assert found.grade is Grade.TESTED, (found.counterexample, found.notes)
