"""Blocks behind calls that a verified run cannot make are reached by tests that answer these calls, and compared there."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from bench import Bench, recorded

from compiler_ai.artifacts import Grade

SOURCE = Path(__file__).with_name("outside.c")
FUNCTIONS = ("collect", "reserve", "drain", "two_notes")


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with recorded(tmp_path_factory, SOURCE, SOURCE.with_name("outside_main.c"), (*FUNCTIONS, "checked")) as made:
        yield made


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("command", ["gcc -O2", "gcc -Os", "clang-19 -O2 -fno-addrsig"])
def test_other_compilations_are_tested_behind_calls_too(bench: Bench, function: str, command: str) -> None:
    evidence = bench.verifier(function).check(bench.assembled(bench.listing(command)))
    assert evidence.grade is Grade.TESTED, evidence
    assert evidence.blocks_covered == evidence.blocks_total > 1
    assert evidence.answered > 0


# (function, what is wrong, pattern in GCC's -O2 body, replacement)
WRONG = [
    ("two_notes", "the calls in another order", r"note_first([\s\S]*?)note_second", r"note_second\1note_first"),
    ("two_notes", "another argument", r"leal\t3\(%rbx\), %esi", "leal\t4(%rbx), %esi"),
    ("two_notes", "a call is missing", r"\tcall\tnote_second(@PLT)?\n", ""),
    ("two_notes", "memory is written after the call instead of before",
     r"(\tmovl\t%eax, 20\(%rbp\)\n)(\tcall\tnote_second(@PLT)?\n)", r"\2\tleal\t2(%rbx), %eax\n\1"),
    ("two_notes", "keeps a value in a register that the callee may overwrite",
     r"(\tcall\tnote_first(@PLT)?\n)", r"\tmovq\t%rbx, %r11\n\1\tmovq\t%r11, %rbx\n"),
    ("two_notes", "does not reload what the callee may have changed", r"movl\t20\(%rbp\), %ebx", "addl\t$2, %ebx"),
    ("two_notes", "calls with a misaligned stack", r"(\tcall\tnote_first(@PLT)?\n)", r"\tpushq\t%rax\n\1\tpopq\t%rax\n"),
    ("reserve", "does not test for null", r"\ttestq\t%rax, %rax\n\tje\t\.L\d+\n", ""),
    ("reserve", "asks for less", r"\taddq\t%rdi, %rdi\n", ""),
    ("reserve", "memory is written before the call instead of after",
     r"(\tcall\tfree(@PLT)?\n)(\tmovq\t%r12, 24\(%rbp\)\n)", r"\3\1"),
    ("drain", "reads less", r"movl\t\$8, %edx", "movl\t$4, %edx"),
    ("drain", "another error", r"\$-2,", "$-1,"),
    ("drain", "uses what it read wrongly", r"movl\t\$7, %edx", "movl\t$6, %edx"),
    ("collect", "does not call back", r"\ttestq\t%rax, %rax\n\tje(\t\.L\d+)", r"\tjmp\1"),
    ("collect", "another text", r"(leaq\t\.LC\d+)(\(%rip\), %rsi)", r"\1+1\2"),
    ("collect", "prints another number", r"movq\t32\(%rdi\), %rcx", "movq\t24(%rdi), %rcx"),
    ("checked", "reports another line", r"movl\t\$\d+, %edx", "movl\t$7, %edx"),
    ("checked", "asserts less", r"\tjle\t", "\tjl\t"),
    ("checked", "goes on", r"\tcall\t__assert_fail(@PLT)?\n", "\tpopq\t%rax\n\tret\n"),
]  # fmt: skip


@pytest.mark.parametrize(("function", "fault", "pattern", "replacement"), WRONG, ids=[f"{w[0]}: {w[1]}" for w in WRONG])
def test_wrong_bodies_are_refuted(bench: Bench, function: str, fault: str, pattern: str, replacement: str) -> None:
    evidence = bench.verifier(function).check(bench.changed(function, pattern, replacement))
    assert evidence.grade is Grade.REFUTED, (fault, evidence)
    assert evidence.counterexample is not None


def test_an_assertion_is_an_end_that_other_compilations_share(bench: Bench) -> None:
    evidence = bench.verifier("checked").check(bench.assembled(bench.listing("gcc -Os")))
    assert evidence.grade is Grade.TESTED, evidence
    assert evidence.answered > 0
