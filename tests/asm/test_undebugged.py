"""A listing without debug information assembles to the same code and data, and is much shorter."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from compiler_ai.asm.listing import parse
from compiler_ai.asm.undebugged import undebugged
from compiler_ai.screen.elf import read

ROOT = Path(__file__).resolve().parents[2]
SOURCES = [
    *sorted((ROOT / "benchmarks" / "codecs").glob("*.c")),
    *sorted((ROOT / "benchmarks" / "kernels").glob("*.c")),
]
EXCEPTIONS = """
void far(void), near(void);
static inline void both(int x) { if (x > 3) far(); near(); }
static void end(int *p) { far(); *p = 0; }
int f(int x) { int v __attribute__((cleanup(end))) = x; both(x); near(); return v; }
"""


def loaded(text: str, directory: Path) -> list[tuple[object, ...]]:
    """What of the object is loaded: names, contents and relocations of sections."""
    output = directory / "unit.o"
    subprocess.run(["as", "-o", str(output), "-"], input=text.encode(), check=True)
    return [
        (section.name, section.flags, section.data, [(r.offset, r.type, r.symbol.name, r.addend) for r in section.relocations])
        for section in read(output.read_bytes()).sections.values()
        if section.is_loaded
    ]  # fmt: skip


def listing(*words: str, text: str | None = None) -> str:
    done = subprocess.run([*words, "-S", "-o", "-"], input=text, capture_output=True, text=True, check=True)
    return done.stdout


@pytest.mark.parametrize("flags", ["-O3 -g", "-O2 -g3 -gdwarf-4 -ffunction-sections", "-O1 -ggdb -fPIC", "-O3"])
@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_code_and_data_stay(source: Path, flags: str, tmp_path: Path) -> None:
    text = listing("gcc", *flags.split(), f"-I{source.parent}", str(source))
    short = undebugged(parse(text))
    assert loaded(short, tmp_path) == loaded(text, tmp_path)
    assert ".loc " not in short
    assert "debug_info" not in short
    if "-g" in flags:
        assert len(short) < len(text) / 2


def test_tables_of_exceptions_stay(tmp_path: Path) -> None:
    text = listing("gcc", "-O2", "-g", "-fexceptions", "-xc", "-", text=EXCEPTIONS)
    assert ".gcc_except_table" in text
    assert loaded(undebugged(parse(text)), tmp_path) == loaded(text, tmp_path)
