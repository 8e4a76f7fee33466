"""What was verified is measured: evidence costs more than a figure."""

from __future__ import annotations

from pathlib import Path

import pytest
from compiler_ai.passes.measure import Measure
from compiler_ai.toolchains.x86_64 import X86_64
from made_work import made_context, made_work, stages

from compiler_ai import artifacts as a
from compiler_ai.store.trials import TrialCache
from compiler_ai.work import Context, FunctionWork


class Timing:
    """Everything is twice as fast; counts what it was asked."""

    def __init__(self) -> None:
        self.measured: list[bytes] = []

    def timer(self, _work: FunctionWork, _context: Context) -> Timing:
        return self

    def measure(self, object_bytes: bytes) -> a.Timing:
        self.measured.append(object_bytes)
        return a.Timing(a.Interval(2.0, 1.9, 2.1), None)

    def accepts(self, _timing: a.Timing) -> bool:
        return True


@pytest.mark.parametrize(("time_s", "expected"), [(600.0, ["", ""]), (-5.0, ["", "budget"])])
def test_the_first_is_measured_even_when_time_is_over(tmp_path: Path, time_s: float, expected: list[str]) -> None:
    work = made_work(2)
    for state in work.candidates:
        state.evidence = a.Evidence(a.Grade.TESTED)
    timing = Timing()
    Measure(TrialCache(tmp_path, X86_64.name, "machine", "judges"), timing).run(work, made_context(tmp_path, time_s))  # type: ignore[arg-type]
    assert stages(work) == expected
    assert len(timing.measured) == expected.count("")
