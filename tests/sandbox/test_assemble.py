"""The assembler runs on hostile text within limits, and its messages carry nothing out."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from compiler_ai.sandbox.assemble import Limits, assemble
from compiler_ai.sandbox.errors import AssembleError

SMALL = Limits(cpu_s=2, wall_s=10, memory_bytes=256 << 20, file_bytes=1 << 20)
REPEAT_BOMB = ".rept 100000\n.rept 100000\nnop\n.endr\n.endr\n"


def test_good_text_becomes_an_object() -> None:
    assert assemble(".text\nf: ret\n", ["as"]).startswith(b"\x7fELF")


@pytest.mark.parametrize(
    "text",
    [
        ".text\n" + REPEAT_BOMB,
        ".text\n.space 1<<33\n",
        ".macro m\nm\nm\n.endm\nm\n",
        ".data\n.fill 1<<20, 8, 1<<30\n" * 9,
    ],
    ids=["nested .rept", ".space", "recursive macro", ".fill"],
)
def test_bombs_are_stopped(text: str) -> None:
    with pytest.raises(AssembleError):
        assemble(text, ["as"], SMALL)


@pytest.mark.parametrize(
    "text", ['.include "{}"\n', '# 1 "{}"\n.error "x"\n', '.incbin "{}"\nbad\n', '.macro a\n.include "{}"\n.endm\na\n']
)
def test_no_text_of_a_file_leaks(tmp_path: Path, text: str) -> None:
    secret = tmp_path / "secret"
    secret.write_text("sw0rdf1sh hunter2\n")
    with pytest.raises(AssembleError) as caught:
        assemble(text.format(secret), ["as"])
    assert "sw0rdf1sh" not in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert str(tmp_path) not in str(caught.value)


def test_the_line_of_an_error_is_told() -> None:
    with pytest.raises(AssembleError, match="line 2: no such instruction"):
        assemble("nop\nbogus %eax\n", ["as"])


def test_a_missing_assembler_is_a_typed_error() -> None:
    with pytest.raises(AssembleError, match="cannot start"):
        assemble("nop\n", ["/nonexistent/as"])


def test_nothing_stays_in_the_temporary_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(AssembleError):
        assemble("bogus\n", ["as"])
    assert list(tmp_path.iterdir()) == []
