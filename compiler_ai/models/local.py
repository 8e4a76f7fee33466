"""transformers in process: a local directory, a hub id or a GGUF file, on CUDA where there is one, else on the CPU.

Answers of one request are drawn as a batch; where the memory does not suffice, in halves of it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from compiler_ai.models.base import Answer, Message, ModelError, Sampling
from compiler_ai.models.spec import ModelLimits, ModelSpec


class LocalModel:
    """Weights in this process. Loading raises ModelError with what is wrong with them."""

    def __init__(self, spec: ModelSpec, limits: ModelLimits) -> None:
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
        self._lock = threading.Lock()  # one batch at a time: the cores or the card are busy with it anyway
        where, options = _place(spec)
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        options["dtype"] = (
            torch.bfloat16 if self._device == "cuda" and torch.cuda.is_bf16_supported() else torch.float32
        )
        try:
            tokenizer_options = {key: value for key, value in options.items() if key == "gguf_file"}
            self._tokenizer: Any = transformers.AutoTokenizer.from_pretrained(where, **tokenizer_options)
            self._model: Any = transformers.AutoModelForCausalLM.from_pretrained(where, **options)
            self._model.to(self._device).eval()
        except torch.cuda.OutOfMemoryError:
            raise ModelError(f"{spec.text}: the weights do not fit into the GPU's memory") from None
        except Exception as error:  # every kind of damage has an exception of its own in the libraries below
            raise ModelError(
                f"{spec.text}: cannot be loaded: {type(error).__name__}: {_one_line(str(error))}"
            ) from None

    def complete(self, messages: Sequence[Message], sampling: Sampling) -> list[Answer]:
        with self._lock:
            started_s = time.monotonic()
            prompt = self._prompt(messages)
            answers: list[Answer] = []
            batch = sampling.count
            while len(answers) < sampling.count:
                batch = min(batch, sampling.count - len(answers))
                self._torch.manual_seed(sampling.seed + len(answers))
                try:
                    answers += self._generate(prompt, sampling, batch, started_s + self._limits.deadline_s)
                except self._torch.cuda.OutOfMemoryError:
                    self._torch.cuda.empty_cache()
                    if batch == 1:
                        raise ModelError(f"{self._text}: one answer does not fit into the GPU's memory") from None
                    batch //= 2
                if time.monotonic() - started_s > self._limits.deadline_s:
                    break
            return answers

    def _prompt(self, messages: Sequence[Message]) -> Any:
        said = [{"role": message.role, "content": message.content} for message in messages]
        if getattr(self._tokenizer, "chat_template", None):
            text = self._tokenizer.apply_chat_template(said, tokenize=False, add_generation_prompt=True)
        else:
            text = "\n\n".join(message.content for message in messages) + "\n"
        tokens = self._tokenizer(text, return_tensors="pt", add_special_tokens=False)
        longest = getattr(self._model.config, "max_position_embeddings", 0)
        length = int(tokens["input_ids"].shape[1])
        if longest and length >= longest:
            raise ModelError(f"{self._text}: the prompt of {length} tokens is longer than the context of {longest}")
        return tokens.to(self._device)

    def _generate(self, prompt: Any, sampling: Sampling, count: int, deadline_s: float) -> list[Answer]:
        begun_s = time.monotonic()
        length = int(prompt["input_ids"].shape[1])
        drawn: dict[str, Any] = {"do_sample": False}
        if sampling.temperature > 0:
            drawn = {"do_sample": True, "temperature": sampling.temperature, "top_p": sampling.top_p, "top_k": 0}
        end = self._tokenizer.eos_token_id
        config = self._transformers.GenerationConfig(
            max_new_tokens=sampling.most_tokens,
            num_return_sequences=count if sampling.temperature > 0 else 1,
            max_time=max(0.1, deadline_s - begun_s),
            pad_token_id=self._tokenizer.pad_token_id if self._tokenizer.pad_token_id is not None else end,
            eos_token_id=_ends(self._model, end),
            **drawn,
        )
        with self._torch.inference_mode():
            output = self._model.generate(**prompt, generation_config=config)
        seconds = round((time.monotonic() - begun_s) / len(output), 3)
        answers = []
        for row in output:
            tokens = row[length:].tolist()
            stops = [number for number, token in enumerate(tokens) if token in _as_list(config.eos_token_id)]
            used = tokens[: stops[0] + 1] if stops else tokens
            text = self._tokenizer.decode(used, skip_special_tokens=True)
            answers.append(Answer(text, length, len(used), not stops, seconds))
        return answers * count if sampling.temperature <= 0 else answers


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


def _ends(model: Any, end: Any) -> Any:
    """Every token that ends an answer: chat models have several."""
    own = getattr(model.generation_config, "eos_token_id", None)
    return sorted({*_as_list(own), *_as_list(end)}) or None


def _as_list(value: Any) -> list[int]:
    if value is None:
        return []
    return [int(one) for one in value] if isinstance(value, list | tuple) else [int(value)]


def _one_line(text: str) -> str:
    return " ".join(text.split())[:300]
