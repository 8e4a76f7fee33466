"""Variables that no captured call has touched: what is known of them is what the program's file has, and tests change it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from bench import Bench, recorded

from compiler_ai.artifacts import Grade
from compiler_ai.sandbox.symbols import Reference, SymbolKind

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with recorded(tmp_path_factory, HERE / "variables.c", HERE / "variables_main.c", ("weigh",)) as found:
        yield found


def test_tests_in_which_nothing_is_called_any_more_have_them_too(bench: Bench) -> None:
    prepared = bench.verifier("weigh")._prepared
    state = next(test.state for test in prepared.tests if test.state.answers is not None)
    context = prepared.machine.context(state)
    weights = context.image.resolver.resolve(Reference("weights", SymbolKind.DATA, False, 0, ""))
    assert weights is not None
    assert context.image.pages.find(weights) is None
    changed = {weights: (12345).to_bytes(8, "little")}
    calls_nothing = replace(state, registers=state.registers.with_general(rdi=7, rsi=0), patches=changed)
    test, outcome = prepared.test_or_answered(calls_nothing, set())
    assert test is not None
    assert outcome.registers["rax"] == 2**64 - 1


@pytest.mark.parametrize(("pattern", "replacement"), [(r"\$12345,", "$12346,"), (r"\$1000,", "$1001,")])
def test_what_is_compared_with_them_is_tested(bench: Bench, pattern: str, replacement: str) -> None:
    wrong = bench.changed("weigh", pattern, replacement)
    assert bench.verifier("weigh").check(wrong).grade is Grade.REFUTED
