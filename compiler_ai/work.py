"""What the passes work on: a unit with its hot functions, a function with its candidates, and what they share.

`artifacts` holds the immutable facts; the classes here are the mutable state of one run of the pipeline.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from compiler_ai.artifacts import (
    OUT_OF_TIME,
    Baseline,
    Candidate,
    Evidence,
    FunctionResult,
    HotFunction,
    Rejection,
    Rewrite,
    Timing,
    Trial,
)
from compiler_ai.asm.listing import Listing
from compiler_ai.driver.options import Options
from compiler_ai.toolchains.description import Toolchain

FINALISTS = 3  # the best of the verified candidates at a first look: these are measured


@dataclass
class CandidateState:
    """One candidate on its way through the function passes; alive until something rejects it."""

    candidate: Candidate
    digest: str
    spliced_text: str = ""
    object_bytes: bytes = b""
    rejection: Rejection | None = None
    evidence: Evidence | None = None
    timing: Timing | None = None
    seconds: float = 0.0
    remembered: bool = False  # the verdict comes from the trial cache
    replayed: bool = False  # it agrees with the baseline on the captured calls
    look: float | None = None  # the ratio at a first look, no evidence

    @property
    def alive(self) -> bool:
        return self.rejection is None

    def remember(self, trial: Trial) -> None:
        """Take over an earlier verdict if it was over the candidate itself: neither over a place among other candidates, which may
        be others this time, nor of a judge that could not do its work (a killed runner, a full disk)."""
        stage = trial.rejection.stage if trial.rejection is not None else ""
        if stage != "rank.behind" and not stage.endswith(".failed"):
            self.rejection, self.evidence, self.timing = trial.rejection, trial.evidence, trial.timing
            self.remembered = True

    def trial(self) -> Trial:
        return Trial(self.candidate, self.digest, self.rejection, self.evidence, self.timing, self.seconds)


def in_time(states: Sequence[CandidateState], context: Context) -> Iterator[tuple[int, CandidateState]]:
    """(number, state) of each in turn while there is time; the rest is given up."""
    for number, state in enumerate(states):
        if context.out_of_time:
            give_up(states[number:])
            return
        yield number, state


def give_up(states: Iterable[CandidateState]) -> None:
    """There is no time to judge these: they are not used, and the trial cache does not hear of it, so that the next run does."""
    for state in states:
        if state.alive:
            state.rejection = Rejection(OUT_OF_TIME, "out of time: give it more with --budget")


@dataclass
class FunctionWork:
    """One hot function while the function passes run over it."""

    hot: HotFunction
    baseline: Baseline
    listing: Listing
    flags: tuple[str, ...]
    captures: tuple[Path, ...] = ()
    candidates: list[CandidateState] = field(default_factory=list)
    proposal_rejections: list[Rejection] = field(default_factory=list)
    unexplored: bool = False  # the proposers may have more: the passes that `repeat` run once more
    rewrite: Rewrite | None = None
    skipped: str = ""
    baseline_object: bytes = b""

    @property
    def alive(self) -> list[CandidateState]:
        return [state for state in self.candidates if state.alive]

    def result(self) -> FunctionResult:
        trials = [state.trial() for state in self.candidates]
        return FunctionResult(self.hot, self.baseline, trials, self.rewrite, self.skipped, self.proposal_rejections)


@dataclass
class UnitWork:
    """One listing while the passes run over it; `output` is what the assembler will get."""

    listing_text: str
    flags: tuple[str, ...]
    source: str
    object_path: str
    functions: list[FunctionWork] = field(default_factory=list)
    hot: list[HotFunction] = field(default_factory=list)
    left_out: list[tuple[str, str]] = field(default_factory=list)
    output: str = ""


@dataclass
class Context:
    """What all passes share. `deadline` is on time.monotonic()'s clock; `progress(stage, done, total, best ratio)` may be slow; `pause`,
    given the part of the program's time (0..1) that going on may save, returns when it is this function's turn, with its seconds."""

    options: Options
    toolchain: Toolchain
    project: Path
    deadline: float = float("inf")
    seed: int = 0
    progress: Callable[[str, int, int, float], None] = lambda _stage, _done, _total, _best: None
    shared: Path | None = None  # a directory for what the functions of one run have in common
    spare_cores: int = 0  # on which to compile ahead while candidates are judged
    pause: Callable[[float], float] | None = None
    plugin_arguments: dict[str, dict[str, str]] = field(default_factory=dict)

    def take_turn(self, gain: float) -> None:
        """Before the first step that takes long: wait for those that promise more."""
        if self.pause is not None:
            pause, self.pause = self.pause, None
            self.progress("ready", 1, 1, 0.0)
            budget_s = pause(gain)
            self.deadline = time.monotonic() + budget_s

    @property
    def remaining_s(self) -> float:
        return self.deadline - time.monotonic()

    @property
    def out_of_time(self) -> bool:
        return self.remaining_s <= 0
