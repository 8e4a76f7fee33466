"""`-faicc-model=`: which model, and with which limits. Nothing heavy is imported before a model is opened."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from compiler_ai.driver.options import Options
from compiler_ai.models.base import Model, ModelError, is_name

_KINDS = ("hf", "gguf", "openai", "replay")
_FORMS = "hf:DIRECTORY-OR-ID, gguf:FILE, openai:BASE-URL#MODEL or replay:FILE[#MODEL]"


@dataclass(frozen=True)
class ModelSpec:
    """One `-faicc-model=`: ``kind`` is what stands before the first colon, ``location`` the rest without ``#model``."""

    kind: str
    location: str
    model: str
    text: str

    @property
    def in_process(self) -> bool:
        return self.kind in ("hf", "gguf")


@dataclass(frozen=True)
class ModelLimits:
    """Bounds of a run: tokens and money for everything, bytes and seconds for one answer, requests at a time."""

    most_tokens: int = 0  # of prompts and answers together; 0: no limit
    most_cost: float = 0.0  # in the currency of the prices; 0: no limit
    prompt_price: float = 0.0  # per million tokens
    answer_price: float = 0.0
    answer_bytes: int = 1 << 20
    deadline_s: float = 300.0
    concurrency: int = 4
    attempts: int = 4
    answer_tokens: int = 2048


def parse(text: str) -> ModelSpec:
    """Raises ModelError for what is no model."""
    kind, colon, rest = text.partition(":")
    if not colon or kind not in _KINDS or not is_name(rest):
        raise ModelError(f"-faicc-model={text}: not a model: write {_FORMS}")
    location, _, model = rest.partition("#") if kind in ("openai", "replay") else (rest, "", "")
    if kind == "openai":
        if not location.startswith(("http://", "https://")):
            raise ModelError(f"-faicc-model={text}: '{location}' is not a URL: write openai:http://HOST:PORT/v1#MODEL")
        if not model:
            raise ModelError(f"-faicc-model={text}: no model is named: write openai:{location}#MODEL")
    return ModelSpec(kind, location, model, text)


def limits_of(options: Options) -> ModelLimits:
    """The limits that the options ask for; they were checked when they were parsed."""
    values = options.values
    prompt, _, answer = (values["model-price"] or "0").partition("/")
    return ModelLimits(
        most_tokens=int(values["model-tokens"] or 0),
        most_cost=float(values["model-cost"] or 0),
        prompt_price=float(prompt),
        answer_price=float(answer or prompt),
        deadline_s=float(values["model-timeout"] or 300),
        answer_tokens=int(values["model-answer-tokens"] or 2048),
    )


def open_model(spec: ModelSpec, limits: ModelLimits, weights: str = "auto") -> Model:
    """Load or connect to a model; `weights` as of `-faicc-model-weights=`, for those in process. Raises ModelError; takes as long
    as loading takes."""
    if spec.kind == "replay":
        from compiler_ai.models.recording import ReplayModel

        return ReplayModel.open(Path(spec.location), spec.model)
    if spec.kind == "openai":
        from compiler_ai.models.endpoint import EndpointModel

        return EndpointModel(spec, limits)
    from compiler_ai.models.local import LocalModel

    return LocalModel(spec, limits, weights)
