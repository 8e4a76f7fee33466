"""Apply mode reads the store by a short way; it never says anything else than the store does."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from compiler_ai.artifacts import Candidate, Evidence, Grade, Interval, Rewrite, Timing
from compiler_ai.candidates import GRADES, Body
from compiler_ai.store.errors import StoreError
from compiler_ai.store.quick import QuickStore
from compiler_ai.store.store import Store

KEY = "a" * 64
FEATURE_SETS = (None, frozenset[str](), frozenset({"avx2"}), frozenset({"avx2", "fma"}))


def rewrite(function: str = "hash", low: float = 1.4, features: tuple[str, ...] = (), key: str = KEY) -> Rewrite:
    candidate = Candidate(function, "\tret\n", "\t.section .rodata\n", "search", "gcc -O2", features)
    timing = Timing(Interval(low + 0.1, low, low + 0.2), None)
    return Rewrite(key, candidate, Evidence(Grade.TESTED, 12), timing, "x86_64", "hash.c", 64)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    store = Store(tmp_path)
    store.add(rewrite())
    store.add(rewrite(low=2.0, features=("avx2",)))
    store.add(rewrite(low=3.0, features=("avx2", "fma")))
    store.add(rewrite(function="other"))
    store.add(rewrite(key="b" * 64))
    store.add(rewrite('odd "name\\é', key="c" * 64))
    return tmp_path


def assert_same(project: Path) -> None:
    for key in (KEY, "b" * 64, "c" * 64, "d" * 64):
        for function in ("hash", "other", 'odd "name\\é', "none"):
            for features in FEATURE_SETS:
                mine = QuickStore(str(project)).lookup(key, function, features)
                full = Store(project).lookup(key, function, features)
                assert (mine is None) == (full is None), (key, function, features)
                if mine is not None and full is not None:
                    assert all(
                        getattr(mine.candidate, name) == getattr(full.candidate, name) for name in Body.__slots__
                    )
                    assert mine.grade == full.evidence.grade
                    assert (mine.target, mine.baseline_size_bytes) == (full.target, full.baseline_size_bytes)
                    assert mine.gain == full.timing.warm.low


def test_grades_have_the_same_names_and_ranks() -> None:
    assert tuple(one.name for one in Grade) == GRADES
    assert [Grade[name] for name in GRADES] == list(range(len(GRADES)))


def test_both_find_the_same(project: Path) -> None:
    assert_same(project)
    found = QuickStore(str(project)).lookup(KEY, "hash", frozenset({"avx2"}))
    assert found is not None
    assert (found.gain, found.candidate.features) == (2.0, ("avx2",))


def edited(suffix: str, change: Callable[[str], str]) -> Callable[[Path], None]:
    def edit(project: Path) -> None:
        for path in (project / "store").glob(f"*{suffix}"):
            with open(path, newline="", encoding="utf-8", errors="surrogateescape") as file:
                text = file.read()
            with open(path, "w", newline="", encoding="utf-8", errors="surrogateescape") as file:
                file.write(change(text))

    return edit


@pytest.mark.parametrize(
    "damage",
    [
        edited(".asm", lambda text: text + "\tnop\n"),
        edited(".json", lambda text: text.replace("TESTED", "PROVED")),
        edited(".toml", lambda text: text.replace("\n", "\r\n")),
        edited(".toml", lambda text: text.replace('grade = "TESTED"', 'grade = "PROVED"')),
        edited(".toml", lambda text: text.replace('name = "hash', 'name = "../hash')),
        edited(".toml", lambda text: re.sub(r'key = "a+"', r"<<<<<<< mine\n\g<0>", text)),
        edited(".toml", lambda text: text.replace("function = ", "function  = ")),
        edited(".toml", lambda text: text.replace("version = 1\n", "")),
        edited(".toml", lambda text: text.replace("version = 1\n", "version = 0\n")),
        edited(".toml", lambda text: text[: len(text) // 2]),
        edited(".toml", lambda text: text.replace('features = ["avx2"]', "features = []")),
        lambda project: [path.unlink() for path in (project / "store").glob("*.json")],
        lambda project: [path.rename(path.with_suffix(".s")) for path in (project / "store").glob("*.asm")],
        lambda project: (project / "store" / "lock.toml").unlink(),
    ],
    ids=map(str, range(14)),
)
def test_both_say_the_same_of_a_damaged_store(project: Path, damage: Callable[[Path], object]) -> None:
    damage(project)
    assert_same(project)


def test_a_newer_store_is_refused_by_both(project: Path) -> None:
    edited(".toml", lambda text: text.replace("version = 1\n", "version = 2\n"))(project)
    with pytest.raises(StoreError, match="newer aicc"):
        QuickStore(str(project))
    with pytest.raises(StoreError, match="newer aicc"):
        Store(project).lookup(KEY)
