"""The trial cache keeps everything tried; a candidate that differs in nothing that matters is found again."""

from __future__ import annotations

import multiprocessing
import resource
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from compiler_ai.artifacts import Candidate, Counterexample, Evidence, Grade, Interval, Rejection, Timing, Trial
from compiler_ai.store.errors import StoreError
from compiler_ai.store.trials import TrialCache, digest

KEY = "a" * 64


def trial(number: int = 0) -> Trial:
    candidate = Candidate("f", f"\tmov ${number}, %eax\n\tret\n", features=("avx2",))
    evidence = Evidence(Grade.REFUTED, 1, 2, 3, counterexample=Counterexample("capture 1", "rax"), assumptions=("x",))
    timing = Timing(Interval(1.0, float("nan") if number < 0 else 0.9, float("inf")), None)
    return Trial(candidate, digest(candidate), Rejection("verify.registers", "rax"), evidence, timing, 1.25)


@pytest.fixture
def cache(tmp_path: Path) -> TrialCache:
    return TrialCache(tmp_path, "x86_64", "a cpu", "1")


def test_trials_come_back_as_they_were_and_the_last_of_a_candidate_counts(cache: TrialCache) -> None:
    cache.append(KEY, trial(1))
    cache.append(KEY, trial(2))
    later = replace(trial(1), rejection=None)
    cache.append(KEY, later)
    assert cache.load(KEY) == [trial(2), later]
    assert cache.find(KEY, later.digest) == later
    assert cache.load("b" * 64) == []


@pytest.mark.parametrize("origin", [("arm", "a cpu", "1"), ("x86_64", "another", "1"), ("x86_64", "a cpu", "2")])
def test_what_another_target_machine_or_judge_said_does_not_count(
    cache: TrialCache, tmp_path: Path, origin: tuple[str, str, str]
) -> None:
    cache.append(KEY, trial())
    assert TrialCache(tmp_path, *origin).load(KEY) == []


def test_a_torn_last_line_is_passed_over_and_the_next_trial_kept(cache: TrialCache, tmp_path: Path) -> None:
    cache.append(KEY, trial(1))
    cache.append(KEY, trial(2))
    (path,) = tmp_path.rglob("*.jsonl")
    whole = path.read_bytes()
    first = whole.index(b"\n") + 1
    for size in range(first, len(whole) - 1, 11):
        path.write_bytes(whole[:size])
        assert cache.load(KEY) == [trial(1)]
        cache.append(KEY, trial(3))
        assert cache.load(KEY) == [trial(1), trial(3)]


def test_every_flipped_byte_is_noticed(cache: TrialCache, tmp_path: Path) -> None:
    cache.append(KEY, trial())
    (path,) = tmp_path.rglob("*.jsonl")
    whole = path.read_bytes()
    for at in range(0, len(whole) - 1, 5):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        assert cache.load(KEY) == []


def test_a_full_disk_is_one_clear_error_and_what_was_there_stays(cache: TrialCache, tmp_path: Path) -> None:
    cache.append(KEY, trial(1))
    (path,) = tmp_path.rglob("*.jsonl")
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 100, old[1]))
    try:
        with pytest.raises(StoreError, match="cannot write"):
            cache.append(KEY, trial(2))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
        signal.signal(signal.SIGXFSZ, handler)
    assert cache.load(KEY) == [trial(1)]
    cache.append(KEY, trial(2))
    assert cache.load(KEY) == [trial(1), trial(2)]


def _append_many(directory: Path, start: int) -> None:
    cache = TrialCache(directory, "x86_64", "a cpu", "1")
    for number in range(start, start + 20):
        cache.append(KEY, trial(number))


def test_parallel_writers_lose_nothing(cache: TrialCache, tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_append_many, args=(tmp_path, 100 * worker)) for worker in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert len(cache.load(KEY)) == 60


def test_layout_comments_origin_and_own_label_names_do_not_matter() -> None:
    one = Candidate("f", "# new\n.La_L2:\n\tadd  $1, %eax\n\tjne\t.La_L2\n\tret\n", proposer="x", origin="gcc")
    two = Candidate("f", ".Lb_L7:\n  add $1, %eax   \n\n\t.loc 1 2\n\tjne .Lb_L7\nret")
    assert digest(one) == digest(two)


@pytest.mark.parametrize(
    "other",
    [
        Candidate("g", "\tjmp .L4\n.L4:\n.L5:\n\tret\n"),
        Candidate("f", "\tjmp .L5\n.L5:\n.L4:\n\tret\n"),  # a jump table of the unit may refer to either
        Candidate("f", "\tjmp .L4\n.L4:\n.L5:\n\tret\n", features=("avx2",)),
        Candidate("f", "\tjmp .L4\n.L4:\n.L5:\n\tret\n", extra="\t.long 1\n"),
        Candidate("f", "\tjmp .L4\n.L5:\n.L4:\n\tret\n"),
    ],
)
def test_what_may_matter_gives_another_digest(other: Candidate) -> None:
    assert digest(Candidate("f", "\tjmp .L4\n.L4:\n.L5:\n\tret\n")) != digest(other)


def test_blanks_in_strings_and_constants_outside_of_the_candidate_are_kept() -> None:
    assert digest(Candidate("f", "", '.string "a  b"')) != digest(Candidate("f", "", '.string "a b"'))
    assert digest(Candidate("f", "\tmov .LC0, %eax")) != digest(Candidate("f", "\tmov .LC1, %eax"))
