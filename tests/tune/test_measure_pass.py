"""What was verified is measured: evidence costs more than a figure."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from compiler_ai.passes.measure import Measure
from compiler_ai.toolchains.x86_64 import X86_64

from compiler_ai import artifacts as a
from compiler_ai.asm import listing
from compiler_ai.driver import options
from compiler_ai.store.trials import TrialCache
from compiler_ai.work import CandidateState, Context, FunctionWork

TEXT = "\t.text\n\t.globl\tf\n\t.type\tf, @function\nf:\n\tret\n\t.size\tf, .-f\n"


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


@pytest.mark.parametrize(("time_s", "stages"), [(600.0, ["", ""]), (-5.0, ["", "budget"])])
def test_the_first_is_measured_even_when_time_is_over(tmp_path: Path, time_s: float, stages: list[str]) -> None:
    command = a.CompileCommand(("gcc",), (), "/p/x.c", "/p/x.o", "/p", X86_64.name)
    hot = a.HotFunction(a.ProfiledFunction("f", "/p/prog", "x.c", 16, 1, 1.0), 1.0)
    work = FunctionWork(hot, a.Baseline("f", command, TEXT, "a" * 64, 1), listing.parse(TEXT), ())
    for n in range(2):
        state = CandidateState(a.Candidate("f", "\tnop\n" * n + "\tret\n"), f"d{n}", TEXT, b"%d" % n)
        state.evidence = a.Evidence(a.Grade.TESTED)
        work.candidates.append(state)
    context = Context(options.parse([], {})[0], X86_64, tmp_path / ".aicc", time.monotonic() + time_s)
    timing = Timing()
    Measure(TrialCache(tmp_path, X86_64.name, "machine", "judges"), timing).run(work, context)  # type: ignore[arg-type]
    assert [state.rejection.stage if state.rejection else "" for state in work.candidates] == stages
    assert len(timing.measured) == stages.count("")
