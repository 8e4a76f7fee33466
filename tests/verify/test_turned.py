"""Variants of a body with one other condition, held against the assembler."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from compiler_ai.verify.conditions import Condition
from compiler_ai.verify.turned import turned_conditions

STEMS = (
    "j{} .+100",
    "j{} .+2000",
    "set{} %r9b",
    "set{} 3(%rax,%rbx)",
    "cmov{} %eax, %ebx",
    "cmov{} 8(%r12), %r13",
    "cmov{} %ax, %cx",
)
OTHERS = {"ne": {"g", "no", "l"}, "b": {"o", "be", "ne"}, "le": {"e", "l", "no"}, "s": {"o", "no"}, "np": {"no", "o"}}


def assembled(text: str, directory: Path) -> bytes:
    out = directory / "one.o"
    subprocess.run(["as", "-o", out, "-"], input=text + "\n", text=True, check=True)
    with out.open("rb") as file:
        return bytes(ELFFile(file).get_section_by_name(".text").data())


@pytest.mark.parametrize("stem", STEMS)
@pytest.mark.parametrize("code", OTHERS)
def test_a_variant_is_what_the_assembler_makes_of_the_other_condition(stem: str, code: str, tmp_path: Path) -> None:
    plain = assembled(stem.format(code), tmp_path)
    made = set()
    for one in turned_conditions({0: Condition(code, "cmp 4 4")}, lambda at: plain[at:]):
        made.add(plain[: one.place] + bytes([one.byte]) + plain[one.place + 1 :])
    assert made == {assembled(stem.format(other), tmp_path) for other in OTHERS[code]}


def test_each_variant_says_for_what_it_comes_out_otherwise() -> None:
    made = turned_conditions({0: Condition("ne", "cmp 4 4")}, lambda _: b"\x75\x10")
    assert [one.kinds for one in made] == [
        frozenset({(-1, -1), (-1, 1)}),  # jg: where the first side is less
        frozenset({(0, 0)}),
        frozenset({(1, 1), (1, -1)}),
    ]


def test_a_sum_with_carry_has_no_variant() -> None:
    assert list(turned_conditions({0: Condition("b", "cmp 4 4")}, lambda _: b"\x83\xd0\xff")) == []
