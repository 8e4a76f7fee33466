"""What the verifier accepts and refuses, on captured calls of a real program."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from bench import Bench, record_calls

from compiler_ai.artifacts import Grade
from compiler_ai.sandbox.process import Sandbox

SOURCE = Path(__file__).with_name("kernels.c")
FUNCTIONS = ("checksum", "add_arrays", "clamp", "scale", "lookup")
GUARDED = "guarded"


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    directory = tmp_path_factory.mktemp("verify")
    record_calls(directory, [SOURCE], (*FUNCTIONS, GUARDED), ["-DMAIN"])
    with Sandbox() as sandbox:
        yield Bench(directory, SOURCE, sandbox)


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("command", ["gcc -O1", "gcc -O3", "clang-19 -O2 -fno-addrsig"])
def test_other_compilations_of_the_same_source_are_tested(bench, function, command):
    evidence = bench.verifier(function).check(bench.assembled(bench.listing(command)))
    assert evidence.grade is Grade.TESTED, evidence
    assert evidence.blocks_covered == evidence.blocks_total > 0
    assert min(evidence.captures, evidence.generated) > 0


def test_the_prototype_is_read_from_debug_information(bench):
    prototype = bench.verifier("scale").prototype
    assert prototype.returns.kind == "float"
    assert [(name, kind.kind, kind.size_bytes) for name, kind in prototype.parameters] == [
        ("values", "pointer", 8),
        ("count", "integer", 4),
        ("factor", "float", 8),
    ]


def test_a_condition_that_no_test_turns_is_not_taken_for_tested(bench):
    """All blocks are executed whether it is there or not."""
    verifier = bench.verifier(GUARDED)
    assert verifier.check(bench.assembled(bench.listing("gcc -O2"))).grade is Grade.TESTED
    for how, pattern, replacement in (
        ("left out", r"(cmpl\t\$\d+, .*\n)\tje\t.*", r"\1"),
        ("of another value", r"cmpl\t\$159\d+,", "cmpl\t$7654321,"),
    ):
        evidence = verifier.check(bench.changed(GUARDED, pattern, replacement))
        assert evidence.grade is Grade.UNKNOWN, how
        assert "came out the same way in every test" in evidence.notes[0]


def test_a_conditional_move_that_no_test_turns_is_not_taken_for_tested(bench):
    """One value in four thousand million, which no search finds behind a multiplication."""
    rare = "imull\t$-1640531535, %edi, %r8d\n\tcmpl\t$305419896, %r8d\n\tcmovel\t%esi, %edi\n"
    evidence = bench.verifier("clamp").check(bench.changed("clamp", r"(clamp:\n)", rf"\1\t{rare}"))
    assert evidence.grade is Grade.UNKNOWN
    assert "its own conditions came out the same way in every test: e at" in evidence.notes[0]


@pytest.mark.parametrize(
    ("asking", "target"),
    [
        ("cmpl\t$305419896, %r8d\n\tje", ".Lout"),
        ("cmpl\t$305419896, %r8d\n\tje", "checksum"),
        ("addl\t$592750132, %r8d\n\tcmpl\t$7, %r8d\n\tjb", ".Lout"),
    ],
)
def test_a_jump_that_no_test_takes_to_where_others_lead_too_is_not_taken_for_tested(bench, asking, target):
    """All blocks are executed, or it leaves the function."""
    rare = f"imull\t$-1640531535, %edi, %r8d\n\t{asking}\t{target}\n"
    evidence = bench.verifier("clamp").check(
        bench.changed("clamp", r"(clamp:\n)((?:.*\n)*?)(\tret\n)", rf"\1\t{rare}\2.Lout:\n\3")
    )
    assert evidence.grade is Grade.UNKNOWN
    assert "its own conditions came out the same way in every test: " in evidence.notes[0]


# (function, what is wrong, pattern in GCC's -O2 body, replacement)
WRONG = [
    ("checksum", "another constant", r"sall\t\$5,", "sall\t$4,"),
    ("checksum", "starts elsewhere", r"movl\t\$1, (%e\w\w)", r"movl\t$2, \1"),
    ("checksum", "clobbers rbx", r"(checksum:\n)", r"\1\txorl\t%ebx, %ebx\n"),
    ("checksum", "leaves DF set", r"(checksum:\n)", r"\1\tstd\n"),
    ("checksum", "never ends", r"(checksum:\n)", r"\1\tjmp\t.-0\n"),
    ("checksum", "crashes", r"(checksum:\n)", r"\1\tud2\n"),
    ("checksum", "makes a system call", r"(checksum:\n)", r"\1\tmovl\t$39, %eax\n\tsyscall\n"),
    ("checksum", "reads before the buffer", r"(checksum:\n)", r"\1\ttestb\t$0, -4096(%rdi)\n"),
    ("checksum", "writes to its input", r"(checksum:\n)", r"\1\torb\t$1, (%rdi)\n"),
    ("checksum", "stores back what it read", r"(checksum:\n)", r"\1\tmovb\t(%rdi), %al\n\tmovb\t%al, (%rdi)\n"),
    ("checksum", "truncates the length", r"(checksum:\n)", r"\1\tmovzbl\t%sil, %esi\n"),
    ("checksum", "moves the stack pointer", r"(checksum:\n)", r"\1\tsubq\t$8, %rsp\n"),
    ("add_arrays", "subtracts", r"addl\t\(", "subl\t("),
    ("add_arrays", "one element more", r"(add_arrays:\n)", r"\1\tincl\t%ecx\n"),
    ("add_arrays", "one element less", r"(add_arrays:\n)", r"\1\tdecl\t%ecx\n"),
    ("add_arrays", "trusts the upper half of a 32-bit argument", r"testl\t%ecx, %ecx", "testq\t%rcx, %rcx"),
    ("add_arrays", "changes MXCSR", r"(add_arrays:\n)", r"\1\tmovl\t$0x9fc0, -8(%rsp)\n\tldmxcsr\t-8(%rsp)\n"),
    ("clamp", "swaps the bounds", r"(clamp:\n)", r"\1\txchgl\t%esi, %edx\n"),
    ("clamp", "compares unsigned", r"cmovl\w*", "cmovb"),
    ("scale", "adds instead", r"mulsd", "addsd"),
    ("scale", "rounds to single", r"(scale:\n)", r"\1\tcvtsd2ss\t%xmm0, %xmm0\n\tcvtss2sd\t%xmm0, %xmm0\n"),
    ("lookup", "wrong mask", r"andl\t\$15", "andl\t$7"),
    ("lookup", "adds two", r"(lookup:\n)", r"\1\taddl\t$1, table(%rip)\n"),
    ("lookup", "uses memory far below the red zone", r"(lookup:\n)", r"\1\tmovq\t$1, -8192(%rsp)\n"),
]


@pytest.mark.parametrize(("function", "fault", "pattern", "replacement"), WRONG, ids=[f"{w[0]}: {w[1]}" for w in WRONG])
def test_wrong_bodies_are_never_tested(bench, function, fault, pattern, replacement):
    evidence = bench.verifier(function).check(bench.changed(function, pattern, replacement))
    assert evidence.grade < Grade.TESTED, fault
    if evidence.grade is Grade.REFUTED:
        assert evidence.counterexample.difference
