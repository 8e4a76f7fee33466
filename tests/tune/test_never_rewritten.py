"""What is never rewritten is recognised in GCC's own listing and dump of a unit, and reported with the reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from compiler_ai.artifacts import CompileCommand
from compiler_ai.asm.listing import parse
from compiler_ai.tune.plan import never_rewrite
from compiler_ai.tune.reproduce import listing_of

LOOP = "for (int i = 0; i < n; i++) s += p[i];"
SUM = f"int f(int *p, int n) {{ int s = 0; {LOOP} return s; }}"


def reason(directory: Path, source: str, flags: str = "-O2", suffix: str = ".c") -> str:
    """Why `f` of this unit is left alone."""
    path = directory / f"unit{suffix}"
    path.write_text(source)
    compiler = "/usr/bin/g++" if suffix == ".cc" else "/usr/bin/gcc"
    command = CompileCommand(
        (compiler,), (*flags.split(), "-w"), str(path), str(directory / "unit.o"), str(directory), "x86_64"
    )
    unit = listing_of(command)
    return never_rewrite(parse(unit.listing_text), "f", unit)


def test_a_function_of_the_ordinary_kind_is_not_left_alone(tmp_path: Path) -> None:
    assert reason(tmp_path, SUM) == ""
    assert reason(tmp_path, SUM, "-O2 -pthread -pedantic -fpie") == "", "options that begin as -p and -f do"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ('__attribute__((naked)) void f(void) { __asm__("ret"); }', "it is naked (naked)"),
        ("__attribute__((naked)) void f(void) { }", "it is naked (naked)"),
        ("struct w; __attribute__((__interrupt__)) void f(struct w *p) { }", "it is an interrupt handler (interrupt)"),
        (
            'struct w; long n; __attribute__((interrupt, used, section(".isr"))) void f(struct w *p, unsigned long c) { n = c; }',
            "it is an interrupt handler (interrupt)",
        ),
        (
            f"__attribute__((no_caller_saved_registers)) void f(int *p, int n) {{ int s = 0; {LOOP} p[0] = s; }}",
            "it has a calling convention of its own (no_caller_saved_registers)",
        ),
        (
            f"__attribute__((ms_abi)) int f(int *p, int n) {{ int s = 0; {LOOP} return s; }}",
            "it has a calling convention of its own (ms_abi)",
        ),
        ("__attribute__((returns_twice)) int f(int n) { return n * 3; }", "it may return twice (returns_twice)"),
        (
            "#include <setjmp.h>\njmp_buf b; void g(void); int f(int n) { if (setjmp(b)) return n; g(); return 1; }",
            "it calls _setjmp, which may return twice",
        ),
        (
            "#include <setjmp.h>\nsigjmp_buf b; void g(void); int f(int n) { if (sigsetjmp(b, 1)) return n; g(); return 1; }",
            "it calls __sigsetjmp, which may return twice",
        ),
        (
            "int own(void *) __attribute__((returns_twice)); void g(void); int f(void *b) { if (own(b)) return 1; g(); return 2; }",
            "it calls a function that may return twice",
        ),
        (
            "void g(void); void *b[5]; int f(void) { if (__builtin_setjmp(b)) return 1; g(); return 2; }",
            "it calls __builtin_setjmp_setup, which may return twice",
        ),
        (
            "__attribute__((patchable_function_entry(3))) int f(int n) { return n * 3; }",
            "it begins with instructions that are patched at run time (patchable_function_entry)",
        ),
        (
            '__attribute__((zero_call_used_regs("used"))) int f(int n) { return n * 3; }',
            "it clears registers at its end (zero_call_used_regs)",
        ),
        (
            '__attribute__((optimize("O0"))) int f(int n) { return n * 3; }',
            "it has optimisation options of its own (optimize)",
        ),
        (
            '#pragma GCC optimize("wrapv")\nint f(int n) { return n * 3; }',
            "it has optimisation options of its own (optimize)",
        ),
        ("int f(volatile int *p) { return *p; }", "it accesses volatile memory"),
        ("int n; int f(void) { return __atomic_add_fetch(&n, 1, 5); }", "it uses atomics (__atomic_add_fetch_4)"),
        ("#include <stdatomic.h>\natomic_int n; int f(void) { return n++; }", "it uses atomics (__atomic_fetch_add_4)"),
        ("int n; int f(void) { return __sync_fetch_and_add(&n, 1); }", "it uses atomics (__sync_fetch_and_add_4)"),
        ('int f(int n) { __asm__("" : "+r"(n)); return n; }', "it holds inline assembly"),
        ('int f(int n) { __asm__("nop"); return n; }', "it holds inline assembly"),
    ],
)
def test_a_function_of_a_special_kind_is_left_alone(tmp_path: Path, source: str, said: str) -> None:
    assert reason(tmp_path, source, "-O2 -mgeneral-regs-only") == said


@pytest.mark.parametrize(
    "flag",
    [
        "-fsanitize=address", "-fsanitize=undefined", "-fsanitize=thread", "-fsanitize-coverage=trace-pc", "--coverage", "-fprofile-arcs",
        "-ftest-coverage", "-fprofile-generate", "-pg", "-p", "-finstrument-functions", "-fpatchable-function-entry=2", "-fsplit-stack",
        "-fzero-call-used-regs=used",
    ],
)  # fmt: skip
def test_an_instrumented_unit_is_left_alone(tmp_path: Path, flag: str) -> None:
    said = reason(tmp_path, SUM, f"-O2 {flag}")
    assert said.startswith("its unit is compiled with -")
    assert said.endswith(": instrumented code is never rewritten")


def test_a_function_with_an_exception_table_is_left_alone(tmp_path: Path) -> None:
    source = 'int g(int); extern "C" int f(int n) { try { return g(n); } catch (int e) { return e; } }'
    assert reason(tmp_path, source, "-O2", ".cc") == "f has an exception table"


def test_a_function_that_is_not_there_is_left_alone(tmp_path: Path) -> None:
    assert "does not define it" in reason(tmp_path, "static int f(int n) { return n; } int g(int n) { return f(n); }")
