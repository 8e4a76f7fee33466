"""The process that holds a run's models: one for all workers, gone with the run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from openai_server import Server, serving

from compiler_ai.driver import options
from compiler_ai.models.base import Message, ModelError, Sampling, SpentError
from compiler_ai.models.host import HostedModel, hosting

ASKED = [Message("user", "faster, please")]


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as running:
        yield running


def parsed(*flags: str) -> options.Options:
    return options.parse(list(flags), {})[0]


def children() -> set[int]:
    """The processes that this one has started and that run."""
    found = set()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            words = (entry / "cmdline").read_bytes()
        except OSError:
            continue  # it has ended
        if int(fields[1]) == os.getpid() and fields[0] != "Z" and b"spawn_main" in words:
            found.add(int(entry.name))
    return found


def test_workers_share_one_limit_and_one_record(server: Server, tmp_path: Path) -> None:
    record = tmp_path / "record.jsonl"
    text = f"openai:{server.url}#good"
    flags = (f"-faicc-model={text}", "-faicc-model-tokens=700", f"-faicc-model-record={record}")
    with hosting(parsed(*flags), tmp_path / "cache", tmp_path):
        first, second = HostedModel(tmp_path, text), HostedModel(tmp_path, text)
        assert first.name == "good"
        answers = first.complete(ASKED, Sampling(most_tokens=500))
        assert second.complete(ASKED, Sampling(most_tokens=500)) == answers
        with pytest.raises(SpentError):
            second.complete(ASKED, Sampling(most_tokens=600, seed=1))
    assert len(server.requests) == 1
    with hosting(parsed(f"-faicc-model=replay:{record}"), tmp_path / "cache", tmp_path):
        played = HostedModel(tmp_path, f"replay:{record}")
        assert played.name == "good"
        assert played.complete(ASKED, Sampling(most_tokens=500)) == answers


def test_the_process_ends_with_the_run(server: Server, tmp_path: Path) -> None:
    before = children()
    with hosting(parsed(f"-faicc-model=openai:{server.url}#good"), tmp_path / "cache", tmp_path):
        assert len(children() - before) == 1
    assert children() <= before


def test_a_process_that_was_killed_is_one_line(server: Server, tmp_path: Path) -> None:
    text = f"openai:{server.url}#good"
    before = children()
    with hosting(parsed(f"-faicc-model={text}"), tmp_path / "cache", tmp_path):
        model = HostedModel(tmp_path, text)
        (process,) = children() - before
        os.kill(process, signal.SIGKILL)
        while process in children():
            time.sleep(0.05)
        with pytest.raises(ModelError, match="the models' process has ended"):
            model.complete(ASKED, Sampling())


def test_a_worker_waits_no_longer_than_it_has_time_and_the_answer_is_kept(tmp_path: Path) -> None:
    waiting = threading.Event()
    with serving(lambda _messages: "late" if waiting.wait(60) else "never") as server:
        text = f"openai:{server.url}#good"
        with hosting(parsed(f"-faicc-model={text}"), tmp_path / "cache", tmp_path):
            model = HostedModel(tmp_path, text)
            with pytest.raises(ModelError, match="no answer in the function's time"):
                model.complete(ASKED, Sampling(patience_s=0.2))
            waiting.set()
            assert model.complete(ASKED, Sampling(patience_s=60.0))[0].text == "late"


def test_a_process_that_cannot_start_is_what_workers_are_told(tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 120)  # longer than an address of AF_UNIX may be (unix(7))
    deep.mkdir()
    with (
        hosting(parsed("-faicc-model=replay:none"), tmp_path / "cache", deep),
        pytest.raises(ModelError, match=r"cannot be used: .*path too long"),
    ):
        HostedModel(deep, "replay:none")


def test_without_a_model_there_is_no_process(tmp_path: Path) -> None:
    before = children()
    with hosting(parsed(), tmp_path / "cache", tmp_path):
        assert children() <= before


def test_a_model_that_cannot_be_opened_is_one_line_for_each_that_asks(tmp_path: Path) -> None:
    text = f"replay:{tmp_path}/none"
    with hosting(parsed(f"-faicc-model={text}"), tmp_path / "cache", tmp_path):
        for _ in range(2):
            with pytest.raises(ModelError, match="there is no such file"):
                HostedModel(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("gpt", "not a model: write hf:"),
        ("openai:localhost:80#m", "is not a URL"),
        ("openai:http://localhost:80/v1", "no model is named"),
        ("hf:", "not a model"),
    ],
)
def test_what_is_no_model_is_said_before_anything_starts(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ModelError, match=words), hosting(parsed(f"-faicc-model={text}"), tmp_path, tmp_path):
        pass


def test_nothing_heavy_is_imported_before_a_model_is_opened(tmp_path: Path) -> None:
    names = "{'openai', 'torch', 'transformers', 'pydantic'} & set(sys.modules)"
    code = f"import sys, compiler_ai.pipeline, compiler_ai.tool.tune, compiler_ai.driver.options; print({names})"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout == "set()\n"
