"""`aicc-tool explain` of a function that the last tuning left alone, or did not come to the end of."""

from __future__ import annotations

import subprocess
from pathlib import Path

from compiler_ai.profile.model import Profile, Run
from compiler_ai.report import results


def test_why_a_function_was_left_alone_is_said_again(tmp_path: Path) -> None:
    project = tmp_path / ".aicc"
    project.mkdir()
    results.save(project, [], {"luaV_execute": "it accesses volatile memory"})

    def explained(function: str) -> subprocess.CompletedProcess[str]:
        words = ["aicc-tool", "explain", function]
        return subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)

    said = explained("luaV_execute")
    assert (said.returncode, said.stdout) == (0, "luaV_execute: left alone: it accesses volatile memory\n")
    assert explained("main").returncode == 1


def test_what_an_interrupted_tuning_has_not_finished_is_named(tmp_path: Path) -> None:
    project = tmp_path / ".aicc"
    project.mkdir()
    results.save(project, [], {}, ["slow", "waiting"])
    Profile((Run(("prog",), "perf", "cycles", "samples", 1),), ()).save(project / "profile.json")

    def said(*words: str) -> str:
        done = subprocess.run(["aicc-tool", *words], cwd=tmp_path, capture_output=True, text=True, check=True)
        return done.stdout

    assert said("explain", "slow").startswith("not finished: slow: the last tuning was stopped before, or still runs")
    (profiled, line) = said("report").splitlines()
    assert profiled.startswith("Profiled: prog")
    assert line.startswith("not finished: slow, waiting: ")
    said("report", "--html", "page.html")
    assert line in (tmp_path / "page.html").read_text()
