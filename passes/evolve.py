"""evolve: the verified bodies of a function, whoever proposed them, are a population; models improve or combine its best.

An evolutionary search whose variation is a language model (as in FunSearch, Nature 625, 2024, for programs): what comes out is
judged as every candidate is, and joins the population when it is right.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from compiler_ai.passes.refine import Counted

from compiler_ai.artifacts import Grade, Trial
from compiler_ai.latecomers import Judge, Latecomers
from compiler_ai.proposers.language_model import LanguageModelProposer, Parent
from compiler_ai.store.trials import TrialCache
from compiler_ai.work import CandidateState, Context, FunctionWork

_SHARE_OF_TIME = 0.4  # of what is left of a function's; the rest is for judging
_MOST_PARENTS = 2


class Evolve:
    """Generations of answers: odd ones improve the best body, even ones combine it with another. `judge` is `PassManager.run_part`.

    The population is what this run and earlier ones (the trial cache) have verified and measured, slower bodies too.
    """

    name = "evolve"
    scope = "function"

    def __init__(
        self,
        models: Sequence[LanguageModelProposer],
        trials: TrialCache,
        judge: Judge,
        counted: Counted = lambda _state, _work, _context: "",
    ) -> None:
        self._models = models
        self._trials = trials
        self._latecomers = Latecomers(trials, judge)
        self._counted = counted

    def run(self, work: FunctionWork, context: Context) -> None:
        same_isa = context.options.values["isa"] == "same"
        earlier = [
            trial
            for trial in self._trials.load(work.baseline.key)
            if not (same_isa and trial.candidate.features)  # of a run that could use more of the processor
        ]
        for generation in range(1, max((model.generations for model in self._models), default=0) + 1):
            for model in self._models:
                if context.out_of_time or generation > model.generations:
                    continue
                found = [one for one in population(work.candidates, earlier) if model.can_write(one.candidate)]
                chosen = parents(found, generation, context.seed)
                if not chosen:
                    continue
                context.progress(self.name, generation, model.generations, chosen[0].timing.warm.ratio)  # type: ignore[union-attr]  # it was measured
                shown = [self._parent(trial, work, context) for trial in chosen]
                offers = model.evolve(shown, generation, context.remaining_s * _SHARE_OF_TIME)
                self._latecomers.add(model.name, offers, work, context)

    def _parent(self, trial: Trial, work: FunctionWork, context: Context) -> Parent:
        assert trial.timing is not None
        state = next((state for state in work.candidates if state.digest == trial.digest), None)
        counts = self._counted(state, work, context) if state is not None else ""
        return Parent(trial.candidate, trial.timing.warm.ratio, counts)


def population(states: Sequence[CandidateState], earlier: Sequence[Trial]) -> list[Trial]:
    """Bodies that are right and were measured, each once, the fastest first."""
    found = {trial.digest: trial for trial in [*earlier, *(state.trial() for state in states)]}
    right = [
        trial
        for trial in found.values()
        if trial.timing is not None and trial.evidence is not None and trial.evidence.grade >= Grade.TESTED
    ]
    return sorted(right, key=_speed, reverse=True)


def parents(found: Sequence[Trial], generation: int, seed: int) -> list[Trial]:
    """The best, and in every second generation another one with it, the likelier the faster it is (linear ranking)."""
    others = list(found[1:])
    if generation % 2 or not others:
        return list(found[:1])
    weights = [len(others) - place for place in range(len(others))]
    drawn = random.Random(f"{seed} {generation}").choices(others, weights)
    return [found[0], *drawn][:_MOST_PARENTS]


def _speed(trial: Trial) -> float:
    return trial.timing.warm.ratio if trial.timing is not None else 0.0
