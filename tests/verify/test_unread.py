"""What a call may not depend on: memory that GCC's body does not read, its callers' frames, its return address, and what a frame holds
from calls before."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from bench import Bench, recorded

from compiler_ai.artifacts import Evidence, Grade
from compiler_ai.verify.engine import Settings

HERE = Path(__file__).parent
FUNCTIONS = ("find_peak", "distinct", "mix", "weight", "curve")


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with recorded(tmp_path_factory, HERE / "unread.c", HERE / "unread_main.c", FUNCTIONS) as found:
        yield found


def judged(bench: Bench, function: str, *options: str) -> Evidence:
    return bench.verifier(function).check(bench.assembled(bench.listing(" ".join(("gcc -O2", *options)))))


@pytest.mark.parametrize(
    ("function", "command"),
    [(function, f"gcc -O{level}") for function in FUNCTIONS for level in (1, 3)]
    + [(function, "clang-19 -O2 -fno-addrsig") for function in FUNCTIONS if function != "distinct"],
)
def test_another_compilation_is_tested(bench: Bench, function: str, command: str) -> None:
    found = bench.verifier(function).check(bench.assembled(bench.listing(command)))
    assert found.grade is Grade.TESTED, (found.counterexample, found.notes)


def test_whole_numbers_that_look_like_nans_are_told_apart(bench: Bench) -> None:
    assert judged(bench, "find_peak", "-DNOTHING_FOUND=-2").grade is Grade.REFUTED


def test_a_large_frame_holds_anything_down_to_its_end(bench: Bench) -> None:
    assert judged(bench, "distinct", "-DNOT_CLEARED").grade is Grade.REFUTED


@pytest.mark.parametrize(("function", "least", "most"), [("distinct", 0x8000, 0x12000), ("weight", 0, 0x3000)])
def test_the_stack_is_filled_as_deep_as_frames_go(bench: Bench, function: str, least: int, most: int) -> None:
    """Every run pays for what is filled."""
    deep = bench.verifier(function)._prepared._dead_stack_bytes
    assert least < deep <= most


def test_a_field_that_only_a_candidate_reads_decides_nothing(bench: Bench) -> None:
    assert judged(bench, "weight", "-DOTHER_FIELD").grade is Grade.REFUTED


@pytest.mark.parametrize("offset", [8, 16, 24, 32])
def test_the_callers_frame_decides_nothing(bench: Bench, offset: int) -> None:
    wrong = bench.changed("mix", r"\tret", rf"\taddl {offset}(%rsp), %eax\n\tret")
    assert bench.verifier("mix").check(wrong).grade is Grade.REFUTED


def test_the_return_address_is_not_read(bench: Bench) -> None:
    """In the sandbox it is always the same one."""
    upper_half_that_is_none = r"\tmovq (%rsp), %rcx\n\tshrq $40, %rcx\n\txorl $0x6a, %ecx\n\taddl %ecx, %eax\n\tret"
    wrong = bench.changed("mix", r"\tret", upper_half_that_is_none)
    found = bench.verifier("mix").check(wrong)
    assert found.grade is Grade.REFUTED
    assert found.counterexample is not None
    assert "it reads" in found.counterexample.difference


@pytest.mark.parametrize(
    ("undone", "grade"), [("\tsubl %ecx, %eax\n", Grade.TESTED), ("", Grade.REFUTED)], ids=["right", "wrong"]
)
def test_a_set_of_the_candidates_own_is_turned(bench: Bench, undone: str, grade: Grade) -> None:
    """Neither GCC's body nor any test but those made for it knows of that number."""
    own = rf"\tcmpl $0x7a69c3d1, %esi\n\tsete %cl\n\tmovzbl %cl, %ecx\n\taddl %ecx, %eax\n{undone}\tret"
    found = bench.new_verifier("mix", Settings(captures=6, boundary=0)).check(bench.changed("mix", r"\tret", own))
    assert found.grade is grade, (found.counterexample, found.notes)


def test_a_function_of_a_number_alone_comes_to_an_end(bench: Bench) -> None:
    """There is no memory to vary and no integer."""
    wrong = bench.changed("curve", r"addsd", "subsd")
    assert bench.verifier("curve").check(wrong).grade is Grade.REFUTED
