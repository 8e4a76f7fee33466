"""Where a function calls itself, more stack a call is more stack for every level: a program that went deep would run out of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from bench import Bench, recorded

from compiler_ai.artifacts import Grade
from compiler_ai.asm import listing
from compiler_ai.asm.ipa_ra import CallGraph
from compiler_ai.verify.engine import Settings

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with recorded(
        tmp_path_factory,
        HERE / "recursive.c",
        HERE / "recursive_main.c",
        ("height", "weight", "leaves", "through", "spine"),
    ) as found:
        yield found


@pytest.mark.parametrize(("recursive", "grade"), [(True, Grade.REFUTED), (False, Grade.TESTED)])
def test_larger_frames_are_refused_where_they_are_many(bench: Bench, recursive: bool, grade: Grade) -> None:
    verifier = bench.new_verifier("height", Settings(captures=6, recursive=recursive))
    found = verifier.check(bench.assembled(bench.listing("gcc -O2 -DPAD=100")))
    assert found.grade is grade
    assert found.counterexample is None or "bytes of stack more" in found.counterexample.difference


def test_frames_of_another_compilation_are_not(bench: Bench) -> None:
    verifier = bench.new_verifier("height", Settings(captures=6, recursive=True))
    assert verifier.check(bench.assembled(bench.listing("gcc -O1"))).grade is Grade.TESTED


def test_frames_of_calls_that_call_nothing_are_not(bench: Bench) -> None:
    verifier = bench.new_verifier("weight", Settings(captures=6, recursive=True))
    assert verifier.check(bench.assembled(bench.listing("gcc -O2 -fno-shrink-wrap"))).grade is Grade.TESTED
    assert verifier.check(bench.assembled(bench.listing("gcc -O2 -DWEIGHT_PAD=340"))).grade is Grade.REFUTED


@pytest.mark.parametrize("places", [8, 16, 200])
def test_a_stack_of_its_own_is_not_believed(bench: Bench, places: int) -> None:
    """A deeper tree than any that was tested runs over it."""
    verifier = bench.new_verifier("leaves", Settings(captures=6, recursive=True))
    assert verifier.check(bench.assembled(bench.listing("gcc -O1"))).grade is Grade.TESTED
    found = verifier.check(bench.assembled(bench.listing(f"gcc -O2 -DTODO={places}")))
    assert found.grade is Grade.UNKNOWN
    assert "its own frame" in found.notes[0]


def test_a_function_may_call_itself_through_a_pointer(bench: Bench) -> None:
    verifier = bench.new_verifier("through", Settings(captures=6))
    assert verifier.check(bench.assembled(bench.listing("gcc -O1"))).grade is Grade.TESTED
    found = verifier.check(bench.assembled(bench.listing("gcc -O2 -DPAD=100")))
    assert found.counterexample is not None
    assert "bytes of stack more" in found.counterexample.difference


def test_a_stack_that_grows_with_the_data_is_not_believed(bench: Bench) -> None:
    verifier = bench.new_verifier("spine", Settings(captures=6))
    assert verifier.check(bench.assembled(bench.listing("gcc -O1"))).grade is Grade.TESTED
    found = verifier.check(bench.assembled(bench.listing("gcc -O2 -DGROWING")))
    assert found.grade is Grade.UNKNOWN
    assert "unlike GCC's: data may ask for more than there is" in found.notes[0]


def test_calls_of_itself_are_found_through_others_too() -> None:
    calls = {"f": "g", "g": "h", "h": "g", "self": "self", "leaf": "printf", "tail": "leaf"}
    bodies = "".join(
        f"\t.globl\t{name}\n\t.type\t{name}, @function\n{name}:\n\tcall\t{callee}\n\tret\n\t.size\t{name}, .-{name}\n"
        for name, callee in calls.items()
    )
    graph = CallGraph(listing.parse(f"\t.text\n{bodies}"))
    assert {name for name in calls if graph.is_recursive(name)} == {"g", "h", "self"}
