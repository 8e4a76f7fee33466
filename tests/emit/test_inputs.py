"""What a link's inputs say of companions."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from compiler_ai.emit import inputs, marks
from compiler_ai.emit.placing import companion_path

DIGEST = "0123456789abcdef" * 4


def made(path: Path, text: str) -> Path:
    subprocess.run(["as", "-o", str(path)], input=text.encode(), check=True)
    return path


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    made(tmp_path / "asks.o", "\t.text\n\tnop\n" + marks.needs(DIGEST))
    made(tmp_path / "is.o", "\t.text\n\tnop\n" + marks.belongs(DIGEST, ["memcpy", "memset"]))
    made(tmp_path / "a_member_with_a_name_longer_than_sixteen.o", "\t.text\n\tret\n" + marks.needs(DIGEST))
    made(tmp_path / "odd.o", "\t.text\n\tret\n\t.section .comment\n\t.byte 1\n")
    return tmp_path


def archive(*words: str) -> None:
    subprocess.run(["ar", *words], check=True)


def test_marks_are_read_back():
    assert marks.needed(marks.needs(DIGEST).encode()) == [DIGEST]
    assert marks.own(marks.belongs(DIGEST, ["memcpy"]).encode()) == {DIGEST: ["memcpy"]}
    assert marks.own(marks.needs(DIGEST).encode()) == {}


@pytest.mark.usefixtures("tree")
def test_objects():
    found = inputs.read(["-o", "asks.o", "odd.o", "asks.o", "is.o", "missing.o", "-lmissing"])
    assert [(one.path, one.member, one.position) for one in found.wanted] == [("asks.o", "", 3)]
    assert found.present == {DIGEST}


@pytest.mark.usefixtures("tree")
@pytest.mark.parametrize("kind", ["rcs", "rcsT"])
def test_archives_with_long_names_and_odd_sizes(kind):
    archive(kind, "libx.a", "odd.o", "a_member_with_a_name_longer_than_sixteen.o", "asks.o")
    for words in (["libx.a"], ["-L.", "-lx"], ["-L", ".", "-l:libx.a"], ["-L.", "-l", "x"]):
        members = [one.member for one in inputs.read(words).wanted]
        assert members == ["a_member_with_a_name_longer_than_sixteen.o", "asks.o"]


def test_a_shared_library_hides_the_archive_unless_static(tree):
    archive("rcs", "libx.a", "asks.o")
    (tree / "libx.so").write_bytes(b"")
    assert not inputs.read(["-L.", "-lx"]).wanted
    assert inputs.read(["-static", "-L.", "-lx"]).wanted
    assert not inputs.read(["-Bstatic", "-Bdynamic", "-L.", "-lx"]).wanted


def test_damaged_archives_end_where_the_damage_begins(tree):
    archive("rcs", "libx.a", "asks.o", "odd.o")
    content = (tree / "libx.a").read_bytes()
    for length in range(0, len(content), 37):
        (tree / "cut.a").write_bytes(content[:length])
        inputs.read(["cut.a"])
    (tree / "cut.a").write_bytes(content.replace(b"`\n", b"``"))
    assert not inputs.read(["cut.a"]).wanted


def test_response_files_are_read_into_the_line(tree):
    (tree / "words").write_text('asks.o "a b.o" @more')
    (tree / "more").write_text("is.o")
    assert inputs.expanded(["-o", "x", "@words"]) == ["-o", "x", "asks.o", "a b.o", "is.o"]


@pytest.mark.parametrize("word", ["-r", "-T", "-Tscript.ld", "--script=x", "--wrap=f", "-i"])
def test_links_that_get_nothing_added(word):
    assert inputs.refusal(["a.o", word])


def test_links_that_do():
    assert not inputs.refusal(["-shared", "-Ttext=0x1000", "-rpath", "/x", "-static", "-pie", "a.o"])


def test_names():
    assert companion_path("x/foo.o") == "x/foo.aicc.o"
    assert companion_path("foo") == "foo.aicc.o"
    assert companion_path("foo.1.obj") == "foo.1.aicc.obj"
