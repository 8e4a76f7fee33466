"""The whole gauntlet: what the screen lets through of the saboteur's bodies, verification must not grade tested.

The functions are those of `corpus`, ordinary library code run as a program runs it, and those of real programs (`programs`),
built from Debian's source packages. Faults that only a proof can see (`faults.ONLY_PROOF`) are counted and named. A survivor
of any other kind fails the test unless `reviewed.py` says of that very change why it is no fault or no test can see it, or the
assembler makes the baseline's own bytes of it.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import programs
from gauntlet import Program, Unit, Verdicts, captured, run_gauntlet

CORPUS = Path(__file__).with_name("corpus")
UNITS = tuple(
    Unit(CORPUS / f"{name}.c", (), functions)
    for name, functions in {
        "checksums": ("crc32_nibbles", "string_hash", "mix_words"),
        "text": ("copy_bounded", "utf8_valid", "parse_number", "base64_decode"),
        "codecs": ("varint_encode", "varint_decode", "copy_match", "run_lengths"),
        "containers": ("lru_touch", "insertion_sort", "binary_search", "heap_sift"),
        "matrices": ("multiply", "prefix_sums", "clamp_all", "blend_rows"),
        "calls": ("put_escaped", "visit_matching", "run_program"),
    }.items()
)
LEAST = 500


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Program:
    directory = tmp_path_factory.mktemp("gauntlet")
    binary = directory / "corpus"
    subprocess.run(["gcc", "-O2", "-g", "-o", binary, *sorted(CORPUS.glob("*.c"))], check=True)
    return captured(directory, binary, [[str(binary), "2000000"]], UNITS)


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("sources")
    programs.fetch(directory)
    return directory


@pytest.fixture(scope="module")
def built(sources: Path) -> dict[str, tuple[Program, list[Unit]]]:
    return {
        source.package: programs.build(source, sources, sources / f"{source.package} run")
        for source in programs.PROGRAMS
    }


def counted(kind: str) -> Iterator[Verdicts]:
    verdicts = Verdicts()
    yield verdicts
    print(f"\nall functions {kind}: {verdicts.described()}")


@pytest.fixture(scope="module")
def of_corpus() -> Iterator[Verdicts]:
    yield from counted("of the corpus")


@pytest.fixture(scope="module")
def of_programs() -> Iterator[Verdicts]:
    yield from counted("of real programs")


def check(program: Program, unit: Unit, function: str, total: Verdicts, per_kind: int = 1) -> None:
    verdicts = run_gauntlet(program, unit, function, per_kind)
    total.add(verdicts)
    print(f"\n{function}: {verdicts.described()}")
    print("\n".join(verdicts.named()))
    assert verdicts.wrong >= 10
    assert not verdicts.survivors, "graded tested:\n" + "\n".join(verdicts.survivors)


@pytest.mark.full
@pytest.mark.parametrize(
    ("unit", "function"),
    [pytest.param(unit, function, id=function) for unit in UNITS for function in unit.functions],
)
def test_no_wrong_body_is_graded_tested(unit: Unit, function: str, corpus: Program, of_corpus: Verdicts) -> None:
    check(corpus, unit, function, of_corpus)


@pytest.mark.full
@pytest.mark.parametrize(
    ("package", "function"),
    [
        pytest.param(source.package, function, id=f"{source.package}-{function}")
        for source in programs.PROGRAMS
        for _, functions in source.units
        for function in functions
    ],
)
def test_no_wrong_body_of_a_real_program_is_graded_tested(
    package: str, function: str, built: dict[str, tuple[Program, list[Unit]]], of_programs: Verdicts
) -> None:
    program, units = built[package]
    (unit,) = (unit for unit in units if function in unit.functions)
    check(program, unit, function, of_programs, per_kind=2)


@pytest.mark.full
def test_there_were_enough_wrong_bodies(of_corpus: Verdicts, of_programs: Verdicts) -> None:
    """Runs last: the figures of all functions together."""
    assert of_corpus.wrong >= LEAST, of_corpus.described()
    assert of_programs.wrong >= LEAST, of_programs.described()
