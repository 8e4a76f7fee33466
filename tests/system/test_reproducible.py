"""The same tree with the same store gives the same bits: at any path, in any order, at any -j."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import own_bodies

from compiler_ai.driver import units

EXAMPLE = Path(__file__).parents[2] / "examples" / "kernels"
OBJECTS = ("main.o", "numeric.o", "bytes.o", "integers.o")


def build(tree: Path, order: tuple[str, ...], jobs: int) -> dict[str, bytes]:
    """make with the objects asked for in this order; the objects and the program."""
    words = ["make", f"-j{jobs}", "CC=aicc", f"CFLAGS=-O2 -g -fdebug-prefix-map={tree}=.", *order, "kernels"]
    environment = {**os.environ, "SOURCE_DATE_EPOCH": "1"}
    done = subprocess.run(words, cwd=tree, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return {name: (tree / name).read_bytes() for name in (*OBJECTS, "kernels")}


def test_two_builds_are_bit_identical(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "a-longer-path" / "with-another" / "two"
    shutil.copytree(EXAMPLE, one)
    (one / ".aicc").mkdir()
    plain = build(one, OBJECTS, 1)
    stored = own_bodies.fill(one / ".aicc", list(units.load_all(str(one / ".aicc"))))
    assert len(stored) > 10

    shutil.copytree(EXAMPLE, other)
    shutil.copytree(one / ".aicc" / "store", other / ".aicc" / "store")
    subprocess.run(["make", "clean"], cwd=one, check=True, capture_output=True)
    first = build(one, OBJECTS, 1)
    assert all(first[name] != plain[name] for name in OBJECTS)
    assert build(other, tuple(reversed(OBJECTS)), 4) == first
    assert not (other / ".aicc" / "log").exists()
