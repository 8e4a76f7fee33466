"""What a command says is whole where no terminal shows it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

_SAID = "a line of words " * 20
_PRINTS = f"from compiler_ai.tool.console import opened; opened().print({_SAID!r})"


@pytest.mark.parametrize(("columns", "is_whole"), [("", True), ("40", False)])
def test_lines_in_a_pipe_are_folded_only_where_columns_says_so(columns: str, is_whole: bool) -> None:
    environment = {**os.environ, "COLUMNS": columns}
    said = subprocess.run([sys.executable, "-c", _PRINTS], env=environment, capture_output=True, text=True, check=True)
    assert (said.stdout.rstrip() == _SAID.rstrip()) is is_whole
    assert (said.stdout.count("\n") == 1) is is_whole
