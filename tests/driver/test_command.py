"""A GCC command line taken apart: inputs, output, and what a repetition needs."""

from __future__ import annotations

from pathlib import Path

import pytest

from compiler_ai.driver import command, units


def test_dependency_output_and_paths_are_not_repeated():
    parsed = command.parse(
        [
            "-O2",
            "-MD",
            "-MF",
            "a.d",
            "-MT",
            "a.o",
            "-DX",
            "-I",
            "inc",
            "-c",
            "sub/a.c",
            "-o",
            "out/a.o",
            "-pipe",
            "-save-temps",
        ]
    )
    assert parsed.kept == ["-O2", "-DX", "-I", "inc"]
    assert parsed.sources == ["sub/a.c"]
    assert command.object_path(parsed, "sub/a.c", "/w") == "/w/out/a.o"


@pytest.mark.parametrize(
    ("words", "path"),
    [
        (["-c", "sub/a.c"], "/w/a.o"),
        (["-shared", "-fPIC", "sub/a.c", "b.c", "-o", "lib/a.so"], "/w/lib/a.so-a.o"),
        (["sub/a.c", "b.c"], "/w/a.out-a.o"),
    ],
)
def test_objects_that_a_link_command_does_not_leave_have_names_of_their_own(words: list[str], path: str) -> None:
    """A library built twice, static from objects and shared from its sources at once, has two compiles of each source."""
    assert command.object_path(command.parse(words), "sub/a.c", "/w") == path


def test_only_sources_of_a_high_level_language_count():
    parsed = command.parse(
        ["a.c", "b.S", "c.s", "d.o", "-lm", "libx.a", "e.cpp", "-x", "assembler", "f.c", "-x", "c", "g.txt"]
    )
    assert parsed.sources == ["a.c", "e.cpp", "g.txt"]


def test_commands_that_run_no_assembler():
    for line in (
        "-E a.c",
        "-S a.c",
        "-fsyntax-only a.c",
        "--version",
        "-print-prog-name=as",
        "-M a.c",
        "--help=target",
    ):
        assert not command.parse(line.split()).makes_assembly, line
    assert command.parse(["a.c"]).makes_assembly


def test_an_option_argument_is_no_input():
    parsed = command.parse(["-include", "config.h", "--param", "x=1", "-L", "dir", "a.c", "-Xlinker", "foo.c"])
    assert parsed.sources == ["a.c"]


def test_the_launcher_asks_for_each_variable_that_a_record_keeps():
    launcher = Path(__file__).parents[2].joinpath("bin/aicc").read_text()
    key = launcher[launcher.index("name_key() {") : launcher.index("do_again() {")]
    assert {name for name in units._ENVIRONMENT if f"${{{name}+=${name}}}" in key} == set(units._ENVIRONMENT)


def test_units_survive_their_file(tmp_path):
    words = ["-DX=a\nb", "-DY=50%", "-DZ=é"]
    units.record(str(tmp_path), ["/usr/bin/gcc", "-m64"], words, "s/a.c", str(tmp_path / "a.o"), "/w")
    (unit,) = units.load_all(str(tmp_path))
    assert unit.arguments == tuple(words)
    assert (unit.source, unit.directory, unit.compiler) == ("/w/s/a.c", "/w", ("/usr/bin/gcc", "-m64"))


def test_a_damaged_unit_file_is_passed_over(tmp_path):
    units.record(str(tmp_path), ["gcc"], [], "a.c", "/w/a.o", "/w")
    (tmp_path / "units" / "bad.unit").write_bytes(b"aicc-unit 1\nsource=\xff")
    (tmp_path / "units" / "short.unit").write_text("aicc-unit 1\n")
    assert len(list(units.load_all(str(tmp_path)))) == 1
