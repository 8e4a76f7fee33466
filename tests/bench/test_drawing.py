"""What is asked for, and what is read out of the answers."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from compiler_ai.toolchains.x86_64 import X86_64

from compiler_ai.artifacts import Baseline, CompileCommand
from compiler_ai.bench.drawing import Draw, draw_model, numbered, requests
from compiler_ai.models.base import Answer, Message, ModelError, Sampling
from compiler_ai.models.recording import RecordedModel, Recording, ReplayModel
from compiler_ai.proposers.base import ProposalContext
from compiler_ai.proposers.language_model import ModelSettings

OTHER = "```assembly\ntwice:\n\tmovl\t%edi, %eax\n\taddl\t%eax, %eax\n\tret\n```"
COPY = "```assembly\ntwice:\n\tleal\t(%rdi,%rdi), %eax\n\tret\n```"


class ByTemperature:
    """The likeliest answer copies, warm ones do not, the hottest are prose; `broken` says at which it cannot answer."""

    name = "by temperature"

    def __init__(self, broken: float = -1.0) -> None:
        self._broken = broken

    def complete(self, _messages: Sequence[Message], sampling: Sampling) -> list[Answer]:
        if sampling.temperature == self._broken:
            raise ModelError("it is down")
        text = COPY if sampling.temperature == 0 else OTHER if sampling.temperature < 1 else "No."
        return [Answer(text, 100, 20, seconds=0.5)] * sampling.count


@pytest.fixture
def baseline(tmp_path: Path) -> Baseline:
    source = tmp_path / "unit.c"
    source.write_text("int twice(int x) { return 2 * x; }\n")
    subprocess.run(["gcc", "-O2", "-S", "unit.c"], cwd=tmp_path, check=True)
    command = CompileCommand(("gcc",), ("-O2",), str(source), str(tmp_path / "unit.o"), str(tmp_path), X86_64.name)
    return Baseline("twice", command, (tmp_path / "unit.s").read_text(), "key", 4)


def draws(baseline: Baseline, model: ByTemperature | RecordedModel | ReplayModel, samples: int = 4) -> list[Draw]:
    return draw_model(model, ModelSettings(samples=samples), None, baseline, ProposalContext(X86_64))


@pytest.mark.parametrize("samples", [1, 4, 16])
def test_the_first_answers_are_a_schedule_of_their_own(samples: int) -> None:
    asked = [one.temperature for one in requests(samples) for _ in range(one.count)]
    assert len(asked) == samples
    assert asked[:4] == [0.0, 0.4, 0.7, 1.0][:samples]
    assert all(asked.count(t) == 5 for t in (0.4, 0.7, 1.0)) or samples < 16


def test_no_two_answers_of_one_temperature_have_the_same_seed() -> None:
    seeds = [(one.temperature, one.seed + place) for one in requests(16) for place in range(one.count)]
    assert len(set(seeds)) == 16


def test_with_hints_every_answer_is_a_request_of_its_own() -> None:
    assert [(one.temperature, one.seed) for one in requests(16, singly=True)] == [
        (one.temperature, one.seed + place) for one in requests(16) for place in range(one.count)
    ]
    assert [before for _, before in numbered(requests(16))] == [0, 1, 2, 3, 4, 8, 12]


def test_an_answer_is_a_copy_a_body_or_a_reason(baseline: Baseline) -> None:
    copy, first, second, prose = draws(baseline, ByTemperature())
    assert copy.copied
    assert not copy.candidates
    assert [len(one.candidates) for one in (first, second)] == [1, 1]
    assert "no assembly" in prose.reasons[0]
    assert [one.number for one in (copy, first, second, prose)] == [1, 2, 3, 4]
    assert (first.prompt_tokens, first.answer_tokens, first.seconds) == (100, 20, 0.5)
    assert "temperature 0.4" in first.candidates[0].origin


def test_a_request_that_fails_leaves_the_others(baseline: Baseline) -> None:
    found = draws(baseline, ByTemperature(broken=0.7))
    assert [one.failure for one in found] == ["", "", "it is down", ""]


def test_a_recording_gives_the_same_draws(baseline: Baseline, tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    first = draws(baseline, RecordedModel(ByTemperature(), Recording(path)))
    assert draws(baseline, ReplayModel.open(path, "")) == first
