"""A scanner that classifies bytes by a table and asks a callee about several of them: no captured call has anything but words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from bench import Bench, recorded

from compiler_ai.artifacts import Grade
from compiler_ai.sandbox.events import CallEvent
from compiler_ai.verify.answered import constants
from compiler_ai.verify.branches import dispatches

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with recorded(tmp_path_factory, HERE / "scanner.c", HERE / "scanner_main.c", ("scan",)) as found:
        yield found


def test_every_block_is_reached(bench: Bench) -> None:
    """Those for a kind that is in nobody's table among them: a caller may have another table."""
    assert bench.verifier("scan")._prepared._uncovered == set()


def test_the_tables_of_jumps_are_read(bench: Bench) -> None:
    prepared = bench.verifier("scan")._prepared
    body, machine, found = prepared.body, prepared.machine, prepared._blocks
    seen = set()
    for seed in prepared.seeds:
        context = machine.context(seed.state)
        loaded = body.at(context)
        trace = machine.trace(seed.state, loaded, 1_500)
        own = constants(loaded, context.image.pages)
        for jump in dispatches(trace, found.indirect, body.decoder(context), seed.memory, own):
            assert len(jump.targets) == jump.last_index + 1
            assert set(jump.targets) <= found.starts
            seen |= set(jump.targets)
    assert len(seen) > 2


@pytest.mark.parametrize("kind", [3, 4, 6, 7, 8, 9])
def test_what_no_captured_call_finds_is_tested(bench: Bench, kind: int) -> None:
    wrong = bench.changed("scan", rf"movl\t\${kind}, %eax", f"movl\t${kind + 8}, %eax")
    assert bench.verifier("scan").check(wrong).grade is Grade.REFUTED


def test_a_changed_pointer_stands_for_a_function_of_its_kind(bench: Bench) -> None:
    """What lies in registers in which the function that is called there gets nothing is nothing to doubt."""
    prepared = bench.verifier("scan")._prepared
    calling = [test.fills[0] for test in prepared.tests if test.fills[0][1].events]
    often = Counter(outcome.events[0].target for _, outcome in calling).most_common(1)[0][0]
    state, event = next((s, o.events[0]) for s, o in calling if o.events[0].target == often)
    changed = replace(event, target=event.target + (1 << 31))

    def passing(number: int) -> CallEvent:
        general = (value + (at == number) for at, value in enumerate(changed.arguments))
        return replace(changed, arguments=tuple(general))

    def judged(number: int) -> tuple[str, str]:
        other = [passing(number)]
        differ = prepared.calls_differ([changed], other, state, prepared.body)
        return differ, prepared.doubt([changed], other, state, prepared.body)

    assert "in rsi instead" in judged(1)[0]
    assert judged(3) == ("", "")
    changed = replace(changed, return_to=event.return_to + 1)  # a place that has called nothing
    assert judged(3)[0] == ""
    assert "which may be an argument" in judged(3)[1]
