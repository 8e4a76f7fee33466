"""Recorded answers are played back as they came; the cache spares a request that was made before."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from compiler_ai.models.base import Answer, Message, ModelError, Sampling, request_key
from compiler_ai.models.recording import RecordedModel, Recording, ReplayModel

ASKED = [Message("system", "be quick"), Message("user", "faster, please")]


class Counting:
    """A model that answers with the number of the request."""

    def __init__(self, name: str = "counting") -> None:
        self.name = name
        self.requests = 0

    def complete(self, _messages: Sequence[Message], sampling: Sampling) -> list[Answer]:
        self.requests += 1
        return [Answer(f"answer {self.requests}.{n}\n\udce4", 10, 5, n == 1, 0.5) for n in range(sampling.count)]


def test_a_request_that_was_made_before_costs_nothing(tmp_path: Path) -> None:
    model = Counting()
    first = RecordedModel(model, Recording(tmp_path / "cache.jsonl")).complete(ASKED, Sampling(count=2))
    again = RecordedModel(model, Recording(tmp_path / "cache.jsonl"))
    assert again.complete(ASKED, Sampling(count=2)) == first
    assert model.requests == 1
    again.complete(ASKED, Sampling(count=2, seed=1))
    assert model.requests == 2


def test_a_replay_is_the_run_again(tmp_path: Path) -> None:
    copy = Recording(tmp_path / "copy.jsonl")
    recorded = RecordedModel(Counting(), Recording(tmp_path / "cache.jsonl"), [copy])
    answers = [recorded.complete(ASKED, Sampling(temperature, count=3)) for temperature in (0.0, 0.7)]
    played = ReplayModel.open(tmp_path / "copy.jsonl", "")
    assert played.name == "counting"
    assert [played.complete(ASKED, Sampling(temperature, count=3)) for temperature in (0.0, 0.7)] == answers
    with pytest.raises(ModelError, match="not recorded"):
        played.complete(ASKED, Sampling(0.9))


def test_what_the_cache_knew_is_in_the_copy_too(tmp_path: Path) -> None:
    RecordedModel(Counting(), Recording(tmp_path / "cache.jsonl")).complete(ASKED, Sampling())
    model = Counting()
    copying = RecordedModel(model, Recording(tmp_path / "cache.jsonl"), [Recording(tmp_path / "copy.jsonl")])
    copying.complete(ASKED, Sampling())
    assert model.requests == 0
    assert ReplayModel.open(tmp_path / "copy.jsonl", "").complete(ASKED, Sampling())


def test_measured_figures_in_what_judges_say_do_not_make_another_request() -> None:
    def key(said: str, answer: str = "ret") -> str:
        return request_key("m", [*ASKED, Message("assistant", answer), Message("user", said)], Sampling())

    assert key("0.98 times") == key("0.97 times")
    assert key("0.98 times") != key("0.98 times", "nop")
    assert request_key("m", ASKED, Sampling()) != request_key("n", ASKED, Sampling())
    assert request_key("m", ASKED, Sampling()) != request_key("m", ASKED[1:], Sampling())


def test_torn_lines_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "cache.jsonl"
    RecordedModel(Counting(), Recording(path)).complete(ASKED, Sampling())
    whole = path.read_bytes()
    path.write_bytes(b'{"key": 1}\n[]\n\xff\n' + whole + whole[: len(whole) // 2])
    assert ReplayModel.open(path, "").complete(ASKED, Sampling())
    RecordedModel(Counting(), Recording(path)).complete(ASKED, Sampling(seed=9))
    assert ReplayModel.open(path, "").complete(ASKED, Sampling(seed=9))


@pytest.mark.parametrize(
    ("content", "name", "words"),
    [
        (None, "", "there is no such file"),
        (b"", "", "holds no recorded answers"),
        (b"two", "", "name one"),
        (b"two", "third", "holds no answers of 'third', but of first, second"),
    ],
)
def test_what_cannot_be_replayed_is_one_line(tmp_path: Path, content: bytes | None, name: str, words: str) -> None:
    path = tmp_path / "answers.jsonl"
    if content == b"two":
        for model in ("first", "second"):
            RecordedModel(Counting(model), Recording(path)).complete(ASKED, Sampling())
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(ModelError, match=words):
        ReplayModel.open(path, name)
