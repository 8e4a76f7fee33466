"""Candidates that bring copies of the functions they call along: the copies' frames are their own, and their unwind rules count."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from bench import Bench, recorded

from compiler_ai.artifacts import Evidence, Grade

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with recorded(tmp_path_factory, HERE / "nested.c", HERE / "nested_main.c", ["mix_all"]) as found:
        yield found


def with_copy(text: str, pattern: str = r"$^", replacement: str = "") -> str:
    """GCC's listing with a copy of the callee, changed, inside the caller and called there."""
    start, end = text.index("\nmixed:\n") + 1, text.index("\t.size\tmixed,")
    copy = re.sub(r"\.L(\w+)", r".Lcopy_\1", text[start:end]).replace("mixed", ".Lcopy")
    head, size, tail = text.partition("\t.size\tmix_all,")
    own = head.rindex("\nmix_all:\n")
    body = re.sub(r"call\tmixed", "call\t.Lcopy", head[own:])
    assert body != head[own:]
    changed = re.sub(pattern, replacement, copy)
    assert (pattern == r"$^") is (changed == copy), copy
    return head[:own] + body + changed + size + tail


def judged(bench: Bench, *change: str) -> Evidence:
    return bench.verifier("mix_all").check(
        bench.assembled(with_copy(bench.listing("gcc -O2 -fno-optimize-sibling-calls"), *change))
    )


def test_a_copy_is_as_good_as_the_callee(bench: Bench) -> None:
    evidence = judged(bench)
    assert evidence.grade is Grade.TESTED, evidence


@pytest.mark.parametrize(
    "change",
    [
        (r"\.cfi_def_cfa_offset 16", ".cfi_def_cfa_offset 24"),
        (r"\.cfi_offset 3, -16", ".cfi_offset 3, -24"),
        (r"\t\.cfi_offset 3, -16\n", ""),
    ],
)
def test_wrong_unwind_rules_of_a_copy_are_refuted(bench: Bench, change: tuple[str, str]) -> None:
    evidence = judged(bench, *change)
    assert evidence.grade is Grade.REFUTED, evidence
    assert evidence.counterexample is not None
    assert "unwind information" in evidence.counterexample.difference


def test_a_wrong_copy_is_refuted(bench: Bench) -> None:
    assert judged(bench, r"\$40,", "$41,").grade is Grade.REFUTED
