"""What a baseline's key depends on, and what it does not. Real GCC listings."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from compiler_ai.artifacts import Candidate
from compiler_ai.asm.listing import parse
from compiler_ai.asm.normalise import body_key
from compiler_ai.asm.splice import SpliceError, replace

GOTO = """
int run(const unsigned char *p) {{
    static const void *const table[] = {{ &&{0}, &&{1}, &&done }};
    int s = 1;
    goto *table[*p++];
add: s += 5; goto *table[*p++];
mul: s *= 3; goto *table[*p++];
done: return s;
}}
"""
CONSTANTS = "void f(double *a, double *b) {{ for (int i = 0; i < 64; i++) a[i] = a[i] * 3.0 + 2.0; *b = *b * {0}; }}\n"


def listing(source: str, tmp_path: Path, flags: str = "-O2") -> str:
    (tmp_path / "x.c").write_text(source)
    subprocess.run(["gcc", *flags.split(), "-S", "x.c"], cwd=tmp_path, check=True)
    return (tmp_path / "x.s").read_text()


def key(source: str, name: str, tmp_path: Path, flags: str = "-O2") -> str:
    return body_key(parse(listing(source, tmp_path, flags)), name, [], None)


@pytest.mark.parametrize("flags", ["-O1", "-O2", "-O3", "-O2 -fPIC"])
def test_the_order_of_a_computed_gotos_table_counts(tmp_path, flags):
    assert key(GOTO.format("add", "mul"), "run", tmp_path, flags) != key(
        GOTO.format("mul", "add"), "run", tmp_path, flags
    )


@pytest.mark.parametrize("flags", ["-O2", "-O3"])
def test_a_constant_counts_however_it_is_written(tmp_path, flags):
    assert key(CONSTANTS.format("5.0"), "f", tmp_path, flags) != key(CONSTANTS.format("7.0"), "f", tmp_path, flags)


def test_a_constant_inside_of_another_counts():
    text = "\t.text\n\t.type\tf, @function\nf:\n\tmovsd\t.LC1(%rip), %xmm0\n\tret\n\t.size\tf, .-f\n\t.section\t.rodata\n.LC0:\n\t.long\t1\n\t.long\t{}\n\t.set\t.LC1,.LC0+4\n"
    assert body_key(parse(text.format(2)), "f", [], None) != body_key(parse(text.format(3)), "f", [], None)


def test_strings_that_look_like_labels_count(tmp_path):
    source = 'const char *f(void) {{ return "{}"; }}\n'
    assert key(source.format(".L1"), "f", tmp_path) != key(source.format(".L2"), "f", tmp_path)


def test_an_inlinable_callee_counts_and_debug_information_does_not(tmp_path):
    source = "static __attribute__((noinline)) int g(int x) {{ return x {} 3; }}\nint f(int x) {{ return g(x) + 1; }}\n"
    assert key(source.format("*"), "f", tmp_path) != key(source.format("^"), "f", tmp_path)
    assert key(source.format("*"), "f", tmp_path) == key(source.format("*"), "f", tmp_path, "-O2 -g")


def test_a_label_that_cannot_be_resolved_gives_no_key():
    text = "\t.text\n\t.type\tf, @function\nf:\n\tleaq\t.LX9(%rip), %rax\n\tret\n\t.size\tf, .-f\n"
    with pytest.raises(Exception, match="LX9"):
        body_key(parse(text), "f", [], None)


def test_functions_of_top_level_assembly_are_never_touched(tmp_path):
    source = 'asm(".text\\n.type h, @function\\nh:\\n\\tret\\n\\t.size h, .-h\\n");\nint f(void) { return 1; }\n'
    parsed = parse(listing(source, tmp_path))
    assert parsed.function("h").has_inline_assembly
    with pytest.raises(SpliceError, match="inline assembly"):
        replace(parsed, "h", Candidate("h", "\tret\n"), 1)


def test_a_listing_is_kept_without_loss(tmp_path):
    for flags in ("-O0", "-O2 -g3", "-O3 -fPIC -ffunction-sections", "-Os -fno-asynchronous-unwind-tables"):
        text = listing(GOTO.format("add", "mul") + CONSTANTS.format("5.0"), tmp_path, flags)
        parsed = parse(text)
        assert parsed.text == text == "".join(parsed.lines)
        assert {function.name for function in parsed.functions} == {"run", "f"}
