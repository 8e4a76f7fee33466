"""Real weights, in process and behind llama.cpp's server: what they say is their own, how it is handled is not."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from compiler_ai.models.base import Message, Sampling
from compiler_ai.models.spec import ModelLimits, open_model, parse

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benchmarks" / "models"))
from serving import fetched, serving  # noqa: E402

pytestmark = [pytest.mark.full, pytest.mark.timeout(3600)]
ASKED = [Message("user", "Which register holds the first integer argument in the System V AMD64 ABI? Its name only.")]


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the weights are kept: AICC_TEST_WEIGHTS names one that lasts."""
    return Path(os.environ.get("AICC_TEST_WEIGHTS") or tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="module")
def served(directory: Path) -> Iterator[str]:
    with serving("small", directory, 8461) as model:
        yield model


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("project") / "kernels"
    shutil.copytree(ROOT / "examples" / "kernels", made)
    for words in (["aicc-tool", "init"], ["make", "CC=aicc"], ["aicc-tool", "profile", "--", "./kernels", "60"]):
        subprocess.run(words, cwd=made, check=True, capture_output=True)
    return made


def counted(project: Path, model: str, output: Path, cache: Path) -> list[dict[str, object]]:
    """The table's rows without what is measured."""
    words = [
        "aicc-tool",
        "bench",
        "models",
        "--functions",
        "count_bits",
        "--no-search",
        "--samples",
        "4",
        "--model",
        model,
    ]
    words += ["--output", str(output), "--", "-faicc-model-prompt=c", "-faicc-model-answer-tokens=300"]
    words += ["-faicc-model-timeout=1800"]
    subprocess.run(words, cwd=project, env={**os.environ, "AICC_CACHE": str(cache)}, check=True, capture_output=True)
    measured = ("seconds", "speedup", "gain", "faster", "faster_functions")
    rows = json.loads((output / "table.json").read_text())["rows"]
    return [{name: value for name, value in row.items() if name not in measured} for row in rows]


def test_a_served_model_is_judged_and_its_recording_says_the_same(project: Path, served: str, tmp_path: Path) -> None:
    first = counted(project, served, tmp_path / "first", tmp_path / "cache")
    (four,) = [row for row in first if row["samples"] == 4]
    assert four["answered"] == 4
    assert int(str(four["tokens"])) > 4 * 50
    model = f"replay:{tmp_path / 'first' / 'answers.jsonl'}"
    assert counted(project, model, tmp_path / "again", tmp_path / "other") == first


@pytest.mark.parametrize("kind", ["gguf", "openai"])
def test_an_answer_is_one(kind: str, served: str, directory: Path) -> None:
    text = served if kind == "openai" else f"gguf:{fetched('small', directory)}"
    (answer,) = open_model(parse(text), ModelLimits(deadline_s=1200)).complete(ASKED, Sampling(most_tokens=16))
    assert "register" in answer.text.lower()
    assert answer.prompt_tokens > 20
    assert 1 <= answer.answer_tokens <= 16
