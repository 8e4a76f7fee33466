"""Every way in which something is passed: a body that is right for what the program happens to pass only is not tested."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from bench import Bench, recorded

from compiler_ai.artifacts import Grade
from compiler_ai.verify.engine import Settings, Verifier

HERE = Path(__file__).parent
CLONE = "walk.constprop.0"
FUNCTIONS = (
    *(
        "mixing",
        "sum_of",
        "total",
        "high",
        "longer",
        "weigh",
        "apply",
        "store",
        "as_whole",
        "turned",
        "above",
        "ranked",
    ),
)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    functions = (*FUNCTIONS, "norm", CLONE)
    with recorded(tmp_path_factory, HERE / "arguments.c", HERE / "arguments_main.c", functions) as found:
        yield found


@pytest.mark.parametrize("function", FUNCTIONS)
def test_what_the_program_always_passes_is_not_a_constant(bench: Bench, function: str) -> None:
    wrong = bench.assembled(bench.listing("gcc -O2 -DWRONG"))
    assert bench.verifier(function).check(wrong).grade is Grade.REFUTED


@pytest.mark.parametrize("function", FUNCTIONS)
def test_another_compilation_is_tested(bench: Bench, function: str) -> None:
    found = bench.verifier(function).check(bench.assembled(bench.listing("clang-19 -O2 -fno-addrsig")))
    assert found.grade is Grade.TESTED, (found.counterexample, found.notes)


@pytest.mark.parametrize(
    ("pattern", "replacement"),
    [
        (r"imulq\t%[a-z0-9]+, (%[a-z0-9]+)", r"leaq\t(\1,\1,2), \1"),  # the step, 3 in all calls
        (
            r"mulsd\t(%xmm0), (%xmm[0-9])\n",
            r"movabsq\t$0x3fe0000000000000, %rcx\n\tmovq\t%rcx, \1\n\tmulsd\t\1, \2\n",
        ),  # the scale, 0.5
    ],
)
def test_what_a_clone_always_gets_is_not_a_constant(bench: Bench, pattern: str, replacement: str) -> None:
    assert bench.verifier(CLONE).check(bench.assembled(bench.listing("gcc -O2"))).grade is Grade.TESTED
    wrong = bench.changed(CLONE, pattern, replacement)
    assert bench.verifier(CLONE).check(wrong).grade is Grade.REFUTED


@pytest.mark.parametrize("function", ["norm", "mixing"])
def test_without_a_prototype_what_is_read_counts(bench: Bench, function: str) -> None:
    captures = sorted(bench.directory.glob(f"captures/{function}.*.cap"))
    baseline, wrong = (bench.assembled(bench.listing(f"gcc -O2{option}")) for option in ("", " -DWRONG"))
    verifier = Verifier(bench.sandbox, baseline, function, captures, None, Settings(captures=6))
    assert verifier.check(bench.assembled(bench.listing("gcc -O1"))).grade is Grade.TESTED
    assert verifier.check(wrong).grade is Grade.REFUTED
