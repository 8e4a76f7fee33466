"""Faults that show behind several steps only: at the end of a chain whose length a field limits, or an instruction later."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from bench import Bench, recorded

from compiler_ai.artifacts import Grade
from compiler_ai.verify.coverage import blocks
from compiler_ai.verify.machine import Machine
from compiler_ai.verify.state import EntryState
from compiler_ai.verify.walks import walks

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with recorded(tmp_path_factory, HERE / "chains.c", HERE / "chains_main.c", ("best_on", "run")) as found:
        yield found


@pytest.mark.parametrize(
    ("pattern", "wrong"),
    [
        (r"subl\t\$1,", "subl\t$2,"),  # ends early, or never
        (r"shrl\t\$2,", "shrl\t$3,"),
        (r"shrl\t\$2,", "shrl\t$30,"),
    ],
)
def test_the_end_of_a_chain_is_tested(bench: Bench, pattern: str, wrong: str) -> None:
    evidence = bench.verifier("best_on").check(bench.changed("best_on", pattern, wrong))
    assert evidence.grade < Grade.TESTED  # unknown where it follows the chain without end


def test_a_limit_behind_another_condition_is_tested_where_it_shows_for_few_values(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """The shorter count is for calls that know more than any captured one does."""
    sources = HERE / "chains.c", HERE / "chains_main.c"
    with recorded(tmp_path_factory, *sources, ("best_on",), ["-DFEW_STEPS"]) as bench:
        evidence = bench.verifier("best_on").check(bench.changed("best_on", r"shrl\t\$2,", "shrl\t$3,"))
    assert evidence.grade < Grade.TESTED


@pytest.mark.parametrize("condition", ["jg", "jns"])
def test_what_one_instruction_leaves_to_the_next_is_tested(bench: Bench, condition: str) -> None:
    """No captured program has a negative number where one is asked for zero."""
    wrong = bench.changed("run", r"(testl\t(%\w+), \2\n\t)jne\b", rf"\1{condition}")
    assert bench.verifier("run").check(wrong).grade is Grade.REFUTED


def test_walks_bring_pairs_of_instructions_together_that_no_captured_program_has(bench: Bench) -> None:
    prepared = bench.verifier("run")._prepared
    machine, body = prepared.machine, prepared.body
    found = blocks(prepared.own(body, machine.contexts[0]))
    made = [*walks(machine, body, prepared.seeds, found, prepared.seed_of)]
    captured = [test.state for test in prepared.tests if test.state.origin == "captured"]
    walked, known = ({pair for state in states for pair in pairs(machine, state)} for states in (made, captured))
    assert len(walked) >= 24  # of 36
    assert len(walked - known) >= 12


def pairs(machine: Machine, state: EntryState) -> Iterator[tuple[int, int]]:
    """The instructions after each other at the beginning of the program that `run` is given."""
    code = machine.memory(state, state.registers["rdi"], 12)
    at, before = 0, -1
    while at < min(12, state.registers["rsi"] & 0xFFFFFFFF) and code[at] < 6:
        if before >= 0:
            yield before, code[at]
        before = code[at]
        at += 2 if code[at] in (0, 5) else 1


@pytest.mark.parametrize("function", ["best_on", "run"])
def test_another_compilation_is_tested(bench: Bench, function: str) -> None:
    evidence = bench.verifier(function).check(bench.assembled(bench.listing("gcc -Os")))
    assert evidence.grade is Grade.TESTED, evidence.notes or evidence.counterexample
