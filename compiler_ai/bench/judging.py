"""Verdicts on drawn bodies: every one goes through the same gates as in a tuning, and every right one is timed."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from compiler_ai.artifacts import OUT_OF_TIME, Candidate, Grade, Trial
from compiler_ai.asm import listing as listing_model
from compiler_ai.driver import options
from compiler_ai.driver.host import machine_name
from compiler_ai.passes.measure import give_timing
from compiler_ai.passes.replay import Replay
from compiler_ai.passes.screen import Screen
from compiler_ai.passes.verify import give_evidence
from compiler_ai.passmanager import Pass, PassError, PassManager
from compiler_ai.store.digest import digest
from compiler_ai.store.trials import TrialCache, judges_fingerprint
from compiler_ai.toolchains.x86_64 import X86_64
from compiler_ai.tune.judges import ASSEMBLER, Judges
from compiler_ai.tune.plan import Task
from compiler_ai.tune.pool import Parent, Progress
from compiler_ai.work import CandidateState, Context, FunctionWork, in_time


@dataclass(frozen=True)
class Docket:
    """The bodies of one function, each once, and where verdicts are kept between runs."""

    task: Task
    candidates: tuple[Candidate, ...]
    trials: Path


@dataclass(frozen=True)
class Judged:
    """The trials by their bodies' digests; ``skipped`` says why nothing can be said of this function's bodies."""

    trials: tuple[Trial, ...]
    skipped: str = ""


def judge(docket: Docket, budget_s: float, parent: Parent) -> Judged:
    """In a worker process: what became of each body."""
    task = docket.task
    parsed, _ = options.parse(list(task.option_flags), {})
    trials = TrialCache(docket.trials, X86_64.name, machine_name(), judges_fingerprint())
    known = {trial.digest: trial for trial in trials.load(task.baseline.key)}
    listing = listing_model.parse(task.baseline.listing_text)
    work = FunctionWork(task.hot, task.baseline, listing, task.flags, task.captures)
    for candidate in docket.candidates:
        state = CandidateState(candidate, digest(candidate))
        if trial := known.get(state.digest):
            state.remember(trial)
        work.candidates.append(state)

    def progress(stage: str, done: int, total: int, best: float) -> None:
        parent.report(Progress(stage, done, total, best))

    deadline_s = time.monotonic() + budget_s
    context = Context(parsed, X86_64, task.project, deadline_s, task.seed, progress, task.shared, task.spare_cores)
    with Judges() as judges:
        passes: list[Pass] = [
            Screen(trials, ASSEMBLER),
            Replay(trials, judges),
            VerifyAll(trials, judges),
            TimeAll(trials, judges),
        ]
        PassManager(passes).run_function(work, context)
    return Judged(tuple(state.trial() for state in work.candidates), work.skipped)


class VerifyAll:
    """Gives every body its evidence, slow ones too: in a tuning only the few that are to be measured get it."""

    name = "verify"
    scope = "function"

    def __init__(self, trials: TrialCache, judges: Judges) -> None:
        self._trials = trials
        self._judges = judges

    def run(self, work: FunctionWork, context: Context) -> None:
        waiting = [state for state in work.alive if state.object_bytes and state.evidence is None]
        if not waiting:
            return
        verifier = self._judges.verifier(work, context)
        if verifier.unusable:
            raise PassError(verifier.unusable)
        with self._judges.in_time(context):
            for done, state in in_time(waiting, context):
                context.progress(self.name, done, len(waiting), 0.0)
                give_evidence(state, partial(verifier.check, state.object_bytes), Grade.TESTED)
                if state.rejection is None or state.rejection.stage != OUT_OF_TIME:
                    self._trials.append(work.baseline.key, state.trial())


class TimeAll:
    """Gives every verified body its timing, slower ones too: a mean over the faster ones alone would say nothing."""

    name = "time"
    scope = "function"

    def __init__(self, trials: TrialCache, judges: Judges) -> None:
        self._trials = trials
        self._judges = judges

    def run(self, work: FunctionWork, context: Context) -> None:
        waiting = [state for state in work.alive if state.evidence is not None and state.timing is None]
        if not waiting:
            return
        timer = self._judges.timer(work, context)
        for done, state in in_time(waiting, context):
            context.progress(self.name, done, len(waiting), 0.0)
            give_timing(state, timer, partial(_object_bytes, state))
            self._trials.append(work.baseline.key, state.trial())


def _object_bytes(state: CandidateState) -> bytes:
    return state.object_bytes
