"""The outcome of the last tuning run, kept in `.aicc/results.json` for `aicc-tool report` and `explain`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from compiler_ai.artifacts import FunctionResult
from compiler_ai.errors import AiccError
from compiler_ai.store.codec import CodecError, from_json, to_json
from compiler_ai.store.files import write_atomically

_VERSION = 2


class ResultsError(AiccError):
    """There are no results, or they cannot be read."""


def save(project: Path, results: Sequence[FunctionResult]) -> None:
    """Write the results, whole or not at all. Raises StoreError or OSError."""
    value = {"version": _VERSION, "results": [to_json(result) for result in results]}
    write_atomically(project / "results.json", json.dumps(value, indent=1).encode())


def load(project: Path) -> list[FunctionResult]:
    """The last run's results. Raises ResultsError."""
    path = project / "results.json"
    try:
        value = json.loads(path.read_bytes())
        if value["version"] != _VERSION:
            raise ResultsError(f"{path}: version {value['version']} is not known: run 'aicc-tool tune' again")
        return [from_json(FunctionResult, item) for item in value["results"]]
    except FileNotFoundError:
        raise ResultsError("nothing was tuned yet: run 'aicc-tool tune' first") from None
    except (OSError, ValueError, KeyError, TypeError, CodecError, RecursionError) as error:
        raise ResultsError(f"{path}: damaged ({error}): run 'aicc-tool tune' again") from error
