"""A function's C text out of an answer: compiled in its unit, its body taken over, everything else of it left behind."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from compiler_ai.toolchains.x86_64 import X86_64

from compiler_ai.artifacts import Baseline, CompileCommand
from compiler_ai.asm import listing as listing_model
from compiler_ai.asm.splice import replace
from compiler_ai.models.base import Answer
from compiler_ai.proposers.answers import AnswerReader, Bodies
from compiler_ai.proposers.base import ProposalContext
from compiler_ai.proposers.written import Writing, WrittenError
from compiler_ai.screen.gate import ScreenResult, screen

UNIT = """\
#include <stdint.h>
#define LIMIT 65521u
#define JOINED(a, b) a##b
#define SUFFIXED(a) a##u
#define ASM(text) asm(text)
typedef struct { uint32_t low, high; } pair;
static uint32_t reduced(uint32_t x) { return x % LIMIT; }
uint32_t total;
uint32_t adler(pair start, const uint8_t *data, long length)
{
    for (long i = 0; i < length; i++) {
        start.low = reduced(start.low + data[i]);
        start.high = reduced(start.high + start.low);
    }
    return start.high << 16 | start.low;
}
uint32_t other(const uint8_t *data) { pair p = {1, 0}; return adler(p, data, 2) + LIMIT; }
"""
FASTER = """\
uint32_t adler(pair start, const uint8_t *data, long length)
{
    uint32_t low = start.low % LIMIT, high = start.high % LIMIT;
    for (long i = 0; i < length; i++) {
        low += data[i];
        if (low >= LIMIT)
            low -= LIMIT;
        high = reduced(high + low);
    }
    return high << 16 | low;
}
"""
SAME = UNIT[UNIT.index("uint32_t adler") : UNIT.index("uint32_t other")]


@pytest.fixture
def baseline(tmp_path: Path) -> Baseline:
    (tmp_path / "unit.c").write_text(UNIT)
    subprocess.run(["gcc", "-O2", "-S", "unit.c"], cwd=tmp_path, check=True)
    where = str(tmp_path)
    command = CompileCommand(("gcc",), ("-O2",), f"{where}/unit.c", f"{where}/unit.o", where, X86_64.name)
    return Baseline("adler", command, (tmp_path / "unit.s").read_text(), "key", 60)


@pytest.fixture
def writing(baseline: Baseline) -> Iterator[Writing]:
    with Writing(baseline, listing_model.parse(baseline.listing_text), ProposalContext(X86_64)) as writing:
        yield writing


def screened(baseline: Baseline, writing: Writing, text: str) -> ScreenResult:
    candidate = writing.body(text, "m1", "model x", "by x")
    assert candidate is not None
    spliced = replace(listing_model.parse(baseline.listing_text), "adler", candidate, baseline.size_bytes)
    return screen(candidate, baseline.listing_text, "adler", spliced, X86_64, ("as",))


def read(baseline: Baseline, text: str) -> Bodies:
    listing = listing_model.parse(baseline.listing_text)
    function = listing.function("adler")
    assert function is not None
    with AnswerReader(baseline, listing, function, ProposalContext(X86_64), None, ()) as reader:
        return reader.read(Answer(text), "m1", "x", "by x")


def test_the_body_is_what_the_units_compiler_makes_of_the_text(baseline: Baseline, writing: Writing) -> None:
    candidate = writing.body(FASTER, "m1", "model x", "by x")
    assert candidate is not None
    assert candidate.proposer == "model x"
    assert "C compiled with the unit's own options" in candidate.origin
    assert "65521" not in candidate.extra
    assert screened(baseline, writing, FASTER).object_bytes


def test_the_same_code_is_no_candidate(writing: Writing, baseline: Baseline) -> None:
    assert writing.body(SAME, "m1", "model x", "by x") is None
    assert read(baseline, f"```c\n{SAME}```") == Bodies(copied=True)


def test_tables_come_along(baseline: Baseline, writing: Writing) -> None:
    text = "static const uint8_t steps[4] = {1, 5, 3, 9};\n" + FASTER.replace(
        "data[i];", "data[i] + steps[data[i] & 3];"
    )
    candidate = writing.body(text, "m1", "model x", "by x")
    assert candidate is not None
    assert ".rodata" in candidate.extra
    assert screened(baseline, writing, text).object_bytes


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("low += data[i];", "low += data[i]", "answer.c:"),
        ("low += data[i];", "low += dta[i];", "'dta' undeclared"),
        ("uint32_t adler(pair", "uint64_t adler(pair", ""),
        ("low += data[i];", "low += system(data);", "system, which GCC's unit does not use"),
        ("low += data[i];", "low += total++;", ""),
        ("low += data[i];", "low += SUFFIXED(1) + UINT32_C(2);", ""),
        ("low += data[i];", 'ASM("syscall");', "'asm' is not allowed"),
        ("low += data[i];", 'JOINED(as, m)("syscall");', "undeclared"),
        ("low += data[i];", 'JOINED(_, Pragma)("GCC poison low");', "undeclared"),
    ],
)
def test_a_text_that_cannot_be_used_is_one_line(writing: Writing, old: str, new: str, reason: str) -> None:
    if not reason:  # right C; whether it does the same is not asked here
        assert writing.body(FASTER.replace(old, new), "m1", "model x", "by x") is not None
        return
    with pytest.raises(WrittenError) as refused:
        writing.body(FASTER.replace(old, new), "m1", "model x", "by x")
    assert reason in str(refused.value)
    assert "\n" not in str(refused.value)


def test_no_message_quotes_a_file(baseline: Baseline, tmp_path: Path) -> None:
    (tmp_path / "answer.c").write_text("secret\n" * 30)
    found = read(baseline, f"```c\n{FASTER.replace('low += data[i];', 'low += dta[i];')}```")
    assert not found.candidates
    assert "secret" not in found.reasons[0]


def test_a_table_that_fills_the_machine_is_screened_out(baseline: Baseline, writing: Writing) -> None:
    huge = "static const char huge[1L << 31] = {1}; low += huge[data[i]];"
    assert screened(baseline, writing, FASTER.replace("low += data[i];", huge)).rejection is not None


def test_a_clone_has_no_c_text(baseline: Baseline) -> None:
    listing = listing_model.parse(baseline.listing_text.replace("adler", "adler.constprop.0"))
    clone = Baseline("adler.constprop.0", baseline.command, listing.text, "key")
    with pytest.raises(WrittenError, match="no C text stands for it"):
        Writing(clone, listing, ProposalContext(X86_64))
