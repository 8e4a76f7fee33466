"""Whole programs: what is assembled, how they are timed and scored, and a run over a dataset of our own from a recording."""

from __future__ import annotations

import importlib.util
import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from compiler_ai.bench.dataset import DatasetError, Problem, load, unfenced
from compiler_ai.bench.protocol import Timed
from compiler_ai.bench.supercoder import CONTROL, Attempt, score
from compiler_ai.bench.whole import ProgramError, built, screened
from compiler_ai.models.base import Answer, Message, Sampling, request_key
from compiler_ai.models.recording import Recording

DATASET = Path(__file__).parents[2] / "benchmarks" / "supercoder"


@pytest.fixture(scope="module")
def maker() -> Any:
    """benchmarks/supercoder as a module."""
    spec = importlib.util.spec_from_file_location("make_dataset", DATASET / "__main__.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def two(maker: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset with the first input of two programs."""
    import pyarrow
    from pyarrow import parquet

    rows = [maker.row(name, number) for number, name in enumerate(("bits", "words"))]
    for row in rows:
        row["extra_info"]["inputs"], row["extra_info"]["outputs"] = (
            row["extra_info"][field][:1] for field in ("inputs", "outputs")
        )
    path = tmp_path_factory.mktemp("dataset") / "two.parquet"
    parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    return path


def test_a_dataset_has_programs_with_their_tests(two: Path) -> None:
    bits, words = load(two)
    assert (bits.number, words.number) == (0, 1)
    assert "x >>= 1" in bits.question
    assert "main:" in bits.assembly
    assert "```" not in bits.assembly
    assert bits.tests[0][0] == b"300000\n"
    assert len(load(two, 1)) == 1


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "no such file"),
        (b"PAR1 and nothing else", "cannot be read as parquet"),
        ([{"x": 1}], "has no extra_info"),
    ],
)
def test_what_is_no_dataset_is_one_line(tmp_path: Path, content: Any, words: str) -> None:
    path = tmp_path / "bad.parquet"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        import pyarrow
        from pyarrow import parquet

        parquet.write_table(pyarrow.Table.from_pylist(content), path)
    with pytest.raises(DatasetError, match=words):
        load(path)


def test_the_last_block_of_an_answer_counts() -> None:
    assert unfenced("```assembly\nold\n```\nBetter:\n```assembly\nmain:\n\tret\n```\nDone.") == "main:\n\tret\n"
    assert unfenced("```assembly\nbroken off") == "broken off\n"
    assert unfenced("main:\n\tret\n") == "main:\n\tret\n"


@pytest.mark.parametrize("name", sorted(path.stem for path in DATASET.glob("*.c")))
def test_what_gcc_writes_assembles_to_the_same_code(name: str, tmp_path: Path) -> None:
    text = subprocess.run(
        ["gcc", "-w", "-O3", "-S", "-fno-asynchronous-unwind-tables", "-o", "-", DATASET / f"{name}.c"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for which, content in (("gcc", text), ("ours", screened(text))):
        (tmp_path / f"{which}.s").write_text(content)
        subprocess.run(["as", "--64", "-o", tmp_path / f"{which}.o", tmp_path / f"{which}.s"], check=True)
    assert (tmp_path / "gcc.o").read_bytes() == (tmp_path / "ours.o").read_bytes()


@pytest.mark.parametrize(
    "line",
    [
        '.incbin "/etc/shadow"',
        '.include "/etc/passwd"',
        ".rept 1000000",
        ".macro m",
        '.section .init_array,"aw"',
        ".section .gnu.lto_main",
        ".zero 8*8*8",
        ".org 0x7fffffff",
        'nop; .incbin "/etc/shadow"',
        'l: .incbin "/etc/shadow"',
        "/* .text */",
        '.string "a',
        ".symver a,b@C",
        "Mov %eax, %eax",
    ],
)
def test_what_gcc_does_not_write_is_not_assembled(line: str) -> None:
    with pytest.raises(ProgramError, match="line 2") as raised:
        built(f"main:\n\t{line}\n\tret\n")
    assert raised.value.stage == "screen"


def test_comments_go_and_strings_stay() -> None:
    kept = screened('a:\t.string "no # comment; \\" here" # a comment\n# 1 "/etc/shadow"\n')
    assert kept == 'a: .string "no # comment; \\" here" \n'


@pytest.mark.parametrize(("line", "stage"), [("addq %eax, %rbx", "assemble"), ("call nowhere", "link")])
def test_what_cannot_be_built_says_why(line: str, stage: str) -> None:
    with pytest.raises(ProgramError) as raised:
        built(f"\t.text\n\t.globl main\nmain:\n\t{line}\n\tret\n")
    assert raised.value.stage == stage
    assert "\n" not in str(raised.value)


def timed(ratio: float, noise: random.Random) -> Timed:
    """10 runs and 30 pairs of two programs with that ratio, 30 % noise on each run."""

    def run(factor: float) -> int:
        return int(1e6 * factor * noise.lognormvariate(0, 0.3))

    runs = (tuple(run(ratio) for _ in range(10)), tuple(run(1.0) for _ in range(10)))
    return Timed((runs,), tuple((run(ratio), run(1.0)) for _ in range(30)))


def scores(ratio: float, samples: int = 1) -> Any:
    noise = random.Random(3)
    problems = [Problem(number, "", "", ()) for number in range(60)]
    attempts = [
        Attempt("model", problem.number, sample, "timed", timed=timed(ratio, noise))
        for problem in problems
        for sample in range(samples)
    ]
    return score("model", attempts, problems)


def test_noise_is_speedup_as_published_and_none_without_clipping() -> None:
    same, best_of_8 = scores(1.0), scores(1.0, samples=8)
    assert same.published > 1.02
    assert best_of_8.published > same.published + 0.05
    for one in (same, best_of_8):
        assert one.honest.low < 1 < one.honest.high
        assert abs(one.honest.ratio - 1) < 0.03


def test_a_slowdown_is_hidden_as_published_and_shown_without_clipping() -> None:
    slow = scores(0.5)
    assert slow.published == pytest.approx(1.0, abs=0.01)
    assert slow.honest.ratio == pytest.approx(0.5, abs=0.03)
    assert slow.slower > 50


def test_what_fails_counts_as_1_as_published_and_as_nothing_without() -> None:
    problems = [Problem(0, "", "", ()), Problem(1, "", "", ())]
    noise = random.Random(1)
    attempts = [
        Attempt("model", 0, 0, "timed", timed=timed(3.0, noise)),
        Attempt("model", 1, 0, "test", "another output"),
    ]
    found = score("model", attempts, problems)
    assert (found.passed, found.built, found.problems) == (1, 2, 2)
    assert found.published == pytest.approx(2.0, abs=0.3)
    assert found.honest.ratio == pytest.approx(3.0, abs=0.6)


def test_a_dataset_from_a_recording(two: Path, tmp_path: Path) -> None:
    bits, words = load(two)
    recording = Recording(tmp_path / "answers.jsonl")
    wrong = words.assembly.replace("%ld %ld %ld", "%ld %ld %lx")
    for problem, text in ((bits, bits.assembly), (words, wrong)):
        asked, sampling = [Message("user", problem.question)], Sampling(0.0, 1.0, 0, 2048, 1)
        recording.put(request_key("m", asked, sampling), "m", sampling, [Answer(f"```assembly\n{text}```")])
    command = ["aicc-tool", "bench", "supercoder", str(two), "--pairs", "12", "--output", str(tmp_path / "out")]
    done = subprocess.run(
        [*command, "--model", f"replay:{tmp_path / 'answers.jsonl'}"],
        capture_output=True,
        text=True,
        env={
            **os.environ,
            "AICC_CACHE": str(tmp_path / "cache"),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        },
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "2 programs, one answer each" in done.stdout
    control, model = json.loads((tmp_path / "out" / "scores.json").read_text())
    assert (control["proposer"], control["passed"], control["problems"]) == (CONTROL, 2, 2)
    assert (model["built"], model["passed"], model["copied"]) == (2, 1, 1)
    attempts = [json.loads(line) for line in (tmp_path / "out" / "attempts.jsonl").read_text().splitlines()]
    assert [(one["stage"], one["reason"]) for one in attempts][2:] == [
        ("timed", ""),
        ("test", "test 0: another output"),
    ]
    assert all(len(runs) == 10 for one in attempts[:2] for both in one["timed"]["published"] for runs in both)
