"""Proposing goes on in rounds: what is known of the first candidates decides whether more are asked for."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from compiler_ai.passes.propose import ROUND, Propose
from compiler_ai.toolchains.x86_64 import X86_64

from compiler_ai.artifacts import Baseline, Candidate, CompileCommand, HotFunction, ProfiledFunction, Rejection
from compiler_ai.asm import listing as listing_model
from compiler_ai.driver import options
from compiler_ai.passmanager import PassManager
from compiler_ai.proposers.base import ProposalContext
from compiler_ai.report.tally import tally
from compiler_ai.store.trials import TrialCache
from compiler_ai.work import Context, FunctionWork


class Numbered:
    """Offers so many bodies; counts how often it was asked, and notes that it was told to stop."""

    def __init__(self, name: str, count: int, patience: int | None = None) -> None:
        self.name, self._count, self.asked, self.closed = name, count, 0, False
        if patience is not None:
            self.patience = patience

    def propose(self, _baseline: Baseline, _context: ProposalContext) -> Iterator[Candidate | Rejection]:
        try:
            for number in range(self._count):
                self.asked += 1
                yield Candidate("f", f"\tmov\t${number}, %eax\n\tret\n", proposer=self.name, origin=str(number))
        finally:
            self.closed = True


class Looks:
    """Stands where rank does: gives each candidate the ratio that `ratio(its number)` says."""

    name, scope, repeats = "rank", "function", True

    def __init__(self, ratio: Callable[[int], float]) -> None:
        self._ratio = ratio
        self.rounds: list[int] = []

    def run(self, work: FunctionWork, _context: Context) -> None:
        new = [state for state in work.candidates if state.look is None]
        self.rounds.append(len(new))
        for state in new:
            state.look = self._ratio(int(state.candidate.origin))


class Last:
    """A pass behind the rounds."""

    name, scope = "verify", "function"

    def __init__(self) -> None:
        self.runs = 0

    def run(self, _work: FunctionWork, _context: Context) -> None:
        self.runs += 1


@pytest.fixture
def work(tmp_path: Path) -> FunctionWork:
    text = "\t.text\n\t.type\tf, @function\nf:\n\tret\n\t.size\tf, .-f\n"
    command = CompileCommand(("gcc",), (), "f.c", "f.o", str(tmp_path), X86_64.name)
    hot = HotFunction(ProfiledFunction("f", "/p/program", "f.c", 0x1000, 1, 1.0), 1.0)
    return FunctionWork(hot, Baseline("f", command, text, "0" * 64, 1), listing_model.parse(text), ())


def explore(work: FunctionWork, directory: Path, looks: Looks, *proposers: Numbered, left_s: float = 1e6) -> Last:
    parsed, _ = options.parse([], {})
    last = Last()
    trials = TrialCache(directory / "trials", X86_64.name, "machine", "judges")
    context = Context(parsed, X86_64, directory, time.monotonic() + left_s)
    PassManager([Propose(list(proposers), trials), looks, last]).run_function(work, context)
    return last


def test_all_that_a_proposer_without_patience_offers_is_judged(work: FunctionWork, tmp_path: Path) -> None:
    looks, proposer = Looks(lambda _: 0.5), Numbered("plugin", 5 * ROUND + 2)
    last = explore(work, tmp_path, looks, proposer)
    assert len(work.candidates) == sum(looks.rounds) == 5 * ROUND + 2
    assert max(looks.rounds) == ROUND
    assert last.runs == 1


def test_patience_ends_when_nothing_better_comes(work: FunctionWork, tmp_path: Path) -> None:
    looks, proposer = Looks(lambda number: 1.5 if number == ROUND else 1.2), Numbered("search", 1000, 2 * ROUND)
    explore(work, tmp_path, looks, proposer)
    assert len(work.candidates) == 4 * ROUND  # the best is in the second round, two more bring nothing
    assert proposer.closed


def test_as_long_as_it_gets_better_the_search_goes_on(work: FunctionWork, tmp_path: Path) -> None:
    proposer = Numbered("search", 10 * ROUND, ROUND)
    explore(work, tmp_path, Looks(lambda number: 1 + number / 10), proposer)
    assert len(work.candidates) == 10 * ROUND


def test_the_next_proposer_is_asked_after_an_impatient_one(work: FunctionWork, tmp_path: Path) -> None:
    first, second = Numbered("search", 1000, ROUND), Numbered("plugin", 3)
    explore(work, tmp_path, Looks(lambda _: 1.0), first, second)
    assert second.asked == 3
    assert [state.candidate.proposer for state in work.candidates].count("search") == len(work.candidates)


def test_without_time_a_round_ends_and_says_so(work: FunctionWork, tmp_path: Path) -> None:
    proposer = Numbered("search", 1000)
    last = explore(work, tmp_path, Looks(lambda _: 1.0), proposer, left_s=-1.0)
    assert not proposer.asked
    assert "--budget" in work.skipped
    assert not last.runs


def test_a_proposer_that_fails_keeps_what_it_gave(work: FunctionWork, tmp_path: Path) -> None:
    class Failing(Numbered):
        def propose(self, _baseline: Baseline, _context: ProposalContext) -> Iterator[Candidate | Rejection]:
            yield Candidate("f", "\tret\n", origin="0")
            raise RuntimeError("no more")

    explore(work, tmp_path, Looks(lambda _: 1.0), Failing("broken", 1), Numbered("plugin", 2))
    assert len(work.candidates) == 3
    assert any("broken" in one.reason and "no more" in one.reason for one in work.proposal_rejections)


def test_a_proposer_that_takes_its_time_leaves_some_to_the_next(work: FunctionWork, tmp_path: Path) -> None:
    """The clock is the context's deadline: each candidate of the first takes a tenth of all the time."""
    proposers = Numbered("slow", 1000), Numbered("plugin", 3)

    class Slow(Looks):
        def run(self, work: FunctionWork, context: Context) -> None:
            context.deadline -= 10_000.0 * sum(state.look is None for state in work.candidates)
            super().run(work, context)

    explore(work, tmp_path, Slow(lambda _: 1.0), *proposers, left_s=100_000.0)
    assert proposers[0].asked == ROUND
    assert proposers[1].asked == 3
    assert any(one.stage == "budget" for one in work.proposal_rejections)


def test_without_time_nothing_is_proposed_and_that_is_the_reason(work: FunctionWork, tmp_path: Path) -> None:
    explore(work, tmp_path, Looks(lambda _n: 1.0), Numbered("one", 3), left_s=-1.0)
    assert work.skipped == "propose: no candidate: out of time: give it more with --budget"
    assert tally(work.result()).ran_out_of_time
