"""The dataset format of SuperCoder (arXiv 2505.11480): a parquet file, one program a row.

Of the columns, `extra_info` counts: a struct of `question` (the prompt, with C source and gcc -O3 assembly), `inputs` and `outputs`
(standard input and the expected standard output of each test) and `unoptimized_assembly`, which is what gcc -O3 made.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compiler_ai.errors import AiccError

MOST_TESTS = 10  # of a program, as published
_FIELDS = ("inputs", "outputs", "unoptimized_assembly")


class DatasetError(AiccError):
    """The file is no such dataset; the message is one line: what, where, what to do."""


@dataclass(frozen=True)
class Problem:
    """One program: its prompt, GCC's assembly, and tests as pairs of input and expected output."""

    number: int
    question: str
    assembly: str
    tests: tuple[tuple[bytes, bytes], ...]


def load(path: Path, most: int = 0) -> list[Problem]:
    """The first `most` problems (0: all). Raises DatasetError."""
    try:
        from pyarrow import ArrowException, parquet
    except ImportError:
        raise DatasetError("the pyarrow package is missing: pip install 'aicc[bench]'") from None
    try:
        rows = parquet.read_table(path).to_pylist()
    except FileNotFoundError:
        raise DatasetError(f"{path}: there is no such file") from None
    except (ArrowException, OSError, ValueError) as error:
        raise DatasetError(f"{path}: cannot be read as parquet: {' '.join(str(error).split())[:200]}") from None
    found = [_problem(path, number, row) for number, row in enumerate(rows[: most or None])]
    if not found:
        raise DatasetError(f"{path}: holds no programs")
    return found


def _problem(path: Path, number: int, row: dict[str, Any]) -> Problem:
    info = row.get("extra_info")
    if not isinstance(info, dict) or any(info.get(field) is None for field in _FIELDS):
        raise DatasetError(f"{path}: row {number} has no extra_info with {', '.join(_FIELDS)}")
    question = info.get("question") or _first_prompt(row)
    texts = [question, info["unoptimized_assembly"], *info["inputs"], *info["outputs"]]
    if not question or not all(isinstance(text, str) for text in texts):
        raise DatasetError(f"{path}: row {number} has no question, or one of its tests is no text")
    inputs, outputs = info["inputs"][:MOST_TESTS], info["outputs"][:MOST_TESTS]
    if not inputs or len(inputs) != len(outputs):
        raise DatasetError(f"{path}: row {number} has {len(inputs)} inputs and {len(outputs)} outputs")
    tests = tuple((given.encode(), wanted.encode()) for given, wanted in zip(inputs, outputs, strict=True))
    return Problem(number, question, unfenced(info["unoptimized_assembly"]), tests)


def _first_prompt(row: dict[str, Any]) -> Any:
    prompt = row.get("prompt")
    return prompt[0].get("content") if isinstance(prompt, list) and prompt and isinstance(prompt[0], dict) else None


def unfenced(text: str) -> str:
    """What stands in the last ```assembly block, as published; the whole text when there is none."""
    _, fence, rest = text.rpartition("```assembly")
    return (rest.rpartition("```")[0] if "```" in rest else rest).strip("\n") + "\n" if fence else text
