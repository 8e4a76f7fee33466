"""Response files are read as libiberty reads them, so that aicc sees the inputs and options that GCC sees."""

from __future__ import annotations

import itertools
import subprocess

import pytest

from compiler_ai.driver import command, options, response

# Every word is a -D: a -wrapper is given the preprocessor's command, and with it each of them as GCC understood it.
TEXTS = [
    "-DO2 -Dc -Da.c",
    "  \t\n-DX=1\n\n-DY=2  ",
    "'-Da b' \"-Dc d\" -De\\ f",
    "-DX='a'\"b\"c",
    "'-Dit\\'s' \"-Da \\\" b\" -D\\\\ '-Da\\\\b'",
    "-DX='' -DY=\"\" -DZ",
    "-DX='unclosed quote here",
    "-Dtrailing\\",
    "-Da\v-Db\f-Dc\r-Dd",
    "-DX=\u00fc$HOME`x`*?",
]


@pytest.mark.parametrize("text", TEXTS)
def test_words_are_those_that_gcc_sees(tmp_path, text):
    listed, echo = tmp_path / "words", tmp_path / "echo"
    listed.write_text(text, newline="")
    echo.write_text('#!/bin/sh\nfor word; do printf "%s\\0" "$word"; done\n')
    echo.chmod(0o755)
    line = ["gcc", "-wrapper", str(echo), "-E", "-x", "c", f"@{listed}", "/dev/null"]
    seen = subprocess.run(line, capture_output=True, check=True).stdout.decode().split("\0")
    assert pairs(seen) == list(response.words(text))


def pairs(words: list[str]) -> list[str]:
    """GCC hands `-DX` on as `-D X`."""
    return [a + b for a, b in itertools.pairwise(words) if a == "-D"]


def test_files_within_files_are_expanded_and_missing_ones_stay(tmp_path):
    (tmp_path / "inner").write_text("b.c -DX='p q'")
    (tmp_path / "outer").write_text(f"-c a.c @{tmp_path}/inner @{tmp_path}/missing")
    words = response.expanded(["-O2", f"@{tmp_path}/outer", "-g"])
    assert words == ["-O2", "-c", "a.c", "b.c", "-DX=p q", f"@{tmp_path}/missing", "-g"]
    assert command.parse([f"@{tmp_path}/outer"]).sources == ["a.c", "b.c"]


def test_a_file_that_names_itself_ends(tmp_path):
    (tmp_path / "loop").write_text(f"-DX @{tmp_path}/loop")
    assert len(response.expanded([f"@{tmp_path}/loop"])) == 2001


def test_only_files_with_options_of_ours_are_expanded_for_gcc(tmp_path):
    (tmp_path / "inner").write_text("-faicc-mode=off -DX='a b'")
    (tmp_path / "outer").write_text(f"-O2 @{tmp_path}/inner x-aicc.c")
    (tmp_path / "plain").write_text("-DPATH=/opt/arm-aicc/bin")
    ours, rest = options.parse([f"@{tmp_path}/outer", f"@{tmp_path}/plain"], {})
    assert ours.mode == "off"
    assert rest == ["-O2", "-DX=a b", "x-aicc.c", f"@{tmp_path}/plain"]
