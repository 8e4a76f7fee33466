"""The report page is one self-contained file, and nothing a candidate says gets into it as markup."""

from __future__ import annotations

import subprocess
from dataclasses import replace

import pytest

from compiler_ai import artifacts as a
from compiler_ai.asm import listing
from compiler_ai.profile.model import Profile, Run
from compiler_ai.report import results as stored
from compiler_ai.report.html import render
from compiler_ai.report.plot import plot
from compiler_ai.report.samples import shares
from compiler_ai.report.sides import side_by_side
from compiler_ai.report.table import expected_gain
from compiler_ai.report.tally import tally

HOSTILE = "<script>alert(1)</script>[bold]"


def result() -> a.FunctionResult:
    profiled = a.ProfiledFunction("hot", "/p/prog", "x.c", 16, 32, 50.0)
    command = a.CompileCommand(("gcc",), (), "/p/x.c", "/p/x.o", "/p", "x86_64")
    text = "\t.text\n\t.globl\thot\n\t.type\thot, @function\nhot:\n\tmovl\t$1, %eax\n\tret\n\t.size\thot, .-hot\n"
    baseline = a.Baseline("hot", command, text, "k" * 64, 6)
    candidate = a.Candidate("hot", "\tmovl\t$2, %eax\n\tret\n", "", "search", HOSTILE)
    interval = a.Interval(2.0, 1.9, 2.1)
    timing = a.Timing(interval, None, (1.9, 2.0, 2.1), 10.0, 5.0, 30)
    evidence = a.Evidence(a.Grade.TESTED, 3, 4, 5, 2, 2)
    rewrite = a.Rewrite("k" * 64, candidate, evidence, timing, "x86_64", "x.c", 6, 0.5, "cpu")
    refused = a.Trial(candidate, "d", a.Rejection("screen.text", HOSTILE))
    return a.FunctionResult(a.HotFunction(profiled, 0.5), baseline, [refused], rewrite)


PROFILE = Profile((Run(("prog",), "perf", "cpu-clock", "samples", 100),), (result().hot.profiled,))


def test_the_page_is_self_contained_and_escapes_everything():
    page = render([result()], PROFILE)
    assert "http:" not in page
    assert "https:" not in page
    assert "<script" not in page
    assert "&lt;script&gt;" in page


def test_bodies_stand_side_by_side():
    (first, second, third) = side_by_side(
        "\tmovl\t$1, %eax\n\tret\n", "\tmovl  $2, %eax\n\tret\n\tnop\n", {0: 0.75, 1: 0.25}
    )
    assert [row.kind for block in (first, second, third) for row in block.rows] == ["changed", "same", "added"]
    assert [(block.differs, block.share, block.sizes) for block in (first, second, third)] == [
        (True, 0.75, (1, 1)),
        (False, 0.25, (1, 1)),
        (True, 0.0, (0, 1)),
    ]


def test_what_local_labels_are_called_makes_no_difference():
    assert [block.differs for block in side_by_side(".L3:\n\tjne\t.L3\n", ".Laicc_s1_L3:\n\tjne\t.Laicc_s1_L3\n")] == [
        False
    ]


def test_samples_are_those_of_the_instructions_that_the_assembler_puts_there():
    one = result()
    profiled = replace(one.hot.profiled, size_bytes=6, samples=(a.Sample(0, 1.0), a.Sample(2, 1.0), a.Sample(5, 2.0)))
    assert shares(replace(one, hot=a.HotFunction(profiled, 0.5))) == {0: 0.5, 1: 0.5}
    other = replace(profiled, size_bytes=7)  # the program held another body
    assert shares(replace(one, hot=a.HotFunction(other, 0.5))) == {}


def test_samples_of_the_cold_part_follow_those_of_the_function():
    text = "int g(int); int f(int *p, int n) { if (__builtin_expect(n < 0, 0)) { for (int i = 0; i < 9; i++) p[i] = g(i); __builtin_abort(); } return p[n]; }"
    made = subprocess.run(
        ["gcc", "-O2", "-S", "-x", "c", "-", "-o", "-"], input=text, capture_output=True, text=True, check=True
    )
    unit = listing.parse(made.stdout)
    function = unit.function("f")
    assert len(function.parts) == 2, "GCC splits it"
    size = 11
    profiled = a.ProfiledFunction("f", "/p/x", "x.c", 0, size, 3.0, (a.Sample(0, 1.0), a.Sample(size, 2.0)))
    baseline = replace(result().baseline, function="f", listing_text=made.stdout, size_bytes=size)
    found = shares(replace(result(), hot=a.HotFunction(profiled, 1.0), baseline=baseline))
    (first, second) = sorted(found)
    assert (found[first], found[second]) == (pytest.approx(1 / 3), pytest.approx(2 / 3))
    assert second >= function.parts[1].start - function.entry - 1 > first


def test_the_plot_keeps_the_order_of_values():
    timing = result().rewrite.timing
    slower = replace(timing, warm=a.Interval(0.9, 0.8, 0.95), placement_ratios=(0.8, 0.9))
    drawn = plot([("fast", "", timing), ("slow", "", slower)])
    fast, slow = drawn.strips
    assert slow.low < slow.middle < slow.high < drawn.one < fast.low < fast.middle < fast.high
    assert list(fast.dots) == sorted(fast.dots)
    assert plot([]) is None


def test_the_page_says_what_was_profiled_and_how_that_ended():
    run = Run(("prog", "a b"), "perf", "cpu-clock", "samples", 100, 2.0, "", "2026-01-02T03:04:05+00:00", 3)
    page = render([result()], replace(PROFILE, runs=(run,)))
    assert "prog &#39;a b&#39; (perf, cpu-clock, 100 samples, weight 2, 2026-01-02 03:04 UTC, status 3)" in page


def test_a_tuning_without_a_rewrite_still_is_a_page():
    none = replace(result(), rewrite=None, skipped="no call was captured")
    page = render([none, none], PROFILE)
    assert "<b>0 of 2</b> hot functions" in page
    assert "no call was captured" in page


def test_the_expected_gain_is_amdahls():
    assert expected_gain([result()], PROFILE) == 2.0  # the one function is all of the profile
    assert tally(result()).rejected_by == "screen 1"


def test_results_survive_their_file(tmp_path):
    stored.save(tmp_path, [result()], {"main": "it reads the program counter"})
    assert stored.load(tmp_path) == [result()]
    assert stored.left_alone(tmp_path) == {"main": "it reads the program counter"}


def test_bytes_that_are_no_text_are_shown_and_not_fatal(tmp_path, monkeypatch):
    """The store keeps such bytes; the page has to as well."""
    import argparse

    from compiler_ai.tool import report

    odd = result()
    assert odd.rewrite is not None
    odd.rewrite = replace(odd.rewrite, candidate=replace(odd.rewrite.candidate, body="\tnop # \udcff\n\tret\n"))
    monkeypatch.setattr(report, "project_directory", lambda: tmp_path)
    stored.save(tmp_path, [], {})
    monkeypatch.setattr(report.stored_results, "load", lambda _project: [odd])
    PROFILE.save(tmp_path / "profile.json")
    assert report.run(argparse.Namespace(html=tmp_path / "page.html")) == 0
    assert "\\udcff" in (tmp_path / "page.html").read_text()
