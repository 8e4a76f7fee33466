"""The spending limit of a run: tokens and money, over all models and functions."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from compiler_ai.models.base import Answer, Message, Model, Sampling, SpentError
from compiler_ai.models.spec import ModelLimits

_BYTES_PER_TOKEN = 3  # fewer than any tokenizer needs on average for code, so that an estimate is not too low


class Ledger:
    """Counts what was spent; a request is let through only if its worst case still fits."""

    def __init__(self, limits: ModelLimits) -> None:
        self._limits = limits
        self._lock = threading.Lock()
        self._prompt_tokens = 0
        self._answer_tokens = 0

    @property
    def tokens(self) -> int:
        return self._prompt_tokens + self._answer_tokens

    @property
    def cost(self) -> float:
        return self._cost(self._prompt_tokens, self._answer_tokens)

    def reserve(self, prompt_tokens: int, answer_tokens: int) -> None:
        """Set aside the worst case of a request. Raises SpentError, and then nothing is set aside."""
        limits = self._limits
        with self._lock:
            prompt, answer = self._prompt_tokens + prompt_tokens, self._answer_tokens + answer_tokens
            if limits.most_tokens and prompt + answer > limits.most_tokens:
                raise SpentError(
                    f"the limit of {limits.most_tokens} tokens would be passed ({self.tokens} are spent): "
                    "raise -faicc-model-tokens= to ask for more"
                )
            if limits.most_cost and self._cost(prompt, answer) > limits.most_cost:
                raise SpentError(
                    f"the limit of {limits.most_cost:g} would be passed ({self.cost:.4f} is spent): "
                    "raise -faicc-model-cost= to ask for more"
                )
            self._prompt_tokens, self._answer_tokens = prompt, answer

    def settle(self, reserved: tuple[int, int], spent: tuple[int, int]) -> None:
        """Put what a request really took in place of what was set aside for it."""
        with self._lock:
            self._prompt_tokens += spent[0] - reserved[0]
            self._answer_tokens += spent[1] - reserved[1]

    def _cost(self, prompt_tokens: int, answer_tokens: int) -> float:
        limits = self._limits
        return (prompt_tokens * limits.prompt_price + answer_tokens * limits.answer_price) / 1e6


class MeteredModel:
    """A model that spends from a ledger."""

    def __init__(self, model: Model, ledger: Ledger) -> None:
        self._model = model
        self._ledger = ledger
        self.name = model.name

    def complete(self, messages: Sequence[Message], sampling: Sampling) -> list[Answer]:
        size_bytes = sum(len(message.content.encode(errors="replace")) + 16 for message in messages)
        reserved = (sampling.count * (size_bytes // _BYTES_PER_TOKEN + 1), sampling.count * sampling.most_tokens)
        self._ledger.reserve(*reserved)
        spent = (reserved[0], 0)  # a request that failed was sent, and may be billed
        try:
            answers = self._model.complete(messages, sampling)
            spent = sum(a.prompt_tokens for a in answers), sum(a.answer_tokens for a in answers)
        finally:
            self._ledger.settle(reserved, spent)
        return answers
