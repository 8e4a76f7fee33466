"""A function with candidates, for tests of passes whose judges are told beforehand what to say."""

from __future__ import annotations

import time
from pathlib import Path

from compiler_ai.toolchains.x86_64 import X86_64

from compiler_ai import artifacts as a
from compiler_ai.asm import listing
from compiler_ai.driver import options
from compiler_ai.work import CandidateState, Context, FunctionWork

TEXT = "\t.text\n\t.globl\tf\n\t.type\tf, @function\nf:\n\tret\n\t.size\tf, .-f\n"


def made_work(candidates: int) -> FunctionWork:
    """The digests of its candidates are d0, d1 and so on, their objects the numbers."""
    command = a.CompileCommand(("gcc",), (), "/p/x.c", "/p/x.o", "/p", X86_64.name)
    hot = a.HotFunction(a.ProfiledFunction("f", "/p/prog", "x.c", 16, 1, 1.0), 1.0)
    made = FunctionWork(hot, a.Baseline("f", command, TEXT, "a" * 64, 1), listing.parse(TEXT), ())
    made.candidates = [
        CandidateState(a.Candidate("f", "\tnop\n" * n + "\tret\n"), f"d{n}", TEXT, b"%d" % n) for n in range(candidates)
    ]
    return made


def made_context(directory: Path, time_s: float) -> Context:
    """With so much time left."""
    return Context(options.parse([], {})[0], X86_64, directory / ".aicc", time.monotonic() + time_s)


def stages(work: FunctionWork) -> list[str]:
    """The stages at which candidates were rejected, "" for those that were not."""
    return [state.rejection.stage if state.rejection else "" for state in work.candidates]
