"""A call that does not end, in what the function calls: it is no test, and nobody waits for it long."""

from __future__ import annotations

from pathlib import Path

import pytest
from bench import recorded

from compiler_ai.artifacts import Grade
from compiler_ai.verify.mutate import changed
from compiler_ai.verify.relations import Look

HERE = Path(__file__).parent


@pytest.mark.full  # half a minute
def test_what_is_called_and_does_not_end_is_given_up(tmp_path_factory: pytest.TempPathFactory) -> None:
    with recorded(tmp_path_factory, HERE / "endless.c", HERE / "endless_main.c", ["waits"]) as bench:
        verifier = bench.verifier("waits")
        evidence = verifier.check(bench.assembled(bench.listing("gcc -O1")))
        assert evidence.grade is Grade.TESTED, evidence
        prepared = verifier._prepared
        assert prepared.relations is not None
        state, before = prepared.tests[0].fills[0][0], prepared.relations.steps
        endless = changed(state, "endless", {**state.registers.general, "rdi": 1 << 40}, {})
        assert prepared.relations.look(endless) == Look()
        assert prepared.relations.steps >= before + 20_000  # it counts for what it takes
