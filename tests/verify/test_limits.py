"""Every comparison of floating-point numbers, changed in every way: what is accepted all the same does the same on the processor."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from bench import Bench, recorded

from compiler_ai.artifacts import Grade

HERE = Path(__file__).parent
CODES = ("a", "ae", "b", "be", "nb", "nbe", "p", "np", "e", "ne")
CONDITIONAL = re.compile(r"^\t(j|cmov|set)(a|ae|b|be|nb|nbe|p|np|e|ne)\b", re.MULTILINE)
COMPARES = re.compile(r"^\t(u?comisd)\t(%xmm\d+|[^,\n]*\(.*\)|[^,\n]+), (%xmm\d+)$", re.MULTILINE)


@pytest.fixture(scope="module")
def limits(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with recorded(tmp_path_factory, HERE / "limits.c", None, ["limits"]) as bench:
        yield bench


def changes(listing: str) -> Iterator[tuple[str, str]]:
    """(what was changed, the listing with it): each condition for each other one, each comparison with its sides exchanged."""
    start, end = listing.index("\nlimits:"), listing.index("\t.size\tlimits,")
    for found in CONDITIONAL.finditer(listing, start, end):
        for code in CODES:
            if code != found[2]:
                yield (
                    f"{found[0].strip()} -> {code}",
                    f"{listing[: found.start()]}\t{found[1]}{code}{listing[found.end() :]}",
                )
    for found in COMPARES.finditer(listing, start, end):
        if found[2].startswith("%xmm"):
            exchanged = f"\t{found[1]}\t{found[3]}, {found[2]}"
            yield f"{found[0].strip()} exchanged", listing[: found.start()] + exchanged + listing[found.end() :]


def does_the_same(bench: Bench, text: str) -> bool:
    """Whether the processor finds no difference to the source in any of very many calls."""
    mine, oracle = bench.directory / "mine.o", bench.directory / "oracle"
    mine.write_bytes(bench.assembled(text))
    source = ["-O0", "-fno-pie", "-no-pie", "-DORACLE", "-DNAME=reference", str(HERE / "limits.c")]
    subprocess.run(["gcc", *source, str(mine), "-o", str(oracle), "-lm"], check=True)
    return subprocess.run([str(oracle)], timeout=60, check=False).returncode == 0


@pytest.mark.full
@pytest.mark.parametrize("command", ["gcc -O2", "gcc -O1"])
def test_no_changed_comparison_is_accepted_that_makes_a_difference(limits: Bench, command: str) -> None:
    listing, accepted, refused = limits.listing(command), [], 0
    assert limits.verifier("limits").check(limits.assembled(listing)).grade is Grade.TESTED
    assert does_the_same(limits, listing)
    for name, text in changes(listing):
        evidence = limits.verifier("limits").check(limits.assembled(text))
        if evidence.grade >= Grade.TESTED:
            accepted.append(name)
            assert does_the_same(limits, text), name
        else:
            refused += 1
    print(f"\n{command}: {refused} refused, {len(accepted)} accepted, which do the same: {', '.join(accepted)}")
    assert refused > 10
