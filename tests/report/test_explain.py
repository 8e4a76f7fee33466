"""`aicc-tool explain` of a function that the last tuning left alone."""

from __future__ import annotations

import subprocess
from pathlib import Path

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
