"""How far two arrays agree is tested up to the end that a loop sets to it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from bench import Bench, recorded

from compiler_ai.artifacts import Grade
from compiler_ai.verify.mutate import agreeing

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with recorded(tmp_path_factory, HERE / "stretches.c", HERE / "stretches_main.c", ("agreeing", "repeated")) as found:
        yield found


@pytest.mark.parametrize("end", [256, 260])
def test_an_end_that_is_elsewhere_is_seen(bench: Bench, end: int) -> None:
    wrong = bench.changed("agreeing", r"\b258\b", str(end))
    assert bench.verifier("agreeing").check(wrong).grade is Grade.REFUTED


def test_an_end_of_what_is_compared_with_an_argument_is_tested_too(bench: Bench) -> None:
    wrong = bench.assembled(bench.listing("gcc -O2 -DMORE=1"))
    assert bench.verifier("repeated").check(wrong).grade is Grade.REFUTED


def test_an_end_at_which_few_lengths_differ_is_tested_too(bench: Bench) -> None:
    """With 9 to 11 bytes left, `eight` is used up before the end: all else comes out as before."""
    wrong = bench.assembled(bench.listing("gcc -O2 -DEARLY=4"))
    assert bench.verifier("repeated").check(wrong).grade is Grade.REFUTED


def test_some_repetitions_of_an_argument_last_to_the_end(bench: Bench) -> None:
    stretched = [test for test in bench.verifier("repeated")._prepared.tests if " bytes at " in test.state.name]
    counts = [(test.fills[0][0].registers, test.fills[0][1].registers["rax"]) for test in stretched]
    assert any(0 < count == registers["rsi"] - registers["rdi"] for registers, count in counts)


@pytest.mark.parametrize("function", ["agreeing", "repeated"])
def test_another_compilation_is_tested(bench: Bench, function: str) -> None:
    assert bench.verifier(function).check(bench.assembled(bench.listing("gcc -O1"))).grade is Grade.TESTED


@pytest.mark.parametrize("second", [0x1200, 0x1003, 0x0FFD, 0x0E00])
def test_bytes_agree_where_the_stretches_overlap_too(second: int) -> None:
    memory = {at: at * at & 0xFF for at in range(0x0E00, 0x1400)}
    written = agreeing(0x1000, second, 300, lambda at, size: bytes(memory[at + n] for n in range(size)))
    assert len(written) == 300
    memory.update(zip(range(second, second + 300), written, strict=True))
    assert all(memory[0x1000 + n] == memory[second + n] for n in range(300))


def test_places_that_are_far_apart_cost_no_more() -> None:
    """A heap and a stack: what lies between them is 40 TiB."""
    asked: list[int] = []

    def memory(_at: int, size: int) -> bytes:
        asked.append(size)
        return bytes(size)

    assert agreeing(0x5555_5555_0000, 0x7FFF_FFFF_0000, 300, memory) == bytes(300)
    assert asked == [300]
