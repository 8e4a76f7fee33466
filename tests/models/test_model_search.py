"""The search on top of a model: what it is asked, what it is told of its answers, what costs nothing."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from compiler_ai.passes.evolve import Evolve, parents, population
from compiler_ai.passes.propose import Propose
from compiler_ai.passes.refine import Refine, refinement, refinements
from compiler_ai.passes.screen import Screen
from compiler_ai.toolchains.x86_64 import X86_64

from compiler_ai.artifacts import (
    Baseline,
    Candidate,
    CompileCommand,
    Evidence,
    Grade,
    HotFunction,
    Interval,
    ProfiledFunction,
    Rejection,
    Timing,
    Trial,
)
from compiler_ai.asm import listing as listing_model
from compiler_ai.asm.normalise import body_key
from compiler_ai.driver import options
from compiler_ai.models.base import Answer, Message, ModelError, Sampling
from compiler_ai.passmanager import PassManager
from compiler_ai.proposers.base import ProposalContext
from compiler_ai.proposers.language_model import LanguageModelProposer, ModelSettings, Parent, Refinement, schedule
from compiler_ai.store.trials import TrialCache
from compiler_ai.tune.judges import ASSEMBLER
from compiler_ai.work import CandidateState, Context, FunctionWork

RIGHT = "```assembly\ntwice:\n\tmovl\t%edi, %eax\n\taddl\t%eax, %eax\n\tret\n```"
WRONG = RIGHT.replace("addl\t%eax, %eax", "incl\t%eax")
REFUSED = RIGHT.replace("addl\t%eax, %eax", "addq\t%edx, %eax")  # the operands' sizes differ
SLOW = RIGHT.replace("addl\t%eax, %eax", "nop\n\taddl\t%eax, %eax")
COPY = "```assembly\ntwice:\n\tleal\t(%rdi,%rdi), %eax\n\tret\n```"


class Scripted:
    """A model whose answers are written down; `asked` is every request."""

    name = "scripted"

    def __init__(self, *answers: str | ModelError) -> None:
        self._answers = list(answers)
        self.asked: list[tuple[list[Message], Sampling]] = []

    def complete(self, messages: Sequence[Message], sampling: Sampling) -> list[Answer]:
        self.asked.append((list(messages), sampling))
        texts = [self._answers.pop(0) if self._answers else "no more" for _ in range(sampling.count)]
        for text in texts:
            if isinstance(text, ModelError):
                raise text
        return [Answer(str(text), 10, 10) for text in texts]


class Verdict:
    """Stands where the judging passes are: right, slow or wrong by what the body says."""

    name = "verify"
    scope = "function"

    def __init__(self) -> None:
        self.judged: list[str] = []

    def run(self, work: FunctionWork, _context: Context) -> None:
        for state in work.alive:
            self.judged.append(state.digest)
            if "incl" in state.candidate.body:
                state.rejection = Rejection("verify.refuted", "capture twice.1000.00003: it returns 0x2 instead of 0x4")
                continue
            state.evidence = Evidence(Grade.TESTED)
            ratio = 0.8 if "nop" in state.candidate.body else 1.25
            state.timing = Timing(Interval(ratio, ratio, ratio), None)
            if ratio < 1:
                state.rejection = Rejection("measure.slower", f"{ratio:.3f}x [0.790, 0.810]: not faster beyond doubt")


def counted(state: CandidateState, _work: FunctionWork, _context: Context) -> str:
    """Stands where instructions are counted in the sandbox."""
    return f"{state.candidate.body.count(chr(10))} lines"


@pytest.fixture
def tune(tmp_path: Path) -> Callable[..., tuple[FunctionWork, Scripted, Verdict]]:
    """Runs propose, screen, the verdict and refine over `twice`, with a scripted model."""
    source = tmp_path / "unit.c"
    source.write_text("int twice(int x) { return 2 * x; }\n")
    subprocess.run(["gcc", "-O2", "-S", "unit.c"], cwd=tmp_path, check=True)
    text = (tmp_path / "unit.s").read_text()
    command = CompileCommand(("gcc",), ("-O2",), str(source), str(tmp_path / "unit.o"), str(tmp_path), X86_64.name)
    listing = listing_model.parse(text)
    baseline = Baseline("twice", command, text, body_key(listing, "twice", ("-O2",), None), 4)
    hot = HotFunction(ProfiledFunction("twice", "/p/program", "unit.c", 0x1000, 4, 1.0), 1.0)

    def run(*answers: str | ModelError, **settings: Any) -> tuple[FunctionWork, Scripted, Verdict]:
        work = FunctionWork(hot, baseline, listing, ("-O2",))
        trials = TrialCache(tmp_path / "trials", X86_64.name, "machine", "judges")
        model, verdict = Scripted(*answers), Verdict()
        proposer = LanguageModelProposer(
            "scripted", ModelSettings(**{"samples": 1, "rounds": 1, "generations": 0, **settings}), tmp_path, model
        )
        manager = PassManager([Propose([proposer], trials), Screen(trials, ASSEMBLER), verdict])
        manager.register_pass(Refine([proposer], trials, manager.run_part, counted), "verify")
        manager.register_pass(Evolve([proposer], trials, manager.run_part, counted), "refine")
        context = Context(options.parse([], {})[0], X86_64, tmp_path, time.monotonic() + 600, 3)
        manager.run_function(work, context)
        return work, model, verdict

    return run


def test_the_likeliest_answer_comes_first_and_temperatures_rise() -> None:
    assert schedule(1) == [(0.0, 1)]
    assert schedule(4) == [(0.0, 1), (0.4, 1), (0.7, 1), (1.0, 1)]
    assert sum(count for _, count in schedule(16)) == 16


def test_a_candidate_carries_its_model_prompt_temperature_and_seed(tune) -> None:
    work, model, _ = tune(RIGHT, rounds=0)
    (state,) = work.candidates
    assert state.candidate.proposer == "model scripted"
    assert state.candidate.origin.startswith("scripted, prompt ")
    assert state.candidate.origin.endswith(", temperature 0, seed 3000")
    assert state.alive
    assert replace(model.asked[0][1], patience_s=0.0) == Sampling(0.0, 1.0, 3000, 2048, 1)
    assert 0 < model.asked[0][1].patience_s <= 600


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (WRONG, "it returns 0x2 instead of 0x4"),
        (SLOW, "0.800x"),
        (REFUSED, "addq\t%edx, %eax"),
        (RIGHT.replace("addl\t%eax, %eax", "syscall"), "not allowed here"),
    ],
)
def test_a_model_is_told_what_became_of_its_answer_and_answers_again(tune, answer: str, words: str) -> None:
    work, model, _ = tune(answer, RIGHT)
    conversation = model.asked[1][0]
    assert conversation[-2] == Message("assistant", answer)
    assert words in conversation[-1].content
    assert ("lines" in conversation[-1].content) == (answer == SLOW)
    assert [state.alive for state in work.candidates] == [False, True]


C_RIGHT = "```c\nint twice(int x) { return 4 * x / 2 - 0 * x + (x - x); }\n```"
C_WRONG = "```c\nint twice(int x) { return 2 * x + 1; }\n```"


def test_a_model_that_is_asked_for_c_is_told_in_c(tune) -> None:
    work, _, _ = tune(COPY)
    model = Scripted("```c\nint twice(int x) { return 2 * y; }\n```", C_WRONG)
    proposer = LanguageModelProposer("scripted", ModelSettings(samples=1, prompt="c"), None, model)
    list(proposer.propose(work.baseline, ProposalContext(X86_64)))
    (found,) = proposer.refine([], 1, 600.0)
    assert isinstance(found, Candidate)
    assert "C compiled with the unit's own options" in found.origin
    said = [message.content for messages, _ in model.asked for message in messages]
    assert "```assembly" not in "".join(said)
    assert "'y' undeclared" in said[-1]
    assert "```c block" in said[-1]


def test_only_what_was_written_in_c_is_shown_to_a_model_that_is_asked_for_c(tune) -> None:
    work, _, _ = tune(COPY)
    model = Scripted(C_WRONG, C_RIGHT, C_RIGHT)
    proposer = LanguageModelProposer("scripted", ModelSettings(samples=1, prompt="c"), None, model)
    (own,) = (one for one in proposer.propose(work.baseline, ProposalContext(X86_64)) if isinstance(one, Candidate))
    theirs = Candidate("twice", "\tshll\t%edi\n\tmovl\t%edi, %eax\n\tret\n", proposer="search")
    assert proposer.can_write(own)
    assert not proposer.can_write(theirs)
    list(proposer.refine([Refinement(theirs, "faster", "1.5x"), Refinement(own, "wrong", "3 is not 2")], 1, 600.0))
    list(proposer.evolve([Parent(own, 1.1)], 1, 600.0))
    assert len(model.asked) == 3
    assert "shll" not in str(model.asked)
    assert "3 is not 2" in model.asked[1][0][-1].content
    assert "return 2 * x + 1;" in model.asked[2][0][-1].content


def test_every_answer_is_asked_for_with_another_hint(tune) -> None:
    _, model, _ = tune(*["no"] * 8, prompt="c", samples=8, rounds=0)
    asked = [messages[-1].content for messages, _ in model.asked]
    assert len(asked) == 8
    assert 3 <= len(set(asked)) < 8
    assert {sampling.count for _, sampling in model.asked} == {1}
    assert len({(sampling.temperature, sampling.seed) for _, sampling in model.asked}) == 8


def test_a_model_that_copies_is_told_so(tune) -> None:
    work, model, _ = tune(COPY)
    assert "GCC's own code" in work.skipped
    proposer = LanguageModelProposer("scripted", ModelSettings(samples=1), None, Scripted(COPY, RIGHT))
    list(proposer.propose(work.baseline, ProposalContext(X86_64)))
    (found,) = proposer.refine([], 1, 600.0)
    assert isinstance(found, Candidate)
    assert len(model.asked) == 1


def test_an_answer_that_cannot_be_used_is_answered_with_the_reason(tune) -> None:
    work, _, _ = tune(COPY)
    model = Scripted("```assembly\ntwice:\n\tje\t.L9\n\tret\n```", RIGHT)
    proposer = LanguageModelProposer("scripted", ModelSettings(samples=1), None, model)
    list(proposer.propose(work.baseline, ProposalContext(X86_64)))
    (found,) = proposer.refine([], 1, 600.0)
    assert isinstance(found, Candidate)
    assert "it jumps to '.L9', which it does not define" in model.asked[1][0][-1].content


def test_a_faulty_feedback_prompt_leaves_what_was_found(tune, tmp_path: Path) -> None:
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "feedback.jinja").write_text("{{ nothing }}")
    work, model, _ = tune(RIGHT, WRONG)
    assert len(model.asked) == 1
    assert [state.alive for state in work.candidates] == [True]
    assert "feedback" in work.proposal_rejections[0].reason


def test_a_faster_body_of_another_proposer_is_given_to_improve_on(tune) -> None:
    work, _, _ = tune(COPY)
    model = Scripted(COPY, RIGHT)
    proposer = LanguageModelProposer("scripted", ModelSettings(samples=1), None, model)
    list(proposer.propose(work.baseline, ProposalContext(X86_64)))
    theirs = CandidateState(Candidate("twice", "\tshll\t%edi\n\tmovl\t%edi, %eax\n\tret\n", proposer="search"), "d")
    theirs.evidence, theirs.timing = Evidence(Grade.TESTED), Timing(Interval(1.5, 1.4, 1.6), None)
    list(proposer.refine(refinements([theirs], proposer.has_given), 1, 600.0))
    assert "shll\t%edi" in model.asked[1][0][-2].content
    assert "1.50 times" in model.asked[1][0][-1].content


def test_the_same_body_is_judged_once(tune) -> None:
    again = RIGHT.replace("twice:", "# again\ntwice:")
    work, _, verdict = tune(RIGHT, again, RIGHT, again, samples=2)
    assert len(work.candidates) == len(verdict.judged) == 1


def test_a_verdict_of_an_earlier_run_is_remembered(tune) -> None:
    tune(REFUSED, rounds=0)
    work, _, verdict = tune(REFUSED, rounds=0)
    assert work.candidates[0].remembered
    assert verdict.judged == []


def test_a_model_that_fails_is_not_asked_again(tune) -> None:
    work, model, _ = tune(ModelError("it is down"), RIGHT, samples=4, rounds=2)
    assert len(model.asked) == 1
    assert [one.reason for one in work.proposal_rejections] == ["it is down"]
    assert "it is down" in work.skipped


def test_a_failure_in_a_later_round_leaves_what_was_found(tune) -> None:
    work, model, _ = tune(WRONG, ModelError("it is down"), rounds=3)
    assert len(model.asked) == 2
    assert len(work.candidates) == 1


def test_reasons_are_kept_for_answers_that_cannot_be_used(tune) -> None:
    work, _, _ = tune(RIGHT, "I cannot do that.", samples=2, rounds=0)
    assert [one.stage for one in work.proposal_rejections] == ["propose.answer"]
    assert all("no assembly" in one.reason for one in work.proposal_rejections)
    assert work.result().not_proposed == work.proposal_rejections


def test_anonymised_conversations_name_nothing_of_the_project(tune) -> None:
    hidden = WRONG.replace("twice", "function")
    work, model, _ = tune(hidden, RIGHT.replace("twice", "function"), anonymise=True)
    assert [state.alive for state in work.candidates] == [False, True]
    for messages, _ in model.asked:
        assert not any("twice" in message.content for message in messages)


def test_what_says_nothing_of_a_body_is_not_told() -> None:
    state = CandidateState(Candidate("f", "\tret\n"), "d", rejection=Rejection("budget", "out of time"))
    assert refinement(state) is None


def test_verified_bodies_are_improved_and_combined(tune) -> None:
    better = RIGHT.replace("addl\t%eax, %eax", "shll\t%eax")
    work, model, verdict = tune(RIGHT, SLOW, better, "no more", rounds=1, generations=2)
    improve, combine = (asked[-1].content for asked, _ in model.asked[2:])
    assert "1.25 times its speed" in improve
    assert "addl\t%eax, %eax" in improve
    assert "lines" in improve
    assert "nop" not in improve
    assert "Version 2" in combine
    assert "Combine" in combine
    assert len(work.candidates) == len(verdict.judged) == 3


def test_a_body_offered_again_by_a_later_generation_costs_nothing(tune) -> None:
    work, model, verdict = tune(RIGHT, RIGHT, RIGHT, RIGHT, rounds=1, generations=2)
    assert len(model.asked) == 4
    assert len(work.candidates) == len(verdict.judged) == 1


def test_what_does_not_fit_into_an_answer_is_no_parent(tune) -> None:
    _, model, _ = tune(RIGHT, rounds=0, generations=1, answer_tokens=12)
    assert len(model.asked) == 1


def test_nothing_verified_is_no_population(tune) -> None:
    _, model, _ = tune(WRONG, WRONG, rounds=1, generations=2)
    assert len(model.asked) == 2


def test_what_an_earlier_run_verified_is_in_the_population(tune, tmp_path: Path) -> None:
    work, _, _ = tune(RIGHT, rounds=0)
    TrialCache(tmp_path / "trials", X86_64.name, "machine", "judges").append(
        work.baseline.key, work.candidates[0].trial()
    )
    _, model, _ = tune(WRONG, "no more", rounds=0, generations=1)
    assert "addl\t%eax, %eax" in model.asked[1][0][-1].content


def trial(name: str, ratio: float, grade: Grade = Grade.TESTED) -> Trial:
    timing = Timing(Interval(ratio, ratio, ratio), None)
    return Trial(Candidate("f", f"\t{name}\n"), name, None, Evidence(grade), timing)


def test_the_population_is_what_is_right_the_fastest_first() -> None:
    found = population([], [trial("a", 0.9), trial("b", 1.5), trial("wrong", 9.0, Grade.REFUTED), trial("b", 1.4)])
    assert [one.digest for one in found] == ["b", "a"]


def test_parents_are_the_best_and_in_every_second_generation_another() -> None:
    found = [trial("a", 2.0), trial("b", 1.5), trial("c", 1.2)]
    assert [one.digest for one in parents(found, 1, 0)] == ["a"]
    drawn = [[one.digest for one in parents(found, 2, seed)] for seed in range(60)]
    assert all(first == "a" and second in "bc" for first, second in drawn)
    assert 60 > sum(second == "b" for _, second in drawn) > 30
    assert drawn == [[one.digest for one in parents(found, 2, seed)] for seed in range(60)]
    assert parents([], 1, 0) == []


def test_a_generation_is_the_same_request_whatever_its_parents_are(tune) -> None:
    from compiler_ai.models.base import request_key

    _, first, _ = tune(RIGHT, "no more", rounds=0, generations=1, samples=1)
    _, second, _ = tune(SLOW, "no more", rounds=0, generations=1, samples=1)
    keys = [request_key("m", *model.asked[-1]) for model in (first, second)]
    assert first.asked[-1][0][-1] != second.asked[-1][0][-1]
    assert keys[0] == keys[1] != request_key("m", *first.asked[0])
