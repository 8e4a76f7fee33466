"""The points of "behaves the same" beyond results and memory: calls, unwind rules, what only rare inputs reach; determinism."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from bench import Bench, recorded

from compiler_ai.artifacts import Grade

SOURCE = Path(__file__).with_name("shapes.c")
FUNCTIONS = ("decide", "magic", "keyword", "report")


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with recorded(tmp_path_factory, SOURCE, SOURCE.with_name("shapes_main.c"), FUNCTIONS) as made:
        yield made


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("command", ["gcc -O2", "gcc -O1", "gcc -O3", "clang-19 -O2 -fno-addrsig"])
def test_blocks_that_only_rare_inputs_reach_are_reached(bench: Bench, function: str, command: str) -> None:
    """Magic numbers, keywords, every entry of a jump table, both values of a _Bool; none of them occurs in the captures."""
    evidence = bench.verifier(function).check(bench.assembled(bench.listing(command)))
    assert evidence.grade is Grade.TESTED, evidence
    assert evidence.blocks_covered == evidence.blocks_total > 1


# (function, what is wrong, pattern in GCC's -O2 body, replacement)
WRONG = [
    ("report", "calls in another order", r"call\tlog_number(@PLT)?", "call\tlog_text"),
    ("report", "one call more", r"(call\tlog_number(@PLT)?)", r"\1\n\t\1"),
    ("report", "another argument", r"(call\tlog_number(@PLT)?)", r"notq\t%rsi\n\t\1"),
    ("report", "an argument's upper half", r"(call\tlog_number(@PLT)?)", r"movl\t%esi, %esi\n\t\1"),
    ("report", "relies on what a callee leaves in a scratch register", r"\tcall\tlog_number(@PLT)?\n", r"\tmovq\t%rbx, %r11\n\g<0>\tmovq\t%r11, %rbx\n"),
    ("report", "the frame is larger than its unwind rules say", r"\.cfi_def_cfa_offset 32", ".cfi_def_cfa_offset 40"),
    ("report", "a saved register is elsewhere", r"\.cfi_offset 3, -\d+", ".cfi_offset 3, -64"),
    ("report", "a saved register is not mentioned", r"\t\.cfi_offset 3, -\d+\n", ""),
    ("magic", "another version", r"cmpw\t\$7,", "cmpw\t$6,"),
    ("magic", "another magic number", r"\$1297780907", "$1297780906"),
    ("keyword", "another keyword", r"cmpb\t\$111,", "cmpb\t$110,"),
    ("decide", "one case of the table", r"\$85", "$84"),
]  # fmt: skip


@pytest.mark.parametrize(("function", "fault", "pattern", "replacement"), WRONG, ids=[f"{w[0]}: {w[1]}" for w in WRONG])
def test_wrong_bodies_are_refuted(bench: Bench, function: str, fault: str, pattern: str, replacement: str) -> None:
    evidence = bench.verifier(function).check(bench.changed(function, pattern, replacement))
    assert evidence.grade is Grade.REFUTED, (fault, evidence)
    assert evidence.counterexample is not None
    assert evidence.counterexample.difference


def test_no_caller_passes_more_than_a_bool_holds(bench: Bench) -> None:
    """GCC and Clang rely on 0 or 1 in a _Bool argument, so a body that does is right."""
    relying = bench.changed("report", r"testb\t%cl, %cl\n\tjne", "cmpb\t$1, %cl\n\tje")
    assert bench.verifier("report").check(relying).grade is Grade.TESTED


@pytest.mark.full
def test_verdicts_do_not_depend_on_the_machines_load(bench: Bench) -> None:
    """The same tests, the same coverage and the same words, whatever else the processors do."""
    bodies = [
        bench.assembled(bench.listing("gcc -O3")),
        bench.changed("magic", r"cmpw\t\$7,", "cmpw\t$6,"),
        bench.changed("magic", r"(magic:\n)", r"\1\tcmpl\t$0x2badcafe, %esi\n\tje\t.\n"),
    ]
    verifier = bench.new_verifier("magic")
    quiet = [verifier.check(body) for body in bodies]
    burn = "import os\nparent = os.getppid()\nwhile os.getppid() == parent: pass"
    burners = [subprocess.Popen([sys.executable, "-c", burn]) for _ in range(2)]
    try:
        verifier = bench.new_verifier("magic")
        loaded = [verifier.check(body) for body in bodies]
    finally:
        for burner in burners:
            burner.kill()
            burner.wait()
    assert loaded == quiet
    assert quiet[0].grade is Grade.TESTED


def test_the_order_of_candidates_does_not_change_a_verdict(bench: Bench) -> None:
    """What one candidate needs tests for changes nothing for the next."""
    good = bench.assembled(bench.listing("gcc -O1"))
    bad = bench.changed("decide", r"\$85", "$84")
    first, second = bench.new_verifier("decide"), bench.new_verifier("decide")
    assert [first.check(good), first.check(bad)] == [second.check(bad), second.check(good)][::-1]
