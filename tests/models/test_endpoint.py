"""An endpoint, whatever it does: an answer or one clear line, within the limits."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from openai_server import Server, serving

from compiler_ai.models.base import Message, ModelError, Sampling, SpentError
from compiler_ai.models.endpoint import EndpointModel
from compiler_ai.models.spec import ModelLimits, parse
from compiler_ai.models.spending import Ledger, MeteredModel

ASKED = [Message("user", "faster, please")]


@pytest.fixture
def server() -> Iterator[Server]:
    with serving(lambda messages: f"answer to {messages[-1]['content']}") as running:
        yield running


def model(
    server: Server, name: str, limits: ModelLimits | None = None, waits: list[float] | None = None
) -> EndpointModel:
    slept = waits if waits is not None else []
    return EndpointModel(parse(f"openai:{server.url}#{name}"), limits or ModelLimits(), slept.append)


def test_answers_come_with_their_tokens(server: Server) -> None:
    answers = model(server, "good").complete(ASKED, Sampling(0.7, 0.9, 5, 64, 3))
    assert [one.text for one in answers] == ["answer to faster, please"] * 3
    assert {(one.prompt_tokens, one.answer_tokens, one.truncated) for one in answers} == {(100, 6, False)}
    asked = [(one["temperature"], one["top_p"], one["max_tokens"], one["stream"]) for one in server.requests]
    assert asked == [(0.7, 0.9, 64, True)] * 3
    assert sorted(one["seed"] for one in server.requests) == [5, 6, 7]


def test_an_answer_that_was_cut_says_so(server: Server) -> None:
    assert model(server, "cut").complete(ASKED, Sampling())[0].truncated


@pytest.mark.parametrize(
    ("name", "words", "requests"),
    [
        ("unauthorised", "401.*AICC_MODEL_KEY", 1),
        ("unknown", "404.*check the URL", 1),
        ("broken", r"500 \(4 attempts\)", 4),
        ("busy", r"429 \(4 attempts\)", 4),
        ("half", "breaks off", 4),
        ("page", "without a finish reason", 4),
    ],
)
def test_what_goes_wrong_is_one_line(server: Server, name: str, words: str, requests: int) -> None:
    with pytest.raises(ModelError, match=words) as raised:
        model(server, name).complete(ASKED, Sampling())
    assert str(raised.value).startswith(f"openai:{server.url}#{name}: ")
    assert str(raised.value).isprintable()
    assert len(server.requests) == requests


def test_a_busy_endpoint_is_asked_again_later(server: Server) -> None:
    waits: list[float] = []
    assert model(server, "busy-once", waits=waits).complete(ASKED, Sampling())
    assert len(waits) == 1


def test_waits_grow(server: Server) -> None:
    waits: list[float] = []
    with pytest.raises(ModelError):
        model(server, "broken", waits=waits).complete(ASKED, Sampling())
    assert len(waits) == 3
    assert waits[0] < waits[1] < waits[2]


@pytest.mark.parametrize("name", ["huge", "huge-line"])
def test_an_answer_of_10_mb_is_cut_off(server: Server, name: str) -> None:
    with pytest.raises(ModelError, match="longer than"):
        model(server, name, ModelLimits(answer_bytes=50_000)).complete(ASKED, Sampling())
    assert len(server.requests) == 1


@pytest.mark.parametrize("name", ["endless", "drip", "silent"])
def test_a_stream_without_an_end_is_left_at_the_deadline(server: Server, name: str) -> None:
    started_s = time.monotonic()
    with pytest.raises(ModelError, match="1 s"):
        model(server, name, ModelLimits(deadline_s=1.0, answer_bytes=1 << 30)).complete(ASKED, Sampling())
    assert time.monotonic() - started_s < 60
    assert len(server.requests) == 1


def test_a_server_that_is_down_is_not_asked_for_ever() -> None:
    with serving() as gone:
        pass
    waits: list[float] = []
    dead = model(gone, "good", waits=waits)
    for _ in range(2):
        with pytest.raises(ModelError, match="is the server running"):
            dead.complete(ASKED, Sampling())
    assert len(waits) == 3  # the second request fails at once


def test_what_arrived_counts_though_other_answers_failed(server: Server) -> None:
    replies = iter(["one", "two"])
    server.reply = lambda _messages: next(replies)  # the third request ends without an answer
    answers = model(server, "good", ModelLimits(attempts=1)).complete(ASKED, Sampling(count=3))
    assert sorted(one.text for one in answers) == ["one", "two"]


def test_openais_own_key_goes_to_openai_only(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    model(server, "good").complete(ASKED, Sampling())
    monkeypatch.setenv("AICC_MODEL_KEY", "meant")
    model(server, "good").complete(ASKED, Sampling())
    assert server.keys == ["Bearer none", "Bearer meant"]


def test_the_limit_of_tokens_stops_a_run_before_it_is_passed(server: Server) -> None:
    ledger = Ledger(ModelLimits(most_tokens=300))
    metered = MeteredModel(model(server, "good"), ledger)
    metered.complete(ASKED, Sampling(most_tokens=150))
    assert ledger.tokens == 106
    with pytest.raises(SpentError, match="-faicc-model-tokens"):
        metered.complete(ASKED, Sampling(most_tokens=250))
    assert len(server.requests) == 1


def test_the_limit_of_money_counts_prompts_and_answers_at_their_prices(server: Server) -> None:
    ledger = Ledger(ModelLimits(most_cost=0.01, prompt_price=50.0, answer_price=100.0))
    metered = MeteredModel(model(server, "good"), ledger)
    metered.complete(ASKED, Sampling(most_tokens=50))
    assert ledger.cost == pytest.approx((100 * 50 + 6 * 100) / 1e6)
    with pytest.raises(SpentError, match="-faicc-model-cost"):
        metered.complete(ASKED, Sampling(most_tokens=100))
