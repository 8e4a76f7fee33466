"""refine: models are told what became of their answers and answer again; what they offer is judged by the passes before."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

from compiler_ai.artifacts import Candidate
from compiler_ai.latecomers import Judge, Latecomers
from compiler_ai.proposers.language_model import MOST_REFINED, LanguageModelProposer, Refinement
from compiler_ai.store.trials import TrialCache
from compiler_ai.work import CandidateState, Context, FunctionWork

_SHARE_OF_TIME = 0.4  # of what is left of a function's; the rest is for judging
_ASSEMBLER_LINE = re.compile(r"line (\d+): (.*)")

# What is to be said of where a body's instructions go: (its state, the work, the context) -> words, "" for nothing.
Counted = Callable[[CandidateState, FunctionWork, Context], str]


class Refine:
    """Rounds of answers. `judge` is `PassManager.run_part`."""

    name = "refine"
    scope = "function"

    def __init__(
        self,
        models: Sequence[LanguageModelProposer],
        trials: TrialCache,
        judge: Judge,
        counted: Counted = lambda _state, _work, _context: "",
    ) -> None:
        self._models = models
        self._latecomers = Latecomers(trials, judge)
        self._counted = counted

    def run(self, work: FunctionWork, context: Context) -> None:
        latest = {model.name: list(work.candidates) for model in self._models}
        for number in range(1, max((model.rounds for model in self._models), default=0) + 1):
            for model in self._models:
                if context.out_of_time or number > model.rounds:
                    continue
                context.progress(self.name, number, model.rounds, 0.0)
                found = self._found(latest[model.name], model, work, context)
                offers = model.refine(found, number, context.remaining_s * _SHARE_OF_TIME)
                new = self._latecomers.add(model.name, offers, work, context)
                latest[model.name] = [*new, *_of_others(work, model, new)]

    def _found(
        self, latest: Sequence[CandidateState], model: LanguageModelProposer, work: FunctionWork, context: Context
    ) -> list[Refinement]:
        """What the model is told, with the counts of those that it is told of speed."""
        found = refinements(latest, model.has_given)[:MOST_REFINED]
        states = {id(state.candidate): state for state in latest}
        return [
            replace(one, counts=self._counted(states[id(one.candidate)], work, context))
            if one.kind in ("slower", "faster")
            else one
            for one in found
        ]


def _of_others(work: FunctionWork, model: LanguageModelProposer, new: Sequence[CandidateState]) -> list[CandidateState]:
    """What this model has not given: bodies that it may improve on."""
    return [state for state in work.alive if not model.has_given(state.candidate) and state not in new]


def refinements(states: Sequence[CandidateState], is_own: Callable[[Candidate], bool]) -> list[Refinement]:
    """What is worth an answer, the most promising first: faster bodies, then right ones, then wrong ones, then refused ones.

    Of other proposers' bodies only those that are faster.
    """
    ranked: list[tuple[float, Refinement]] = []
    for state in states:
        one = refinement(state)
        if one is None or (one.kind != "faster" and not is_own(state.candidate)):
            continue
        order = ("faster", "slower", "wrong", "assembler", "screen").index(one.kind)
        gain = state.timing.warm.ratio if state.timing else 0.0
        ranked.append((order - gain / 100, one))
    ranked.sort(key=lambda pair: pair[0])
    return [one for _, one in ranked]


def refinement(state: CandidateState) -> Refinement | None:
    """What a model is told of one candidate; None for what says nothing about it."""
    candidate, rejection = state.candidate, state.rejection
    if rejection is None:
        if state.timing is None or state.evidence is None:
            return None
        return Refinement(
            candidate, "faster", f"measured at {state.timing.warm.ratio:.2f} times the speed of GCC's code"
        )
    stage = rejection.stage
    if stage == "screen.assemble":
        match = _ASSEMBLER_LINE.match(rejection.reason)
        lines = state.spliced_text.splitlines()
        line = lines[int(match[1]) - 1].strip() if match and int(match[1]) <= len(lines) else ""
        return Refinement(candidate, "assembler", match[2] if match else rejection.reason, line)
    if stage.startswith("screen.") and stage not in ("screen.failed", "screen.key"):
        return Refinement(candidate, "screen", rejection.reason)
    if stage == "verify.refuted":
        return Refinement(candidate, "wrong", rejection.reason)
    if stage in ("rank.slower", "measure.slower", "measure.same"):
        return Refinement(candidate, "slower", rejection.reason)
    return None
