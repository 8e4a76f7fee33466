"""Each condition of a body matters: where it comes out otherwise for one way in which its sides may be related, the body is refused."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from bench import Bench, recorded

from compiler_ai.artifacts import Grade

HERE = Path(__file__).parent
FUNCTIONS = ("is_greater", "insert", "wrapped")
# By condition code, what it becomes when one of less, equal and greater comes out otherwise.
OTHERS = {"e": ("le", "ge"), "ne": ("g", "l"), "l": ("le", "ne"), "ge": ("g", "e"), "le": ("l", "e"), "g": ("ge", "ne")}
OTHERS |= {"b": ("be", "ne"), "ae": ("a", "e"), "be": ("b", "e"), "a": ("ae", "ne")}
# What comes to the same: counters that are stepped by one to their ends, and what an earlier condition has left.
SAME = {
    "is_greater": {"jump 2, jne to jl", "jump 5, jne to jl"},
    "insert": {"jump 3, je to jle", "jump 5, je to jge", "jump 7, jle to je"},
    "wrapped": {
        "jump 6, je to jle",
        "jump 7, jg to jne",
        "jump 9, je to jle",
        "jump 10, jne to jg",
        "jump 13, jne to jg",
    },
}
JUMP = re.compile(r"(?m)^\tj(\w+)\t(?=\.L)")


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with recorded(tmp_path_factory, HERE / "telling.c", HERE / "telling_main.c", FUNCTIONS) as found:
        yield found


def variants(text: str, function: str) -> Iterator[tuple[str, str]]:
    """What is changed in the body, and the listing with it."""
    start, end = text.index(f"\n{function}:\n") + 1, text.index(f"\t.size\t{function},")
    for number, jump in enumerate(JUMP.finditer(text, start, end)):
        for other in OTHERS.get(jump[1], ()):
            what = f"jump {number + 1}, j{jump[1]} to j{other}"
            yield what, f"{text[: jump.start()]}\tj{other}\t{text[jump.end() :]}"


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("command", ["gcc -O1", "gcc -O3", "clang-19 -O2 -fno-addrsig"])
def test_another_compilation_is_tested(bench: Bench, function: str, command: str) -> None:
    found = bench.verifier(function).check(bench.assembled(bench.listing(command)))
    assert found.grade is Grade.TESTED, (found.counterexample, found.notes)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_no_condition_may_be_turned(bench: Bench, function: str) -> None:
    verifier, text = bench.verifier(function), bench.listing("gcc -O2")
    graded = {what: verifier.check(bench.assembled(changed)).grade for what, changed in variants(text, function)}
    assert SAME[function] < graded.keys()
    assert {what for what, grade in graded.items() if grade is Grade.TESTED} <= SAME[function]
