"""transformers in process: a local directory, a hub id or a GGUF file, on CUDA where there is one, else on the CPU.

Answers to all requests that wait are drawn as a batch; where the memory does not suffice, in halves of it.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compiler_ai.driver.host import features
from compiler_ai.models.base import Answer, Message, ModelError, Sampling
from compiler_ai.models.batch import Row, draw
from compiler_ai.models.spec import ModelLimits, ModelSpec

_TOGETHER_S = 0.05  # requests that come within are answered together
_MOST_TOKENS = 1 << 16  # of prompts and answers at once: some gigabytes of keys and values


class LocalModel:
    """Weights in this process. Loading raises ModelError with what is wrong with them."""

    def __init__(self, spec: ModelSpec, limits: ModelLimits, weights: str = "auto") -> None:
        try:
            import torch
            import transformers
        except ImportError as error:
            raise ModelError(
                f"{spec.text}: {error.name or 'transformers'} is missing: pip install 'aicc[transformers]'"
            ) from None
        self.name = Path(spec.location).name if spec.kind == "gguf" or Path(spec.location).exists() else spec.location
        self._text = spec.text
        self._torch: Any = torch
        self._transformers: Any = transformers
        self._limits = limits
        self._waiting: deque[_Request] = deque()
        self._lock = threading.Lock()  # one batch at a time: the cores or the card are busy with it anyway
        where, options = _place(spec)
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        try:
            options |= self._held(weights)
            tokenizer_options = {key: value for key, value in options.items() if key == "gguf_file"}
            self._tokenizer: Any = transformers.AutoTokenizer.from_pretrained(where, **tokenizer_options)
            self._model: Any = transformers.AutoModelForCausalLM.from_pretrained(where, **options)
            if "device_map" not in options:
                self._model.to(self._device)
            self._model.eval()
            self._ends = _ends(self._model, self._tokenizer.eos_token_id)
        except torch.cuda.OutOfMemoryError:
            raise ModelError(f"{spec.text}: the weights do not fit into the GPU's memory") from None
        except Exception as error:  # every kind of damage has an exception of its own in the libraries below
            raise ModelError(
                f"{spec.text}: cannot be loaded: {type(error).__name__}: {_one_line(str(error))}"
            ) from None

    def _held(self, weights: str) -> dict[str, Any]:
        """What from_pretrained gets for weights that are held so; "auto": bf16 where the hardware computes in it."""
        torch = self._torch
        short = weights != "float32" and (weights != "auto" or _computes_in_bf16(torch, self._device))
        options: dict[str, Any] = {"dtype": torch.bfloat16 if short else torch.float32}
        if weights == "4bit":
            options["quantization_config"] = self._transformers.BitsAndBytesConfig(
                load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.bfloat16
            )
            options["device_map"] = self._device  # they are made small while they are loaded
        return options

    def complete(self, messages: Sequence[Message], sampling: Sampling) -> list[Answer]:
        count = sampling.count if sampling.temperature > 0 else 1
        prompt = self._tokens(messages)
        request = _Request([Row(prompt, sampling, sampling.seed + number) for number in range(count)])
        self._waiting.append(request)
        with self._lock:
            while not request.done:
                time.sleep(_TOGETHER_S)
                self._answer(_taken(self._waiting))
        if request.error is not None:
            raise request.error
        answers = [self._read(row, request.seconds) for row in request.rows]
        return answers * sampling.count if sampling.temperature <= 0 else answers

    def _answer(self, requests: Sequence[_Request]) -> None:
        """Draw the answers to all of these requests, or give them the error that comes of it."""
        begun_s = time.monotonic()
        rows = [row for request in requests for row in request.rows]
        error: Exception | None = None
        try:
            self._draw(rows, begun_s + self._limits.deadline_s)
        except Exception as raised:
            error = raised
        for request in requests:
            request.seconds = round((time.monotonic() - begun_s) / len(rows), 3)
            request.error, request.done = error, True

    def _draw(self, rows: Sequence[Row], deadline_s: float) -> None:
        try:
            draw(self._torch, self._model, rows, self._ends, deadline_s)
        except self._torch.cuda.OutOfMemoryError:
            self._torch.cuda.empty_cache()
            if len(rows) == 1:
                raise ModelError(f"{self._text}: one answer does not fit into the GPU's memory") from None
            for row in rows:
                row.drawn.clear()
                row.ended = False
            for half in (rows[: len(rows) // 2], rows[len(rows) // 2 :]):
                self._draw(half, deadline_s)

    def _tokens(self, messages: Sequence[Message]) -> tuple[int, ...]:
        said = [{"role": message.role, "content": message.content} for message in messages]
        if getattr(self._tokenizer, "chat_template", None):
            text = self._tokenizer.apply_chat_template(said, tokenize=False, add_generation_prompt=True)
        else:
            text = "\n\n".join(message.content for message in messages) + "\n"
        tokens = tuple(self._tokenizer(text, add_special_tokens=False)["input_ids"])
        longest = getattr(self._model.config, "max_position_embeddings", 0)
        if longest and len(tokens) >= longest:
            raise ModelError(
                f"{self._text}: the prompt of {len(tokens)} tokens is longer than the context of {longest}"
            )
        return tokens

    def _read(self, row: Row, seconds: float) -> Answer:
        text = self._tokenizer.decode(row.drawn, skip_special_tokens=True)
        return Answer(text, len(row.prompt), len(row.drawn), not row.ended, seconds)


@dataclass
class _Request:
    """Rows that wait for their answers; `seconds` is one row's share of the time."""

    rows: list[Row]
    done: bool = False
    error: Exception | None = None
    seconds: float = 0.0

    @property
    def tokens(self) -> int:
        return sum(len(row.prompt) + row.sampling.most_tokens for row in self.rows)


def _taken(waiting: deque[_Request]) -> list[_Request]:
    """The requests that are answered together: the one that has waited longest, and more as long as there is memory for them."""
    taken = [waiting.popleft()]
    size = taken[0].tokens
    while waiting and size + waiting[0].tokens <= _MOST_TOKENS:
        taken.append(waiting.popleft())
        size += taken[-1].tokens
    return taken


def _computes_in_bf16(torch: Any, device: str) -> bool:
    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    return "avx512bf16" in features()


def _place(spec: ModelSpec) -> tuple[str, dict[str, Any]]:
    """What from_pretrained gets. Raises ModelError for a file that is not there or no GGUF."""
    if spec.kind == "hf":
        path = Path(spec.location)
        if spec.location.startswith(("/", "./", "../", "~")) and not path.expanduser().is_dir():
            raise ModelError(f"{spec.text}: there is no such directory")
        return str(path.expanduser()) if path.expanduser().is_dir() else spec.location, {}
    path = Path(spec.location).expanduser()
    try:
        with path.open("rb") as file:
            magic = file.read(4)
    except OSError as error:
        raise ModelError(f"{spec.text}: {error.strerror}") from None
    if magic != b"GGUF":
        raise ModelError(f"{spec.text}: is no GGUF file")
    return str(path.parent), {"gguf_file": path.name}


def _ends(model: Any, end: Any) -> frozenset[int]:
    """Every token that ends an answer: chat models have several."""
    return frozenset({*_as_list(getattr(model.generation_config, "eos_token_id", None)), *_as_list(end)})


def _as_list(value: Any) -> list[int]:
    if value is None:
        return []
    return [int(one) for one in value] if isinstance(value, list | tuple) else [int(value)]


def _one_line(text: str) -> str:
    return " ".join(text.split())[:300]
