"""The comparison of objects that test_packages.py rests on: it tells functions that changed from functions that moved."""

from __future__ import annotations

import subprocess
from pathlib import Path

import object_code
import pytest

UNIT = """
int printf(const char *, ...);
static int helper(int a) __attribute__((noinline, noclone));
%s
int last(double x) { return printf("last %%f\\n", x * 2.5) + helper(3); }
static int helper(int a) { return a * 7 + %s; }
int table(int n) { switch (n) { case 0: return helper(1); case 1: return %s; case 2: return helper(2);
    case 3: return printf("3"); case 4: return 9; case 5: return helper(4); case 6: return 1; } return 0; }
const char *word(int n) { static const char *const words[] = { "no", "%s" }; return words[n]; }
"""
FIRST = 'int first(int n) { return printf("first\\n") + n; }'
OTHER = """int first(int n) { switch (n) { case 0: return printf("a"); case 1: return 77; case 2: return printf("bcd");
    case 3: return printf("e"); case 4: return 9; case 5: return n * 3; } return printf("first\\n") + n * 2; }"""


def objects(directory: Path, flags: str, *units: str) -> list[Path]:
    made = []
    for number, text in enumerate(units):
        source = directory / f"{number}.c"
        source.write_text(text)
        made.append(source.with_suffix(".o"))
        subprocess.run(["gcc", *flags.split(), "-c", str(source), "-o", str(made[-1])], cwd=directory, check=True)
    return made


@pytest.mark.parametrize("flags", ["-O2", "-O0", "-O2 -fPIC -ffunction-sections", "-Os"])
def test_what_moved_is_the_same_and_what_changed_is_not(tmp_path: Path, flags: str) -> None:
    one, other = objects(tmp_path, flags, UNIT % (FIRST, "1", "8", "yes"), UNIT % (OTHER, "1", "8", "yes"))
    assert one.read_bytes() != other.read_bytes()
    assert object_code.differing(one, other) == {"first"}
    assert object_code.differing(one, one) == set()
    assert {name for _, name in object_code.functions(one)} == {"first", "last", "helper", "table", "word"}


@pytest.mark.parametrize(
    ("change", "function"),
    [(("2", "8", "yes"), "helper"), (("1", "4", "yes"), "table"), (("1", "8", "yet"), "word")],
)
def test_a_number_in_code_and_a_string_behind_a_table_count(
    tmp_path: Path, change: tuple[str, str, str], function: str
) -> None:
    one, other = objects(tmp_path, "-O2 -fno-pic -fno-pie", UNIT % (FIRST, "1", "8", "yes"), UNIT % (FIRST, *change))
    assert object_code.differing(one, other) == {function}


def test_a_constant_in_another_section_counts(tmp_path: Path) -> None:
    text = UNIT % (FIRST, "1", "8", "yes")
    one, other = objects(tmp_path, "-O2", text, text.replace("2.5", "2.25"))
    assert object_code.differing(one, other) == {"last"}
