"""What a language model is to aicc: messages in, answers out, with the tokens that they cost."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Protocol

from compiler_ai.errors import AiccError


class ModelError(AiccError):
    """A model cannot be used or gave no answer; the message is one line for the user: what, where, what to do."""


class SpentError(ModelError):
    """The run's limit of tokens or money is reached; nothing more is asked of any model."""


@dataclass(frozen=True)
class Message:
    """One turn of a conversation; ``role`` is "system", "user" or "assistant"."""

    role: str
    content: str


@dataclass(frozen=True)
class Sampling:
    """How answers are drawn: ``count`` of them, each of at most ``most_tokens``; temperature 0 is the likeliest answer.

    ``patience_s`` is how long a worker waits for them (0: as long as the model takes); it is no part of a request's name.
    """

    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0
    most_tokens: int = 2048
    count: int = 1
    patience_s: float = 0.0


@dataclass(frozen=True)
class Answer:
    """One answer. ``truncated``: it ended at a limit and not by itself."""

    text: str
    prompt_tokens: int = 0
    answer_tokens: int = 0
    truncated: bool = False
    seconds: float = 0.0


class Model(Protocol):
    """A language model; `name` is the same wherever its answers are replayed."""

    @property
    def name(self) -> str: ...

    def complete(self, messages: Sequence[Message], sampling: Sampling) -> list[Answer]:
        """At least one and at most `sampling.count` answers. Raises ModelError."""
        ...


def request_key(model: str, messages: Sequence[Message], sampling: Sampling) -> str:
    """A name for a request that is the same in a repeated run.

    What the judges say of earlier answers is left out of it: it holds measured figures, which no two runs share.
    """
    begun = False
    said = []
    for message in messages:
        begun = begun or message.role == "assistant"
        kept = not begun or message.role == "assistant"
        said.append([message.role, message.content if kept else ""])
    value = json.dumps([model, said, asdict(replace(sampling, patience_s=0.0))], sort_keys=True)
    return hashlib.sha256(value.encode(errors="surrogateescape")).hexdigest()


def is_name(text: str) -> bool:
    """Whether a model may be called so: its name ends up in stored files and on terminals."""
    return 0 < len(text) <= 200 and text.isprintable()
