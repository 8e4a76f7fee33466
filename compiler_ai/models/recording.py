"""Recorded answers: one JSON object a line, written as they come, played back without any model.

A line holds the request's key (`base.request_key`), the model's name, the sampling and the answers. Lines that are torn or of
another kind are passed over; of two lines for one request the later one counts.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from compiler_ai.models.base import Answer, Message, Model, ModelError, Sampling, is_name, request_key
from compiler_ai.store.codec import CodecError, from_json, to_json
from compiler_ai.store.errors import StoreError
from compiler_ai.store.files import locked

_MOST_BYTES = 1 << 30


class Recording:
    """The answers in one file, by request; `read_only` ones are never written."""

    def __init__(self, path: Path, read_only: bool = False) -> None:
        """Reads what is there. Raises ModelError for a file that cannot be read, and for one that is missing when `read_only`."""
        self.path = path
        self._answers: dict[str, list[Answer]] = {}
        self.models: tuple[str, ...] = ()
        try:
            if path.stat().st_size > _MOST_BYTES:
                raise ModelError(f"{path}: more than {_MOST_BYTES >> 20} MiB of recorded answers")
            lines = path.read_bytes().split(b"\n")
        except FileNotFoundError:
            if read_only:
                raise ModelError(f"{path}: there is no such file of recorded answers") from None
            lines = []
        except OSError as error:
            raise ModelError(f"{path}: cannot be read: {error.strerror}") from error
        models: dict[str, None] = {}
        for line in lines:
            record = _record(line)
            if record is not None:
                self._answers[record[0]] = record[2]
                models[record[1]] = None
        self.models = tuple(models)
        if read_only and not self._answers:
            raise ModelError(f"{path}: holds no recorded answers")

    def get(self, key: str) -> list[Answer] | None:
        return self._answers.get(key)

    def put(self, key: str, model: str, sampling: Sampling, answers: Sequence[Answer]) -> None:
        """Append a request's answers. Raises ModelError when they cannot be written."""
        if self._answers.get(key) == list(answers):
            return
        self._answers[key] = list(answers)
        value = {"key": key, "model": model, "sampling": asdict(sampling), "answers": [to_json(a) for a in answers]}
        line = f"\n{json.dumps(value, separators=(',', ':'))}\n".encode(errors="backslashreplace")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with locked(self.path), self.path.open("ab") as file:
                file.write(line)
        except (OSError, StoreError) as error:
            raise ModelError(f"{self.path}: answers cannot be recorded: {error}") from error


def _record(line: bytes) -> tuple[str, str, list[Answer]] | None:
    try:
        value = json.loads(line)
        key, model = value["key"], value["model"]
        if not (isinstance(key, str) and isinstance(model, str) and is_name(model)):
            return None
        return key, model, [from_json(Answer, answer) for answer in value["answers"]]
    except (ValueError, KeyError, TypeError, CodecError, RecursionError):
        return None


class ReplayModel:
    """Answers out of a recording; a request that it does not hold is a ModelError."""

    def __init__(self, recording: Recording, name: str) -> None:
        self._recording = recording
        self.name = name

    @staticmethod
    def open(path: Path, name: str) -> ReplayModel:
        """`name` "" means the only model in the file. Raises ModelError."""
        recording = Recording(path, read_only=True)
        if name and name not in recording.models:
            raise ModelError(f"replay:{path}: holds no answers of '{name}', but of {', '.join(recording.models)}")
        if not name and len(recording.models) > 1:
            names = ", ".join(recording.models)
            raise ModelError(
                f"replay:{path}: holds answers of {names}: name one, as in replay:{path}#{recording.models[0]}"
            )
        return ReplayModel(recording, name or recording.models[0])

    def complete(self, messages: Sequence[Message], sampling: Sampling) -> list[Answer]:
        found = self._recording.get(request_key(self.name, messages, sampling))
        if found is None:
            raise ModelError(f"replay:{self._recording.path}: the request was not recorded")
        return found


class RecordedModel:
    """A model whose answers are kept in recordings; what the first of them holds already is not asked again."""

    def __init__(self, model: Model, cache: Recording, copies: Sequence[Recording] = ()) -> None:
        self._model = model
        self._cache = cache
        self._copies = copies
        self.name = model.name

    def complete(self, messages: Sequence[Message], sampling: Sampling) -> list[Answer]:
        key = request_key(self.name, messages, sampling)
        answers = self._cache.get(key)
        if answers is None:
            answers = self._model.complete(messages, sampling)
            self._cache.put(key, self.name, sampling, answers)
        for copy in self._copies:
            copy.put(key, self.name, sampling, answers)
        return answers


def cache_path(directory: Path, spec: str) -> Path:
    """Where the answers of the model `spec` are kept below the cache directory."""
    import hashlib

    safe = "".join(c if c.isalnum() or c in "-_." else "_" for c in spec)[-60:]
    return directory / "answers" / f"{safe}.{hashlib.sha256(os.fsencode(spec)).hexdigest()[:12]}.jsonl"
