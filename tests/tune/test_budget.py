"""What happens to candidates that there is no time to judge."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from compiler_ai.passes.screen import Screen
from compiler_ai.toolchains.x86_64 import X86_64

from compiler_ai.artifacts import Baseline, Candidate, CompileCommand, HotFunction, ProfiledFunction
from compiler_ai.asm import listing as listing_model
from compiler_ai.asm.normalise import body_key
from compiler_ai.driver import options
from compiler_ai.store.trials import TrialCache
from compiler_ai.tune.judges import ASSEMBLER
from compiler_ai.work import CandidateState, Context, FunctionWork, in_time


@pytest.fixture
def work(tmp_path: Path) -> FunctionWork:
    """A function with three candidates."""
    source = tmp_path / "unit.c"
    source.write_text("int twice(int x) { return 2 * x; }\n")
    subprocess.run(["gcc", "-O2", "-S", "unit.c"], cwd=tmp_path, check=True)
    text = (tmp_path / "unit.s").read_text()
    command = CompileCommand(("gcc",), ("-O2",), str(source), str(tmp_path / "unit.o"), str(tmp_path), X86_64.name)
    listing = listing_model.parse(text)
    baseline = Baseline("twice", command, text, body_key(listing, "twice", ("-O2",), None), 4)
    hot = HotFunction(ProfiledFunction("twice", "/p/program", "unit.c", 0x1000, 4, 1.0), 1.0)
    candidates = [CandidateState(Candidate("twice", f"\tlea\t{n}(%rdi,%rdi), %eax\n\tret\n"), str(n)) for n in range(3)]
    return FunctionWork(hot, baseline, listing, ("-O2",), candidates=candidates)


@pytest.fixture
def context(tmp_path: Path) -> Callable[[float], Context]:
    parsed, _ = options.parse([], {})
    return lambda left_s: Context(parsed, X86_64, tmp_path, time.monotonic() + left_s)


def cache(directory: Path) -> TrialCache:
    return TrialCache(directory / "trials", X86_64.name, "machine", "judges")


def test_without_time_a_pass_says_so_of_every_candidate(work, context, tmp_path):
    Screen(cache(tmp_path), ASSEMBLER).run(work, context(-1.0))
    assert [state.rejection.stage for state in work.candidates] == ["budget"] * 3
    assert all("--budget" in state.rejection.reason for state in work.candidates)


def test_the_trial_cache_does_not_hear_of_it_so_that_the_next_run_tries(work, context, tmp_path):
    work.candidates[0] = CandidateState(Candidate("twice", '\t.incbin "/etc/hostname"\n'), "hostile")
    trials = cache(tmp_path)
    Screen(trials, ASSEMBLER).run(work, context(-1.0))
    assert trials.load(work.baseline.key) == []
    work.candidates[0].rejection = None
    Screen(trials, ASSEMBLER).run(work, context(60.0))
    assert [trial.digest for trial in trials.load(work.baseline.key)] == ["hostile"]


def test_what_was_judged_before_the_end_keeps_its_verdict(work, context):
    now = context(60.0)
    for number, state in in_time(work.candidates, now):
        assert state is work.candidates[number]
        if number == 1:
            now.deadline = 0.0
    assert [state.alive for state in work.candidates] == [True, True, False]
