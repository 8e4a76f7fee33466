"""What captured calls count on an instrumented body, against what the program itself counts."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from bench import Bench, recorded

from compiler_ai.errors import AiccError
from compiler_ai.proposers.arcs import COUNTING, CountedUnit, counted_unit, profile_in
from compiler_ai.tune import training

HERE = Path(__file__).parents[1] / "proposers"
SOURCE, MAIN = HERE / "arcs.c", HERE / "arcs_main.c"


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with recorded(tmp_path_factory, SOURCE, MAIN, ("weighed",), ["-DCALLS=1"]) as found:
        yield found


@pytest.fixture
def unit(tmp_path: Path) -> CountedUnit:
    out = tmp_path / "unit.s"
    subprocess.run(
        ["gcc", "-O3", *COUNTING, *profile_in(tmp_path)[1], "-S", "-o", out, SOURCE], cwd=tmp_path, check=True
    )
    return counted_unit(out.read_text())


def test_captured_calls_count_what_the_program_counts(bench: Bench, unit: CountedUnit, tmp_path: Path) -> None:
    subprocess.run(["gcc", "-O2", "-DCALLS=3", "-o", "counting", "unit.s", MAIN, "-lgcov"], cwd=tmp_path, check=True)
    subprocess.run(["./counting"], cwd=tmp_path, check=True)
    said = subprocess.run(["gcov-dump", "-l", "unit.gcda"], cwd=tmp_path, capture_output=True, text=True, check=True)
    theirs = [
        int(number) for line in re.findall(r": +\d+: ([\d ]+)$", said.stdout, re.MULTILINE) for number in line.split()
    ]
    images = [image for _, image in bench.verifier("weighed").images]
    assert len(images) == 1
    found = training.totals(bench.sandbox, images * 3, "weighed", unit.text, unit.sizes_bytes())
    held = b"".join(found[one.counters] for one in unit.functions)
    ours = [int.from_bytes(held[at : at + 8], "little") for at in range(0, len(held), 8)]
    assert sorted(ours) == sorted(theirs)
    assert sum(ours) > 100


def test_a_body_that_cannot_be_run_is_one_line(bench: Bench, unit: CountedUnit) -> None:
    images = [image for _, image in bench.verifier("weighed").images]
    for changed in (unit.text.replace("weighed:", "other:"), unit.text.replace("__gcov0.weighed(", "absent(")):
        with pytest.raises(AiccError):
            training.totals(bench.sandbox, images, "weighed", changed, unit.sizes_bytes())
    with pytest.raises(AiccError, match="no captured call"):
        training.totals(bench.sandbox, [], "weighed", unit.text, unit.sizes_bytes())
