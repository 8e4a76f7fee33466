"""Constants, tables of code addresses and static variables of functions, whose names say little, on their way between listings."""

from __future__ import annotations

import subprocess
from collections import Counter
from pathlib import Path

import pytest
from compiler_ai.toolchains.x86_64 import X86_64

from compiler_ai.artifacts import Candidate, Rejection
from compiler_ai.asm import listing as listing_model
from compiler_ai.asm.normalise import uncovered
from compiler_ai.asm.splice import replace
from compiler_ai.proposers.transplant import Source, transplant
from compiler_ai.screen.gate import Screener

INTERPRETER = """
#include <stdio.h>
__attribute__((noinline)) int other(int i) { static const int steps[4] = {2, 4, 6, 8}; return steps[i & 3]; }
__attribute__((noinline)) int run(const unsigned char *code, int x)
{
    static const void *const table[] = {&&stop, &&add, &&twice, &&negate};
    static const int steps[4] = {1, 3, 5, 7};
    static const char *const names[] = {"four", "times", "seven", "is"};
    static int runs;
    runs += code[1];
    goto *table[*code & 3];
add: x += steps[code[1] & 3] + names[code[1] & 3][0]; code += 2; goto *table[*code & 3];
twice: x *= 2; code++; goto *table[*code & 3];
negate: x = -x; code++; goto *table[*code & 3];
stop: return x + runs;
}
int main(void)
{
    static const unsigned char code[] = {1, 1, 2, 3, 1, 2, 2, 0};
    for (int i = 0; i < 5; i++)
        printf("%d %d\\n", run(code, i), other(i));
    return 0;
}
"""
CLANG = ("clang-19", "-O2", "-fPIE", "-fno-addrsig", "-fno-stack-protector")


def listing(directory: Path, *words: str, text: str = INTERPRETER) -> listing_model.Listing:
    (directory / "unit.c").write_text(text)
    said = subprocess.run(
        [*words, "-S", "-o", "-", "unit.c"], cwd=directory, check=True, capture_output=True, text=True
    )
    return listing_model.parse(said.stdout)


def output_of(text: str, directory: Path) -> str:
    (directory / "try.s").write_text(text)
    subprocess.run(["gcc", "try.s", "-o", "try"], cwd=directory, check=True)
    return subprocess.run(["./try"], cwd=directory, check=True, capture_output=True, text=True, timeout=60).stdout


@pytest.mark.parametrize("flags", [("-Os",), ("-O1", "-fno-jump-tables")], ids=str)
def test_an_interpreter_brings_its_table_and_its_constants(flags: tuple[str, ...], tmp_path: Path) -> None:
    target = listing(tmp_path, "gcc", "-O3")
    statics = Counter(runs=1)
    source = Source(listing(tmp_path, "gcc", *flags), False, "search", " ".join(flags), (), lambda: statics)
    candidate = transplant(source, target, "run", "p", X86_64)
    assert isinstance(candidate, Candidate)
    assert "table" in candidate.extra  # of the candidate's own code addresses
    spliced = replace(target, "run", candidate, 0)
    assert output_of(spliced, tmp_path) == output_of(target.text, tmp_path)
    screener = Screener(target.text, "run", X86_64, ("as", "--64"))
    assert screener.screen(candidate, spliced).rejection is None


def test_another_compilers_interpreter_passes_the_screen(tmp_path: Path) -> None:
    """GCC's own table of code addresses stays behind, and nothing refers to it."""
    target, source = listing(tmp_path, "gcc", "-O3"), listing(tmp_path, *CLANG)
    text = source.text.replace("run.runs", "aicc.static.runs")
    lines = [line for line in text.splitlines(keepends=True) if not ("static.runs" in line and line.lstrip()[0] == ".")]
    there = Source(listing_model.parse("".join(lines)), True, "search", "clang", ())
    candidate = transplant(there, target, "run", "p", X86_64)
    assert isinstance(candidate, Candidate), candidate
    spliced = replace(target, "run", candidate, 0)
    assert output_of(spliced, tmp_path) == output_of(target.text, tmp_path)
    assert Screener(target.text, "run", X86_64, ("as", "--64")).screen(candidate, spliced).rejection is None


def test_a_candidate_that_goes_on_using_the_old_table_is_refused(tmp_path: Path) -> None:
    target = listing(tmp_path, "gcc", "-O3")
    table = next(label for label in target.data if label.startswith("table."))
    body = f"\t.cfi_startproc\n\tmovq\t{table}(%rip), %rax\n\tret\n\t.cfi_endproc\n"
    candidate = Candidate("run", body)
    screener = Screener(target.text, "run", X86_64, ("as", "--64"))
    rejection = screener.screen(candidate, replace(target, "run", candidate, 0)).rejection
    assert rejection is not None
    assert rejection.stage == "screen.object"
    assert f"the candidate makes {table}" in rejection.reason


@pytest.mark.parametrize("words", [("gcc", "-O2"), CLANG], ids=lambda words: words[0])
def test_a_jump_table_may_lie_in_a_section_that_gccs_unit_has_not(words: tuple[str, ...], tmp_path: Path) -> None:
    cases = "".join(
        f"case {n}: return x {op} {n + 3};" for n, op in enumerate(["+", "*", "^", "-", "|", "&", "%", "/"])
    )
    text = f"int f(unsigned kind, int x) {{ switch (kind) {{ {cases} }} return -1; }}\n"
    target = listing(tmp_path, "gcc", "-O3", "-fno-jump-tables", text=text)
    assert ".rodata" not in target.text
    candidate = transplant(
        Source(listing(tmp_path, *words, text=text), True, "search", "it", ()), target, "f", "p", X86_64
    )
    assert isinstance(candidate, Candidate)
    assert ".rodata" in candidate.body + candidate.extra
    spliced = replace(target, "f", candidate, 0)
    assert Screener(target.text, "f", X86_64, ("as", "--64")).screen(candidate, spliced).rejection is None


@pytest.mark.parametrize("words", [("gcc", "-O2", "-fno-inline"), (*CLANG, "-fno-inline")], ids=lambda words: words[0])
def test_a_function_that_gcc_inlined_comes_along(words: tuple[str, ...], tmp_path: Path) -> None:
    """The key of a body without a call says nothing of what the call would reach."""
    text = """
    #include <stdio.h>
    int place(const int *values, int index) { return values[index & 7] ^ index; }
    __attribute__((noinline)) int total(const int *values, int n) { int s = 0; while (n-- > 0) s += place(values, n); return s; }
    int main(void) { int v[8] = {3, 1, 4, 1, 5, 9, 2, 6}; printf("%d %d\\n", total(v, 20), place(v, 5)); return 0; }
    """
    target = listing(tmp_path, "gcc", "-O2", "-finline-functions", text=text)
    total = target.function("total")
    assert total is not None
    assert "place" not in total.references
    source = Source(listing(tmp_path, *words, text=text), "clang" in words[0], "search", "it", ())
    candidate = transplant(source, target, "total", "p", X86_64)
    assert isinstance(candidate, Candidate)
    assert "call" in candidate.body
    assert uncovered(target, "total", candidate) == []
    spliced = replace(target, "total", candidate, 0)
    assert output_of(spliced, tmp_path) == output_of(target.text, tmp_path)
    assert Screener(target.text, "total", X86_64, ("as", "--64")).screen(candidate, spliced).rejection is None


def test_a_static_variable_whose_name_is_not_alone_is_refused(tmp_path: Path) -> None:
    target, theirs = listing(tmp_path, "gcc", "-O3"), listing(tmp_path, "gcc", "-Os")
    for statics in (Counter[str](), Counter(runs=2)):
        source = Source(theirs, False, "search", "gcc -Os", (), lambda statics=statics: statics)  # type: ignore[misc]
        refused = transplant(source, target, "run", "p", X86_64)
        assert isinstance(refused, Rejection)
        assert "may be another one" in refused.reason


@pytest.mark.parametrize("words", [("gcc", "-Os"), CLANG], ids=lambda words: words[0])
@pytest.mark.parametrize("visibility", ["hidden", "internal", "protected"])
def test_how_far_a_callee_is_seen_stays_as_in_gccs_unit(
    words: tuple[str, ...], visibility: str, tmp_path: Path
) -> None:
    """GCC says it of functions of other units behind the last constant, which comes along."""
    text = f"""
    __attribute__((visibility("{visibility}"))) int place(int value);
    double total(const double *values, int n) {{ double s = 0.1; while (n-- > 0) s += values[n] * 2.7 + place(n); return s; }}
    """
    target = listing(tmp_path, "gcc", "-O3", text=text)
    source = Source(listing(tmp_path, *words, text=text), words[0] != "gcc", "search", "it", ())
    candidate = transplant(source, target, "total", "p", X86_64)
    assert isinstance(candidate, Candidate)
    spliced = replace(target, "total", candidate, 0)
    assert Screener(target.text, "total", X86_64, ("as", "--64")).screen(candidate, spliced).rejection is None
    assert f".{visibility}\tplace" in spliced


def test_strings_come_along_whose_section_was_opened_before(tmp_path: Path) -> None:
    """A listing names what its sections hold once; a candidate's own text has to stand alone."""
    text = """
    extern int say(const char *, const char *);
    int first(int x) { return x ? say("one", "two") : 0; }
    int total(int x, const int *v) { int s = 0; for (int i = 0; i < x; i++) s += v[i]; return say("three", "four") + say("five", "six") + s; }
    int last(int x) { return x ? say("seven", "eight") : 0; }
    """
    target = listing(tmp_path, "gcc", "-O3", text=text)
    source = Source(listing(tmp_path, "gcc", "-Os", text=text.replace('"three"', '"tree"')), False, "search", "it", ())
    candidate = transplant(source, target, "total", "p", X86_64)
    assert isinstance(candidate, Candidate)
    assert ".rodata.str1.1" in candidate.extra
    spliced = replace(target, "total", candidate, 0)
    assert Screener(target.text, "total", X86_64, ("as", "--64")).screen(candidate, spliced).rejection is None


def test_who_calls_whom_how_often_stays_behind(tmp_path: Path) -> None:
    """Clang says it to the linker behind the last constant when it has a profile."""
    text = "int place(int); double total(const double *v, int n) { double s = 0.1; while (n-- > 0) s += v[n] * 2.7 + place(n); return s; }"
    target, other = listing(tmp_path, "gcc", "-O3", text=text), listing(tmp_path, *CLANG, text=text)
    code, ident, notes = other.text.partition("\t.ident")
    constant = '\t.section\t.rodata.cst8,"aM",@progbits,8\n.LCPI9_9:\n\t.quad\t1\n'
    profiled = (
        code.replace(".LCPI0_0(%rip)", ".LCPI9_9(%rip)", 1)
        + constant
        + "\t.cg_profile total, place, 1\n"
        + ident
        + notes
    )
    candidate = transplant(
        Source(listing_model.parse(profiled), True, "search", "it", ()), target, "total", "p", X86_64
    )
    assert isinstance(candidate, Candidate), candidate
    assert ".cg_profile" not in candidate.body + candidate.extra
    spliced = replace(target, "total", candidate, 0)
    assert Screener(target.text, "total", X86_64, ("as", "--64")).screen(candidate, spliced).rejection is None


RECURSIVE = """
#include <stdio.h>
int walk(int n) { return n < 2 ? n : walk(n - 1) + walk(n - 2) * 3; }
int main(void) { printf("%d\\n", walk(12)); return 0; }
"""


def test_a_function_that_calls_itself_though_it_may_be_replaced_at_run_time(tmp_path: Path) -> None:
    target = listing(tmp_path, "gcc", "-O2", "-fPIC", text=RECURSIVE)
    theirs = listing(tmp_path, "gcc", "-O2", "-fPIC", "-fno-inline", text=RECURSIVE)
    assert all("call\twalk.localalias" in one.text for one in (target, theirs))
    candidate = transplant(Source(theirs, False, "search", "gcc", (), Counter), target, "walk", "p", X86_64)
    assert isinstance(candidate, Candidate), candidate
    text = replace(target, "walk", candidate, 16)
    assert output_of(text, tmp_path) == output_of(target.text, tmp_path)
