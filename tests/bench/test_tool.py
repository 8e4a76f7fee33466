"""What `aicc-tool bench` says to what it cannot do: one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from compiler_ai.tool.main import main


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["models", "--samples", "3"], "--samples: 3 is none of 1, 4, 16"),
        (["models", "--no-search"], "leaves nothing to compare"),
        (["models", "--model", "gpt"], "not a model"),
        (["models"], "profile.json is missing"),
        (["supercoder", "none.parquet"], "none.parquet: there is no such file"),
        (["supercoder", "none.parquet", "--samples", "0"], "positive numbers"),
        (["supercoder", "none.parquet", "--", "-O2"], "only aicc's own options"),
    ],
)
def test_one_line(
    words: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / ".aicc").mkdir()
    monkeypatch.chdir(tmp_path)
    assert main(["bench", *words]) == 1
    printed = capsys.readouterr().err
    assert said in printed
    assert printed.count("\n") == 1
