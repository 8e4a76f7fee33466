"""A scanner that classifies bytes by a table and asks a callee about several of them: no captured call has anything but words."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from bench import Bench, recorded

from compiler_ai.artifacts import Grade
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
