"""Calls through pointers that are members: all that their kinds of functions get is compared, whatever the captured ones read of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from bench import Bench, recorded

from compiler_ai.artifacts import Grade
from compiler_ai.verify.prototype import from_object

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with recorded(tmp_path_factory, HERE / "methods.c", HERE / "methods_main.c", ("slurp",)) as found:
        yield found


def test_the_kinds_of_members_are_known_by_offset(bench: Bench) -> None:
    bench.verifier("slurp")
    found = from_object((bench.directory / "debug.o").read_bytes(), "slurp")
    assert found is not None
    kinds = {at: [len(kind.parameters) for kind in kinds] for at, kinds in found.methods.items()}
    assert kinds == {0: [4], 8: [1], 16: [3], 40: [3]}


def test_every_call_is_of_a_known_member(bench: Bench) -> None:
    prepared = bench.verifier("slurp")._prepared
    assert prepared.arguments.sites is not None
    assert sorted(prepared.arguments.sites.members.values()) == [0, 8, 16, 40]


@pytest.mark.parametrize(
    ("pattern", "replacement"),
    [
        (r"(\tmovl\t%\w+, )%ecx\n", "\txorl\t%ecx, %ecx\n"),
        (r"\tleal\t5\((%\w+)\), %esi\n", r"\tleal\t6(\1), %esi\n"),
        (r"\tmulsd\t", "\taddsd\t"),
        (r"(\tmovq\t40\(.*\n.*\n.*\n)\tmovq\t%\w+, %rdx\n", r"\1\txorl\t%edx, %edx\n"),
    ],
    ids=["read", "note", "part", "tell"],
)  # fmt: skip
def test_a_wrong_argument_that_no_captured_method_reads_is_seen(bench: Bench, pattern: str, replacement: str) -> None:
    wrong = bench.changed("slurp", pattern, replacement)
    assert bench.verifier("slurp").check(wrong).grade is Grade.REFUTED


def test_what_else_lies_in_registers_is_not_compared(bench: Bench) -> None:
    other = bench.assembled(bench.listing("gcc -O1"))
    found = bench.verifier("slurp").check(other)
    assert found.grade is Grade.TESTED, found
