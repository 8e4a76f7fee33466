"""The outcome of the last tuning run, kept in `.aicc/results.json` for `aicc-tool report` and `explain`."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from compiler_ai.artifacts import FunctionResult
from compiler_ai.errors import AiccError
from compiler_ai.store.codec import CodecError, from_json, to_json
from compiler_ai.store.files import write_atomically

_VERSION = 2
_T = TypeVar("_T")


class ResultsError(AiccError):
    """There are no results, or they cannot be read."""


def save(
    project: Path, results: Sequence[FunctionResult], left_alone: Mapping[str, str], unfinished: Sequence[str] = ()
) -> None:
    """Write the results, whole or not at all, why which functions were `left_alone`, and which are `unfinished`: nobody may be
    there to say so later. Raises StoreError or OSError."""
    value = {
        "version": _VERSION,
        "results": [to_json(one) for one in results],
        "left_alone": dict(left_alone),
        "unfinished": list(unfinished),
    }
    write_atomically(project / "results.json", json.dumps(value, indent=1).encode())


def load(project: Path) -> list[FunctionResult]:
    """The last run's results. Raises ResultsError."""
    return _loaded(project, lambda value: [from_json(FunctionResult, item) for item in value["results"]])


def left_alone(project: Path) -> dict[str, str]:
    """Why the last run left functions alone, by their names. Raises ResultsError."""
    return _loaded(project, lambda value: {str(name): str(why) for name, why in value.get("left_alone", {}).items()})


def unfinished(project: Path) -> list[str]:
    """The functions that the last run has not come to the end of. Raises ResultsError."""
    return _loaded(project, lambda value: [str(name) for name in value.get("unfinished", [])])


def why_unfinished(names: Sequence[str]) -> str:
    """A line about functions that are `unfinished`; "" for none."""
    if not names:
        return ""
    return (
        f"not finished: {', '.join(names)}: the last tuning was stopped before, or still runs; what it tried is remembered, "
        "and the same command again goes on"
    )


def _loaded(project: Path, read: Callable[[dict[str, Any]], _T]) -> _T:
    path = project / "results.json"
    try:
        value = json.loads(path.read_bytes())
        if value["version"] != _VERSION:
            raise ResultsError(f"{path}: version {value['version']} is not known: run 'aicc-tool tune' again")
        return read(value)
    except FileNotFoundError:
        raise ResultsError("nothing was tuned yet: run 'aicc-tool tune' first") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, CodecError, RecursionError) as error:
        raise ResultsError(f"{path}: damaged ({error}): run 'aicc-tool tune' again") from error
