"""What a callee makes of several bytes together decides a condition: no single change of a captured text brings it to come out otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from bench import Bench, recorded

from compiler_ai.artifacts import Grade

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with recorded(tmp_path_factory, HERE / "references.c", HERE / "references_main.c", ("unescaped",)) as found:
        yield found


def test_a_condition_on_a_callees_result_comes_out_both_ways(bench: Bench) -> None:
    relations = bench.verifier("unescaped")._prepared.relations
    assert relations is not None
    assert relations.one_sided() == {}


def test_a_body_that_goes_wrong_behind_a_whole_reference_is_refuted(bench: Bench) -> None:
    wrong = bench.changed("unescaped", r"\tmovslq\t%eax, %rdi\n", "\tmovslq\t%eax, %rdi\n\tincq\t%rdi\n")
    assert bench.verifier("unescaped").check(wrong).grade is Grade.REFUTED


def test_a_body_that_goes_wrong_where_the_text_ends_within_a_reference_is_refuted(bench: Bench) -> None:
    wrong = bench.changed("unescaped", r"\timulq\t\$-100, ", "\timulq\t$-99, ")
    assert bench.verifier("unescaped").check(wrong).grade is Grade.REFUTED


def test_the_same_code_in_other_places_is_tested(bench: Bench) -> None:
    same = bench.changed("unescaped", r"\ttestl\t%eax, %eax\n", "\ttestl\t%eax, %eax\n\tnop\n")
    assert bench.verifier("unescaped").check(same).grade is Grade.TESTED
