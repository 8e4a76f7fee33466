"""Draws: what one proposer said of one function, answer by answer, and the bodies in it."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from compiler_ai.artifacts import Baseline, Candidate, Rejection
from compiler_ai.asm import listing as listing_model
from compiler_ai.models.base import Answer, Message, Model, ModelError, Sampling
from compiler_ai.models.prompting import prompt_hash
from compiler_ai.proposers.answers import AnswerReader
from compiler_ai.proposers.base import ProposalContext
from compiler_ai.proposers.language_model import ModelSettings, extra_features, opening
from compiler_ai.proposers.search import SearchProposer

LEVELS = (1, 4, 16)  # how many samples the rows of the table are for
SEARCH = "search"
_TEMPERATURES = (0.4, 0.7, 1.0)
_TOP_P = 0.95
_AT_ONCE = 16  # requests; what an endpoint allows bounds them too
_SEED_STEP = 1000


@dataclass(frozen=True)
class Draw:
    """One answer: `number` counts from 1. ``copied``: it is GCC's own code. ``failure``: why there is no answer."""

    proposer: str
    function: str
    number: int
    origin: str = ""
    prompt_tokens: int = 0
    answer_tokens: int = 0
    seconds: float = 0.0
    candidates: tuple[Candidate, ...] = ()
    reasons: tuple[str, ...] = ()
    copied: bool = False
    failure: str = ""


@dataclass(frozen=True)
class Request:
    """`count` answers at one temperature; ``seed`` is added to the run's."""

    temperature: float
    count: int
    seed: int


def requests(samples: int, singly: bool = False) -> list[Request]:
    """What to ask for, so that the first 1, 4 and 16 answers each are the likeliest one and others at rising temperatures;
    `singly`: a request an answer."""
    asked = [Request(0.0, 1, 0)]
    before = 1
    for number, level in enumerate(LEVELS[1:]):
        wanted = min(level, samples) - before
        shares = [wanted // 3 + (place < wanted % 3) for place in range(3)]
        asked += [Request(t, share, 10 * number) for t, share in zip(_TEMPERATURES, shares, strict=True) if share > 0]
        before += max(0, wanted)
    if singly:
        return [Request(one.temperature, 1, one.seed + place) for one in asked for place in range(one.count)]
    return asked


def numbered(asked: Sequence[Request]) -> Iterator[tuple[Request, int]]:
    """Each request with the number of answers that are asked for before it."""
    before = 0
    for one in asked:
        yield one, before
        before += one.count


def draw_model(
    model: Model, settings: ModelSettings, project: Path | None, baseline: Baseline, context: ProposalContext
) -> list[Draw]:
    """`settings.samples` draws; a model that cannot answer gives one with the failure."""
    function = baseline.function
    listing = listing_model.parse(baseline.listing_text)
    body = listing.function(function)
    try:
        if body is None:
            raise ModelError("GCC's listing does not define the function")
        begun = opening(settings, project, model.name, baseline, context)
    except ModelError as error:
        return [Draw(model.name, function, 1, failure=str(error))]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        asked = [(one, begun.of(before)) for one, before in numbered(requests(settings.samples, bool(begun.hinted)))]
        answered = list(pool.map(lambda one: _ask(model, settings, one[1], one[0], context.seed), asked))
    draws: list[Draw] = []
    features = extra_features(context)
    with AnswerReader(baseline, listing, body, context, begun.anonymiser, features) as reader:
        for (request, messages), answers in zip(asked, answered, strict=True):
            if isinstance(answers, ModelError):
                draws.append(Draw(model.name, function, len(draws) + 1, failure=str(answers)))
                continue
            for place, one in enumerate(answers):
                seed = context.seed * _SEED_STEP + request.seed + place
                said = f"{model.name}, prompt {prompt_hash(messages)}, temperature {request.temperature:g}, seed {seed}"
                number = len(draws) + 1
                read = reader.read(one, f"m{number}", model.name, said)
                draws.append(
                    Draw(
                        model.name, function, number, said, one.prompt_tokens, one.answer_tokens, one.seconds,
                        read.candidates, read.reasons, read.copied,
                    )
                )  # fmt: skip
    return draws


def _ask(
    model: Model, settings: ModelSettings, messages: Sequence[Message], request: Request, seed: int
) -> list[Answer] | ModelError:
    top_p = _TOP_P if request.temperature else 1.0
    start = seed * _SEED_STEP + request.seed
    try:
        sampling = Sampling(request.temperature, top_p, start, settings.answer_tokens, request.count)
        return model.complete(messages, sampling)
    except ModelError as error:
        return error


def draw_search(baseline: Baseline, context: ProposalContext, samples: int) -> list[Draw]:
    """The search proposer's first bodies, as if each were an answer."""
    draws: list[Draw] = []
    started_s = time.monotonic()
    with closing(SearchProposer().propose(baseline, context)) as offers:  # type: ignore[type-var]  # it is a generator
        for offered in itertools.islice(offers, 4 * samples):
            now_s = time.monotonic()
            if isinstance(offered, Rejection):
                continue
            number = len(draws) + 1
            draws.append(
                Draw(
                    SEARCH, baseline.function, number, offered.origin, seconds=now_s - started_s, candidates=(offered,)
                )
            )
            started_s = now_s
            if len(draws) == samples:
                break
    return draws or [Draw(SEARCH, baseline.function, 1, failure="no other body than GCC's")]
