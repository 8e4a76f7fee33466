"""Answers in C: what may stand for the function's definition, and everything hostile that may not."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compiler_ai.models.c_answer import CAnswerError, check_expanded, checked, texts_of

PLAIN = "int sum(const int *p, int n)\n{\n    int s = 0;\n    for (int i = 0; i < n; i++)\n        s += p[i];\n    return s;\n}\n"


def test_a_block_that_defines_the_function_is_found_in_any_prose() -> None:
    assert texts_of(f"Sure!\n```c\n{PLAIN}```\nIt is faster.", "sum", False) == [PLAIN]
    assert texts_of(f"```\n{PLAIN}```\n```c\nint other(void) {{ return sum(0, 0); }}\n```", "sum", False) == [PLAIN]
    assert texts_of(PLAIN, "sum", False) == [PLAIN]
    assert texts_of(f"```python\n{PLAIN}```", "sum", False) == []
    assert texts_of("No.", "sum", False) == []


def test_the_languages_name_on_a_line_of_its_own_is_no_code() -> None:
    assert texts_of(f"```c\nc\n{PLAIN}```", "sum", False) == [PLAIN]
    assert texts_of(f"```\n C++ \n{PLAIN}```", "sum", False) == [PLAIN]
    assert texts_of(f"```c\nint\n{PLAIN[4:]}```", "sum", False) == [f"int\n{PLAIN[4:]}"]


def test_comments_and_includes_are_left_out() -> None:
    text = f'#include <stdint.h>\n#include "/etc/shadow"\n/* asm("") */ {PLAIN} // __attribute__((constructor))\n'
    found = checked(text, "sum")
    assert "include" not in found
    assert "asm" not in found
    assert "attribute" not in found
    assert "s += p[i];" in found


def test_constant_tables_come_along() -> None:
    assert "table[2]" in checked(f"static const int table[2] = {{1, 2}};\n{PLAIN}", "sum")
    assert "table" in checked(f"const static unsigned char table[] [2] = {{{{1, 2}}}};\n{PLAIN}", "sum")
    assert "table" in checked(PLAIN.replace("int s = 0;", "static const int table[] = {1, 2}; int s = 0;"), "sum")


def with_statement(statement: str) -> str:
    return PLAIN.replace("int s = 0;", f"int s = 0; {statement}")


HOSTILE = {
    "a directive": "#pragma GCC optimize 3\n" + PLAIN,
    "a macro": "#define p q\n" + PLAIN,
    "a line marker": '# 1 "/etc/shadow"\n' + PLAIN,
    "a digraph": '%:include "/etc/shadow"\n' + PLAIN,
    "a trigraph": '??=include "/etc/shadow"\n' + PLAIN,
    "a spliced line": PLAIN.replace("return", '__as\\\nm__("nop"); return'),
    "inline assembly": with_statement('__asm__("syscall");'),
    "inline assembly, other spelling": with_statement('asm volatile("" ::: "memory");'),
    "inline assembly at file scope": 'asm(".globl evil");\n' + PLAIN,
    "inline assembly behind a raw string": with_statement('const char *t = R"(" )"; asm("nop"); "'),
    "a register variable": with_statement('register int r __asm__("rsp");'),
    "a section": f'__attribute__((section(".init_array"))) static const long table[1] = {{0}};\n{PLAIN}',
    "a constructor": "__attribute__((constructor)) " + PLAIN,
    "a C23 attribute": "[[gnu::constructor]] " + PLAIN,
    "a spaced C23 attribute": "[ [gnu::constructor]] " + PLAIN,
    "a pragma operator": with_statement('_Pragma("GCC diagnostic error \\"-Wall\\"")'),
    "another function": "int malloc(int x) { return x; }\n" + PLAIN,
    "a variable": "int counter;\n" + PLAIN,
    "a writable table": "static int table[2] = {1, 2};\n" + PLAIN,
    "a static variable": with_statement("static int calls; calls++;"),
    "a static variable beside a constant": with_statement("static int calls; const int y = calls++;"),
    "a static pointer": with_statement("static const int *last; last = p;"),
    "a table of pointers": f"static const char *table[2] = {{0, 0}};\n{PLAIN}",
    "an external symbol": with_statement("extern int system(const char *); system(0);"),
    "a declared function": "int system(const char *);\n" + PLAIN,
    "thread-local memory": with_statement("static const _Thread_local int t = 1;"),
    "the time": with_statement("const char *t = __TIME__;"),
    "the file's name": with_statement("const char *t = __FILE__;"),
    "a builtin with an effect": with_statement("__builtin_trap();"),
    "a reserved name": with_statement("__libc_system(0);"),
    "two definitions": PLAIN + PLAIN,
    "none": "int other(void) { return 0; }",
    "a brace too many": PLAIN + "}\nint evil(void) { return 0; }",
    "a broken end": PLAIN[:-3],
    "an open comment": PLAIN + "/* the rest of the unit",
    "an open string": with_statement('const char *t = "abc;'),
    "a control character": PLAIN.replace("s = 0", "s =\0 0"),
    "letters outside of ASCII": PLAIN.replace("int s", "int \u0455"),
    "a form feed": PLAIN.replace("int s", "int\fs"),
    "sixty-four kilobytes": with_statement("s += 1;" * 12000),
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_what_is_not_just_the_function_is_refused(text: str) -> None:
    with pytest.raises(CAnswerError) as refused:
        checked(text, "sum")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("pasted", ["asm", "_Pragma", "__attribute__", "#pragma"])
def test_what_the_units_macros_put_together_is_looked_at_again(pasted: str) -> None:
    with pytest.raises(CAnswerError):
        check_expanded(with_statement(f'{pasted}("x");'), "sum")


@given(st.text(alphabet=st.sampled_from("`\n:.#%$(),; {}=sum\"'/*\\[]?<>R_a0"), max_size=300))
@settings(max_examples=200, deadline=None)
def test_no_text_is_too_strange(text: str) -> None:
    for one in [text, *texts_of(text, "sum", False)]:
        with suppress(CAnswerError):
            assert "#" not in checked(one, "sum")
