"""A language model as a proposer: several answers at rising temperatures, and answers to what became of them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from compiler_ai.artifacts import OUT_OF_TIME, Baseline, Candidate, Rejection
from compiler_ai.asm import listing as listing_model
from compiler_ai.asm.function import Function
from compiler_ai.asm.listing import Listing
from compiler_ai.driver.options import Options
from compiler_ai.models.anonymise import Anonymiser
from compiler_ai.models.base import Answer, Message, Model, ModelError, Sampling
from compiler_ai.models.c_answer import texts_of
from compiler_ai.models.host import HostedModel
from compiler_ai.models.prompting import Facts, Prompts, facts_of, prompt_hash, prompt_name
from compiler_ai.proposers.answers import AnswerReader
from compiler_ai.proposers.base import ProposalContext
from compiler_ai.store.digest import digest

MODEL_STAGE = "propose.model"  # the model itself failed, not one answer
ANSWER_STAGE = "propose.answer"
_TEMPERATURES = (0.4, 0.7, 1.0)  # behind the likeliest answer
_TOP_P = 0.95
MOST_REFINED = 2  # candidates a round that a model is asked to improve
_SEED_STEP = 1000
_CHARS_A_TOKEN = 2  # of assembly, about
_BODIES_FOUND = "(bodies that were found to do the same as the original)"


@dataclass(frozen=True)
class ModelSettings:
    """How models are asked: answers a round, rounds of refinement, generations of evolution, the prompt's name ("" for the model's own)."""

    samples: int = 4
    rounds: int = 2
    generations: int = 2
    prompt: str = ""
    anonymise: bool = False
    answer_tokens: int = 2048


def settings_of(options: Options) -> ModelSettings:
    values = options.values
    return ModelSettings(
        samples=int(values["model-samples"] or 4),
        rounds=int(values["model-rounds"] or 2),
        generations=int(values["model-generations"] or 2),
        prompt=values["model-prompt"],
        anonymise=values["model-anonymise"] == "yes",
        answer_tokens=int(values["model-answer-tokens"] or 2048),
    )


@dataclass(frozen=True)
class Refinement:
    """What became of a body: the kind of `feedback.jinja`, the reason, the offending line when there is one."""

    candidate: Candidate
    kind: str
    reason: str
    line: str = ""
    counts: str = ""  # where its instructions go, beside the original's


@dataclass(frozen=True)
class Parent:
    """A verified body of the population with its measured speed; `counts` as of `Refinement`."""

    candidate: Candidate
    ratio: float
    counts: str = ""


@dataclass
class _Subject:
    """The function at work and what was said about it."""

    baseline: Baseline
    listing: Listing
    function: Function
    opening: Opening
    context: ProposalContext
    reader: AnswerReader
    conversations: dict[str, list[Message]] = field(default_factory=dict)  # by the candidate's digest, its answer last
    unusable: list[tuple[list[Message], str, str]] = field(default_factory=list)  # conversation, kind and reason
    deadline_s: float = float("inf")  # on time.monotonic()'s clock
    answers: int = 0
    failed: bool = False  # the model did not answer: it is not asked again about this function


class LanguageModelProposer:
    """Asks one model, through the run's host."""

    def __init__(self, text: str, settings: ModelSettings, project: Path | None, model: Model | None = None) -> None:
        self.name = f"model {text}"
        self._text = text
        self._settings = settings
        self._project = project
        self._model = model
        self._subject: _Subject | None = None

    @property
    def rounds(self) -> int:
        return self._settings.rounds

    @property
    def generations(self) -> int:
        return self._settings.generations

    def propose(self, baseline: Baseline, context: ProposalContext) -> Iterator[Candidate | Rejection]:
        """The first answers, the likeliest first. What the model cannot do is a Rejection."""
        if self._subject is not None:
            self._subject.reader.close()
        self._subject = None
        try:
            model = self._open(context)
            subject = _begin(self._settings, self._project, model, baseline, context)
        except ModelError as error:
            yield Rejection(MODEL_STAGE, str(error))
            return
        self._subject = subject
        subject.deadline_s = time.monotonic() + context.budget_s
        asked = 0
        for temperature, count in schedule(self._settings.samples, bool(subject.opening.hinted)):
            if subject.failed:
                return
            if time.monotonic() > subject.deadline_s:
                yield Rejection(OUT_OF_TIME, f"{model.name}: out of time after {subject.answers} answers")
                return
            messages = subject.opening.of(asked)
            seed = context.seed * _SEED_STEP + (asked if subject.opening.hinted else 0)
            asked += count
            yield from self._ask(subject, model, messages, temperature, count, seed)

    def refine(self, found: Sequence[Refinement], number: int, budget_s: float) -> Iterator[Candidate | Rejection]:
        """Answers to what became of earlier ones, of this model or of others; `number` counts the rounds from 1."""
        subject = self._subject
        if subject is None or subject.failed or self._model is None:
            return
        subject.deadline_s = time.monotonic() + budget_s
        shown = [one for one in found if subject.opening.language != "c" or _c_text(subject, one.candidate)]
        chosen = shown[:MOST_REFINED]
        conversations = [self._conversation(subject, one) for one in chosen]
        if not chosen and subject.unusable:
            conversation, kind, reason = subject.unusable.pop()
            said = self._feedback(subject, Refinement(Candidate("", ""), kind, reason))
            conversations = [[*subject.opening.messages, conversation[-1], said]]
        count = max(1, self._settings.samples // max(1, len(conversations)))
        for conversation in conversations:
            if subject.failed or time.monotonic() > subject.deadline_s:
                return
            seed = subject.context.seed * _SEED_STEP + 100 * number
            yield from self._ask(subject, self._model, conversation, _TEMPERATURES[1], count, seed)

    def evolve(self, parents: Sequence[Parent], generation: int, budget_s: float) -> Iterator[Candidate | Rejection]:
        """Bodies made from verified ones: one to improve or several to combine; `generation` counts from 1.

        A generation's requests are the same whatever its parents are, so that a replayed run finds their answers although
        other bodies may have been a little faster in it.
        """
        subject = self._subject
        if subject is None or subject.failed or self._model is None or not parents:
            return
        subject.deadline_s = time.monotonic() + budget_s
        texts = [self._shown(subject, parent.candidate) for parent in parents]
        shown = [
            {"text": text, "ratio": parent.ratio, "counts": self._hidden(subject, parent.counts)}
            for text, parent in zip(texts, parents, strict=True)
        ]
        said = Prompts(self._project).evolution(
            {"parents": shown, "function": subject.opening.facts.function, "language": subject.opening.language}
        )
        conversation = [*subject.opening.messages, Message("assistant", _BODIES_FOUND), said]
        seed = subject.context.seed * _SEED_STEP + 500 + 100 * generation
        yield from self._ask(subject, self._model, conversation, _TEMPERATURES[1], self._settings.samples, seed)

    def can_write(self, candidate: Candidate) -> bool:
        """Whether a body of this length fits into an answer: of a longer one only a truncated version can come. A model that
        is asked for C is shown what was written in C."""
        if self._subject is not None and self._subject.opening.language == "c":
            return bool(_c_text(self._subject, candidate))
        lines = [line for line in candidate.body.splitlines() if not _is_noise(line)]
        return (
            sum(len(line) + 1 for line in lines) + len(candidate.extra) <= _CHARS_A_TOKEN * self._settings.answer_tokens
        )

    def has_given(self, candidate: Candidate) -> bool:
        """Whether the candidate is an answer of this model's."""
        return self._subject is not None and digest(candidate) in self._subject.conversations

    def _open(self, context: ProposalContext) -> Model:
        if self._model is None:
            if context.shared is None:
                raise ModelError(f"{self._text}: there is no process that holds the models")
            self._model = HostedModel(context.shared, self._text, context.budget_s)
        return self._model

    def _ask(
        self, subject: _Subject, model: Model, messages: list[Message], temperature: float, count: int, seed: int
    ) -> Iterator[Candidate | Rejection]:
        patience_s = max(1.0, subject.deadline_s - time.monotonic())
        top_p = _TOP_P if temperature else 1.0
        sampling = Sampling(temperature, top_p, seed, self._settings.answer_tokens, count, patience_s)
        try:
            answers = model.complete(messages, sampling)
        except ModelError as error:
            subject.failed = True
            yield Rejection(MODEL_STAGE, str(error))
            return
        for number, one in enumerate(answers):
            origin = f"{model.name}, prompt {prompt_hash(messages)}, temperature {temperature:g}, seed {seed + number}"
            yield from self._read(subject, model, messages, one, origin)

    def _read(
        self, subject: _Subject, model: Model, messages: list[Message], one: Answer, origin: str
    ) -> Iterator[Candidate | Rejection]:
        subject.answers += 1
        conversation = [*messages, Message("assistant", one.text)]
        found = subject.reader.read(one, f"m{subject.answers}", model.name, origin)
        for reason in found.reasons:
            subject.unusable.append((conversation, "answer", reason))
            yield Rejection(ANSWER_STAGE, f"{origin}: {reason}")
        if found.copied:
            subject.unusable.append((conversation, "same", ""))
            yield Rejection(ANSWER_STAGE, f"{origin}: it is GCC's own code")
        for candidate in found.candidates:
            subject.conversations.setdefault(digest(candidate), conversation)
            yield candidate

    def _conversation(self, subject: _Subject, one: Refinement) -> list[Message]:
        """The conversation that led to the body, or one as if the model had given it, and what became of it."""
        known = subject.conversations.get(digest(one.candidate))
        if known is None:
            text = self._shown(subject, one.candidate)
            known = [*subject.opening.messages, Message("assistant", f"```assembly\n{text}```")]
        # An answer to an answer is given the first prompt and the last answer: small models have small contexts.
        return [*subject.opening.messages, known[-1], self._feedback(subject, one)]

    def _feedback(self, subject: _Subject, one: Refinement) -> Message:
        reason, line, counts = (self._hidden(subject, text) for text in (one.reason, one.line, one.counts))
        values = {"kind": one.kind, "reason": reason, "line": line, "counts": counts}
        more = {"function": subject.opening.facts.function, "language": subject.opening.language}
        return Prompts(self._project).feedback({**values, **more})

    def _shown(self, subject: _Subject, candidate: Candidate) -> str:
        """A body as a model would have written it, or has written it in C."""
        if subject.opening.language == "c":
            return _c_text(subject, candidate)
        lines = [line for line in candidate.body.splitlines() if not _is_noise(line)]
        return self._hidden(subject, f"{candidate.function}:\n" + "\n".join(lines) + f"\n{candidate.extra}")

    @staticmethod
    def _hidden(subject: _Subject, text: str) -> str:
        return subject.opening.anonymiser.hidden(text) if subject.opening.anonymiser is not None else text


def _c_text(subject: _Subject, candidate: Candidate) -> str:
    """The C text in the answer that the body came from; "" when it came from none."""
    known = subject.conversations.get(digest(candidate))
    texts = texts_of(known[-1].content, subject.opening.facts.function, truncated=False) if known else []
    return texts[0].rstrip("\n") + "\n" if texts else ""


def _is_noise(line: str) -> bool:
    """What a model neither needs nor should copy: it is made anew or dropped."""
    words = line.split()
    return not words or words[0].startswith((".cfi_", ".loc", "#"))


@dataclass(frozen=True)
class Opening:
    """How conversations about a function begin: `messages`, or with the prompt's hints one of `hinted` in turn."""

    messages: list[Message]
    hinted: list[list[Message]]
    language: str  # of the answers that are asked for
    facts: Facts
    anonymiser: Anonymiser | None

    def of(self, number: int) -> list[Message]:
        """The messages that the answer `number` (from 0) is asked for with."""
        return self.hinted[number % len(self.hinted)] if self.hinted else self.messages


def opening(
    settings: ModelSettings, project: Path | None, model_name: str, baseline: Baseline, context: ProposalContext
) -> Opening:
    """The first messages of the conversations about a function. Raises ModelError."""
    features = context.toolchain.baseline_features | context.unit_features | set(extra_features(context))
    facts = facts_of(baseline, context.toolchain, sorted(features), context.samples)
    anonymiser = None
    if settings.anonymise:
        anonymiser = Anonymiser(listing_model.parse(baseline.listing_text), context.toolchain.library_symbols)
        facts = anonymiser.facts(facts)
    prompts, name = Prompts(project), prompt_name(settings.prompt, model_name)
    hinted = [prompts.messages(name, facts, hint) for hint in prompts.hints(name, facts)]
    return Opening(prompts.messages(name, facts), hinted, prompts.language(name), facts, anonymiser)


def _begin(
    settings: ModelSettings, project: Path | None, model: Model, baseline: Baseline, context: ProposalContext
) -> _Subject:
    listing = listing_model.parse(baseline.listing_text)
    function = listing.function(baseline.function)
    if function is None:
        raise ModelError("GCC's listing does not define the function")
    begun = opening(settings, project, model.name, baseline, context)
    reader = AnswerReader(baseline, listing, function, context, begun.anonymiser, extra_features(context))
    return _Subject(baseline, listing, function, begun, context, reader)


def schedule(samples: int, singly: bool = False) -> list[tuple[float, int]]:
    """(temperature, answers) in the order of asking: the likeliest answer once, the rest at rising temperatures; `singly`: a
    request an answer."""
    rest = max(0, samples - 1)
    shares = [rest // 3 + (number < rest % 3) for number in range(3)]
    asked = [(0.0, 1), *((t, count) for t, count in zip(_TEMPERATURES, shares, strict=True) if count)]
    return [(t, 1) for t, count in asked for _ in range(count)] if singly else asked


def extra_features(context: ProposalContext) -> tuple[str, ...]:
    """The ISA extensions that a candidate may need beyond the unit's own."""
    return tuple(sorted(context.host_features - context.unit_features)) if context.isa != "same" else ()
