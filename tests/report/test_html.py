"""The report page is one self-contained file, and nothing a candidate says gets into it as markup."""

from __future__ import annotations

from compiler_ai import artifacts as a
from compiler_ai.profile.model import Profile, Run
from compiler_ai.report import results as stored
from compiler_ai.report.html import plot, render, side_by_side
from compiler_ai.report.table import expected_gain, rejected_by

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
    rows = side_by_side("\tmovl\t$1, %eax\n\tret\n", "\tmovl  $2, %eax\n\tret\n\tnop\n")
    assert [row.kind for row in rows] == ["changed", "same", "added"]


def test_the_plot_keeps_the_order_of_values():
    drawn = plot(result().rewrite.timing)
    assert drawn.low < drawn.middle < drawn.high
    assert list(drawn.dots) == sorted(drawn.dots)


def test_the_expected_gain_is_amdahls():
    assert expected_gain([result()], PROFILE) == 2.0  # the one function is all of the profile
    assert rejected_by(result()) == "screen 1"


def test_results_survive_their_file(tmp_path):
    stored.save(tmp_path, [result()])
    assert stored.load(tmp_path) == [result()]


def test_bytes_that_are_no_text_are_shown_and_not_fatal(tmp_path, monkeypatch):
    """The store keeps such bytes; the page has to as well."""
    import argparse
    from dataclasses import replace

    from compiler_ai.tool import report

    odd = result()
    assert odd.rewrite is not None
    odd.rewrite = replace(odd.rewrite, candidate=replace(odd.rewrite.candidate, body="\tnop # \udcff\n\tret\n"))
    monkeypatch.setattr(report, "project_directory", lambda: tmp_path)
    monkeypatch.setattr(report.stored_results, "load", lambda _project: [odd])
    PROFILE.save(tmp_path / "profile.json")
    assert report.run(argparse.Namespace(html=tmp_path / "page.html")) == 0
    assert "\\udcff" in (tmp_path / "page.html").read_text()
