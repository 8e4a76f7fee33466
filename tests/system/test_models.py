"""Tuning with models over HTTP: a wrong answer, a corrected one, endpoints that fail, and the same run out of a recording."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "models"))
from openai_server import serving

EXAMPLE = Path(__file__).parents[2] / "examples" / "kernels"
RECORDED = Path(__file__).with_name("recorded")  # of a real model
ANSWER = (Path(__file__).parents[1] / "models" / "count_bits.md").read_text()
pytestmark = [pytest.mark.full, pytest.mark.timeout(3600)]


def run(*words: str, cwd: Path, **environment: str) -> str:
    done = subprocess.run(
        words, cwd=cwd, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def reply(messages: list[dict[str, str]]) -> str:
    """Wrong by one bit position at first, right when told so."""
    refuted = any("does not do the same" in message["content"] for message in messages)
    return ANSWER if refuted else ANSWER.replace("$56", "$55")


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    project = tmp_path_factory.mktemp("project") / "kernels"
    shutil.copytree(EXAMPLE, project)
    environment = {"AICC_CACHE": str(tmp_path_factory.mktemp("cache"))}
    run("aicc-tool", "init", cwd=project)
    run("make", "CC=aicc", cwd=project)
    run("aicc-tool", "profile", "--", "./kernels", "60", cwd=project)
    heard: list[str] = []

    def replied(messages: list[dict[str, str]]) -> str:
        heard.append(messages[-1]["content"])
        return reply(messages)

    with serving(replied) as server:
        models = [f"--model=openai:{server.url}#{name}" for name in ("good", "unauthorised", "endless")]
        words = ["aicc-tool", "tune", "--functions", "count_bits", "--budget", "30m", *models]
        flags = ["--", "-faicc-model-record=answers.jsonl", "-faicc-model-samples=1", "-faicc-model-timeout=5"]
        said = run(*words, *flags, cwd=project, COLUMNS="200", **environment)
    (project / "heard.txt").write_text("\n".join(heard))
    return project, said


def model_lines(project: Path) -> list[str]:
    said = run("aicc-tool", "explain", "count_bits", cwd=project)
    return [line for line in said.splitlines() if "[model good" in line]


def verdicts(project: Path) -> list[tuple[str, str]]:
    """(stage or grade, origin) of the model's candidates, without measured figures."""
    return [(re.split("[:,]", line)[0].strip(), line[line.index("[model") :]) for line in model_lines(project)]


def test_the_corrected_answer_is_accepted(tuned: tuple[Path, str]) -> None:
    project, said = tuned
    assert "1 of 1 function has a faster body" in said
    refuted, accepted = model_lines(project)
    assert "verify.refuted" in refuted
    assert "tested, " in accepted
    (stored,) = (project / ".aicc" / "store").glob("count_bits-*.asm")
    assert "imulq" in stored.read_text()


def test_the_model_hears_what_is_verified_and_where_its_instructions_go(tuned: tuple[Path, str]) -> None:
    project, _ = tuned
    heard = (project / "heard.txt").read_text()
    assert "does exactly the same as the original" in heard
    ours, theirs = re.findall(r"^(?:this version|the original): (\d+)$", heard, re.MULTILINE)[:2]
    assert int(ours) > 0
    assert int(theirs) > 0
    assert re.search(r"^  `.+`: \d+ times, \d+ instructions$", heard, re.MULTILINE)


def test_endpoints_that_fail_are_one_line_each(tuned: tuple[Path, str]) -> None:
    _, said = tuned
    failures = [line for line in said.splitlines() if "openai:" in line]
    assert len(failures) == 2
    (refused,) = [line for line in failures if "unauthorised" in line]
    (endless,) = [line for line in failures if "endless" in line]
    assert "401" in refused
    assert "longer than" in endless or "5 s" in endless


def test_the_build_with_it_does_the_same(tuned: tuple[Path, str]) -> None:
    project, _ = tuned
    before = run("./kernels", "30", cwd=project)
    run("make", "clean", cwd=project)
    run("make", "CC=aicc", cwd=project)
    assert run("./kernels", "30", cwd=project) == before


def test_the_same_run_out_of_the_recording_has_the_same_candidates_and_verdicts(
    tuned: tuple[Path, str], tmp_path: Path
) -> None:
    project, _ = tuned
    first = verdicts(project)
    shutil.rmtree(project / ".aicc" / "store")
    (project / ".aicc" / "results.json").unlink()
    model = f"--model=replay:{project / 'answers.jsonl'}"
    words = ["aicc-tool", "tune", "--functions", "count_bits", "--budget", "30m", model]
    run(*words, "--", "-faicc-model-samples=1", cwd=project, AICC_CACHE=str(tmp_path))
    assert verdicts(project) == first


def test_what_is_sent_can_be_seen_before(tuned: tuple[Path, str]) -> None:
    project, _ = tuned
    shown = run("aicc-tool", "explain", "--prompt", "count_bits", cwd=project)
    assert "uint64_t count_bits(const uint64_t *words, size_t count)" in shown
    hidden = run("aicc-tool", "explain", "--prompt", "--anonymise", "count_bits", cwd=project)
    assert "count_bits" not in hidden


def counts(output: Path) -> list[dict[str, object]]:
    """The rows of a benchmark without what is measured."""
    measured = ("seconds", "speedup", "gain", "faster", "faster_functions")
    rows = json.loads((output / "table.json").read_text())["rows"]
    return [{name: value for name, value in row.items() if name not in measured} for row in rows]


def test_a_benchmark_says_how_far_answers_get_and_its_recording_repeats_it(
    tuned: tuple[Path, str], tmp_path: Path
) -> None:
    project, _ = tuned
    words = ["aicc-tool", "bench", "models", "--functions", "count_bits", "--no-search", "--samples", "4"]
    wrong = ANSWER.replace("$56", "$55")
    answers = iter([ANSWER, "I cannot do that.", wrong, wrong])
    environment = {"AICC_CACHE": str(tmp_path / "cache")}
    with serving(lambda _messages: next(answers)) as server:
        model = ["--model", f"openai:{server.url}#good"]
        said = run(*words, *model, "--output", str(tmp_path / "first"), cwd=project, **environment)
    assert "right" in said
    one, four = counts(tmp_path / "first")
    assert (four["answered"], four["parsed"], four["assembled"]) == (4, 3, 3)
    assert (four["tested"], four["refuted"], four["right_functions"]) == (1, 2, 1)
    assert one["answered"] == 1
    trials = [json.loads(line) for line in (tmp_path / "first" / "trials.jsonl").read_text().splitlines()]
    assert sorted(trial["stage"] for trial in trials) == ["none", "refuted", "refuted", "tested"]
    model = ["--model", f"replay:{tmp_path / 'first' / 'answers.jsonl'}"]
    run(*words, *model, "--output", str(tmp_path / "again"), cwd=project, AICC_CACHE=str(tmp_path / "other"))
    assert counts(tmp_path / "again") == [one, four]


def test_what_a_real_model_wrote_in_c_is_judged_out_of_its_recording(tmp_path: Path) -> None:
    """Answers of Qwen2.5-Coder-1.5B-Instruct (Q4_K_M) to the prompt beside them, and what became of each."""
    project = tmp_path / "fletcher16"
    shutil.copytree(RECORDED / "fletcher16", project)
    run("aicc-tool", "init", cwd=project)
    run("make", "CC=aicc", cwd=project)
    run("aicc-tool", "profile", "--functions", "codec_fletcher16", "--", "./fletcher16", cwd=project)
    expected = (RECORDED / "stages").read_text().split()
    words = ["aicc-tool", "bench", "models", "--functions", "codec_fletcher16", "--no-search"]
    words += ["--samples", str(len(expected)), "--model", f"replay:{RECORDED / 'answers.jsonl'}"]
    flags = ["--", f"-faicc-model-prompt={RECORDED / 'prompt.jinja'}", "-faicc-model-answer-tokens=400"]
    run(*words, "--output", str(tmp_path / "out"), *flags, cwd=project, AICC_CACHE=str(tmp_path / "cache"))
    trials = [json.loads(line) for line in (tmp_path / "out" / "trials.jsonl").read_text().splitlines()]
    assert [trial["stage"] for trial in trials] == expected
