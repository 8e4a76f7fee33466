"""Two versions of a source of which a rewrite is right for one alone never share a key.

Each pair compiles to the same body of `f`; what differs is elsewhere in the unit, and a rewrite can rest on it.
"""

from __future__ import annotations

import asm_units
import pytest

from compiler_ai.artifacts import Candidate
from compiler_ai.asm.listing import parse
from compiler_ai.asm.normalise import UnknownFunctionError, body_key, normalised_body, uncovered
from compiler_ai.asm.trees import Trees
from compiler_ai.driver.flags import excluded_by, target_flags

ALONE = "__attribute__((noinline, noclone)) "


def keys(first: str, second: str, flags: str = "-O2") -> tuple[str, str]:
    """The keys of `f` in both versions, whose bodies are the same."""
    found = []
    for source in (first, second):
        listing, trees = (
            parse(asm_units.compiled(source, *flags.split())),
            Trees(asm_units.dumped(source, *flags.split())),
        )
        found.append((normalised_body(listing, "f"), body_key(listing, "f", [], trees)))
    assert found[0][0] == found[1][0]
    return found[0][1], found[1][1]


VERSIONS = {
    "a caller keeps a value in a register that the baseline leaves alone": (
        f"static {ALONE}long f(long a) {{ return a * 3; }} long g(long a, long b) {{ return f(a); }}",
        f"static {ALONE}long f(long a) {{ return a * 3; }} long g(long a, long b) {{ return f(a) + b; }}",
    ),
    "a caller of a caller does": (
        f"static {ALONE}long f(long a) {{ return a * 3; }} static {ALONE}long h(long a) {{ return f(a) ^ 1; }}"
        "long g(long a, long b) { return h(a); }",
        f"static {ALONE}long f(long a) {{ return a * 3; }} static {ALONE}long h(long a) {{ return f(a) ^ 1; }}"
        "long g(long a, long b) { return h(a) + b; }",
    ),
    "a caller comes with the stack misaligned": (
        f"{ALONE}long f(long a) {{ return a * 3; }} void x(void); long g(long a) {{ long r = f(a); return r + f(r); }}",
        f"{ALONE}long f(long a) {{ return a * 3; }} void x(void); long g(long a) {{ x(); long r = f(a); x(); return r + f(r); }}",
    ),
    "a local variable's first value": (
        "static int x = 5; void k(void) { x = 5; } int f(void) { return x; }",
        "static int x = 6; void k(void) { x = 6; } int f(void) { return x; }",
    ),
    "what a local pointer first points to": (
        "static const int t[2] = {1, 2}; static const int *p = t; void k(const int *q) { p = q; } int f(int i) { return p[i & 1]; }",
        "static const int t[2] = {1, 3}; static const int *p = t; void k(const int *q) { p = q; } int f(int i) { return p[i & 1]; }",
    ),
    "the function that a local pointer first points to": (
        f"static {ALONE}int a(int i) {{ return i; }} static int (*p)(int) = a; void k(int (*q)(int)) {{ p = q; }}"
        "int f(int i) { return p(i) + 1; }",
        f"static {ALONE}int a(int i) {{ return i + 1; }} static int (*p)(int) = a; void k(int (*q)(int)) {{ p = q; }}"
        "int f(int i) { return p(i) + 1; }",
    ),
    "whether others can reach a local variable": (
        "static int a[64]; void f(int *p, int n) { for (int i = 0; i < n; i++) a[i + 1] = p[i] + 1; }"
        "int last(void) { return a[50]; } int *get(void) { return 0; }",
        "static int a[64]; void f(int *p, int n) { for (int i = 0; i < n; i++) a[i + 1] = p[i] + 1; }"
        "int last(void) { return a[50]; } int *get(void) { return a; }",
    ),
    "whether data leads to a local variable": (
        "static int a[64]; void f(int *p, int n) { for (int i = 0; i < n; i++) a[i + 1] = p[i] + 1; }"
        "int last(void) { return a[50]; } int *get;",
        "static int a[64]; void f(int *p, int n) { for (int i = 0; i < n; i++) a[i + 1] = p[i] + 1; }"
        "int last(void) { return a[50]; } int *get = a + 2;",
    ),
    "what others write to a local variable": (
        "static int x; void k(void) { x = 1; } int f(void) { return x; }",
        "static int x; void k(void) { x = 2; } int f(void) { return x; }",
    ),
    "the alignment of what its callers pass": (
        f"static float d[64] __attribute__((aligned(64))); static {ALONE}void f(float *p, int n) {{ for (int i = 0; i < n; i++) p[i] *= 3; }}"
        "void g(int n) { f(d, n); } float *h(void) { return d; }",
        f"static float d[64] __attribute__((aligned(4))); static {ALONE}void f(float *p, int n) {{ for (int i = 0; i < n; i++) p[i] *= 3; }}"
        "void g(int n) { f(d, n); } float *h(void) { return d; }",
    ),
    "the text that its only caller passes": (
        f"static {ALONE}unsigned long f(const char *s) {{ unsigned long n = 0; while (s[n]) n++; return n; }} unsigned long g(void) {{ return f(\"ab\"); }}",
        f"static {ALONE}unsigned long f(const char *s) {{ unsigned long n = 0; while (s[n]) n++; return n; }} unsigned long g(void) {{ return f(\"abc\"); }}",
    ),
    "two local variables change their values": (
        "static int a = 1, b = 2; void s(int *p) { a = *p; b = *p; } int f(void) { return a * 3 + b; }",
        "static int a = 2, b = 1; void s(int *p) { a = *p; b = *p; } int f(void) { return a * 3 + b; }",
    ),
    "a common variable's alignment": (
        "static char t[64] __attribute__((aligned(64))); void *h(void) { return t; } char f(int i) { return t[i]; }",
        "static char t[64]; void *h(void) { return t; } char f(int i) { return t[i]; }",
    ),
    "a constant behind a constant pointer": (
        "static const int t[2] = {1, 2}; static const int *const p[2] = {t, t + 1}; int f(int i) { return *p[i & 1]; }",
        "static const int t[2] = {1, 3}; static const int *const p[2] = {t, t + 1}; int f(int i) { return *p[i & 1]; }",
    ),
    "a table that assembly defines": (
        'extern const int t[]; __asm__(".pushsection .rodata; t: .long 1, 2; .popsection"); int f(int i) { return t[i]; }',
        'extern const int t[]; __asm__(".pushsection .rodata; t: .long 1, 3; .popsection"); int f(int i) { return t[i]; }',
    ),
    "what a callee's inline assembly refers to": (
        f'const int t = 1; {ALONE}int g(void) {{ int r; __asm__("nop; movl t(%%rip), %0" : "=r"(r)); return r; }} int f(void) {{ return g() + 1; }}',
        f'const int t = 2; {ALONE}int g(void) {{ int r; __asm__("nop; movl t(%%rip), %0" : "=r"(r)); return r; }} int f(void) {{ return g() + 1; }}',
    ),
    "a callee may be another at run time": (
        f"{ALONE}int g(int a) {{ return a * 3; }} int f(int a) {{ return g(a) + 1; }}",
        f"__attribute__((weak)) {ALONE}int g(int a) {{ return a * 3; }} int f(int a) {{ return g(a) + 1; }}",
    ),
    "an entry of a table of functions": (
        f"static {ALONE}int g(int a) {{ return a + 1; }} static {ALONE}int h(int a) {{ return a * 2; }}"
        "static int (*const t[2])(int) = {g, h}; int f(int i) { return t[i & 1](i); }",
        f"static {ALONE}int g(int a) {{ return a + 1; }} static {ALONE}int h(int a) {{ return a * 2; }}"
        "static int (*const t[2])(int) = {h, g}; int f(int i) { return t[i & 1](i); }",
    ),
    "a constant of long double": (
        "long double f(long double x) { return x * 3.1L; }",
        "long double f(long double x) { return x * 5.1L; }",
    ),
    "another name's target": (
        'static const int t[2] = {1, 2}; extern const int u[2] __attribute__((alias("t"), visibility("hidden"))); int f(int i) { return u[i & 1]; }',
        'static const int t[2] = {1, 4}; extern const int u[2] __attribute__((alias("t"), visibility("hidden"))); int f(int i) { return u[i & 1]; }',
    ),
    "the type of its value": (
        "extern long n; void f(long a) { n = a * 3; }",
        "extern long n; int f(long a) { n = a * 3; }",
    ),
    "the width of its value": (
        "int f(int a) { return a * 3; }",
        "unsigned long f(unsigned a) { return a * 3; }",
    ),
    "the type of an argument": (
        "int f(long a, int b) { return b; }",
        "int f(double d, long a, int b) { return b; }",
    ),
    "a volatile access": (
        "void f(int *p) { *p = 3; }",
        "void f(volatile int *p) { *p = 3; }",
    ),
    "a volatile member": (
        "struct s { int a, b; }; void f(struct s *p) { p->b = 3; }",
        "struct s { int a; volatile int b; }; void f(struct s *p) { p->b = 3; }",
    ),
    "a volatile access of its callee": (
        f"static {ALONE}int g(int *p, int *q) {{ return *p + *q; }} int f(int *p) {{ return g(p, p + 1) + 1; }}",
        f"static {ALONE}int g(int *p, volatile int *q) {{ return *p + *q; }} int f(int *p) {{ return g(p, p + 1) + 1; }}",
    ),
    "what may alias": (
        "int f(int *p, long *q, long v) { int a = *p; *q = v; return a; }",
        "int f(int *p, int **q, int *v) { int a = *p; *q = v; return a; }",
    ),
    "what may not alias": (
        "void f(int *p, int *q, int n) { p[n] += q[n]; }",
        "void f(int *restrict p, int *restrict q, int n) { p[n] += q[n]; }",
    ),
    "whether a callee returns memory of its own": (
        "int *a(int) __attribute__((malloc)); int *f(int *p, int n) { int *q = a(n); for (int i = 0; i < n; i++) q[i] = p[i] + 1; return q; }",
        "int *a(int); int *f(int *p, int n) { int *q = a(n); for (int i = 0; i < n; i++) q[i] = p[i] + 1; return q; }",
    ),
    "whether a callee writes memory": (
        "int g(int) __attribute__((pure)); int f(int *p) { return g(1) + *p; }",
        "int g(int); int f(int *p) { return g(1) + *p; }",
    ),
    "whether a callee ever returns null": (
        "int *g(void) __attribute__((returns_nonnull)); int f(int *p) { int *q = g(); return *q; }",
        "int *g(void); int f(int *p) { int *q = g(); return *q; }",
    ),
    "overflow that is undefined": (
        "int f(int a, int b) { return a + b; }",
        "unsigned f(unsigned a, unsigned b) { return a + b; }",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", VERSIONS)
def test_versions_that_differ_in(what: str) -> None:
    first, second = keys(*VERSIONS[what], flags="-O2 -fPIC" if "another at" in what else "-O2")
    assert first != second


def test_visibility_counts_where_the_code_does_not_show_it() -> None:
    source = "{}void g(void); void f(void) {{ g(); g(); }}"
    first, second = keys(
        source.format(""),
        source.format('__attribute__((visibility("hidden"))) '),
        "-O2 -fno-pic -fno-plt -mcmodel=large",
    )
    assert first != second


@pytest.mark.parametrize(
    "change",
    [
        ("int other(int a) { return a; }", "int other(int a) { return a * 9 + 1; }"),
        ("int shown = 4; int other(int *p) { return shown + *p; }", "int shown = 5; int other(int *p) { return shown + *p; }"),
        (
            "",
            "struct t { double a; void *(*g)(int); }; static int own(int n) { int s = 0; while (n--) s += n * n; return s; }"
            "double use(struct t *p, int n) { return p[own(n)].a + (p->g(n) != 0); }",
        ),
        ("", "/* a comment */\n\n\nint more(void) { return 2.5 > 1; } double constant(double x) { return x * 7.5; }"),
    ],
)  # fmt: skip
def test_what_the_function_has_nothing_to_do_with_does_not_count(change: tuple[str, str]) -> None:
    source = "{} static const double t[2] = {{1.5, 2.5}}; double f(int i) {{ return t[i & 1] * 3.25; }}"
    first, second = keys(source.format(change[0]), source.format(change[1]))
    assert first == second


def test_a_global_variables_first_value_does_not_count() -> None:
    source = "int x = {}; int f(void) {{ return x; }}"
    first, second = keys(source.format(5), source.format(6))
    assert first == second


def test_a_call_that_the_dynamic_linker_binds_knows_nothing_of_the_callee() -> None:
    source = f"{ALONE}long f(long a) {{{{ return a * 3; }}}} long g(long a, long b) {{{{ return f(a) + {{}}; }}}}"
    first, second = keys(source.format("b"), source.format("1"), "-O2 -fPIC")
    assert first == second


MANY_LINES = f"""static int table[4] = {{ 1, 2, 3, 4 }};
static int inlined(int x, int y) {{ return x * y + table[x & 3]; }}
{ALONE}int other(int n) {{ switch (n) {{ case 0: return 7; case 1: return table[n & 3]; case 2: return n * 5; case 3: return 11; case 4: return 2; }} return 1; }}
int f(const int *p, int n) {{ int s = 0; for (int i = 0; i < n; i++) {{ s += inlined(p[i], i); table[i & 3] ^= s; }} return other(s); }}
"""


@pytest.mark.parametrize("level", ["-O1", "-O2", "-O3", "-Os"])
@pytest.mark.parametrize("flags", ["-g", "-g1", "-g3", "-gdwarf-4", "-ffunction-sections", "-fno-plt"])
def test_flags_that_leave_the_code_as_it_is_do_not_count(flags: str, level: str) -> None:
    found = set()
    for words in ([level], [level, *flags.split()]):
        listing, trees = parse(asm_units.compiled(MANY_LINES, *words)), Trees(asm_units.dumped(MANY_LINES, *words))
        options = " ".join(f"'{word}'" for word in words)
        found.add(body_key(listing, "f", target_flags({"COLLECT_GCC_OPTIONS": options}), trees))
    assert len(found) == 1


UNIT = "static const int t[4] = {1, 5, 3, 9}; const int *h(void) { return t; } double f(double x) { return x * 3.25; }"


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("\tmovl\tt(%rip), %eax\n\tret\n", ["t"]),
        ("\tcall\th\n\tret\n", ["h"]),
        ("\tmulsd\t.LC0(%rip), %xmm0\n\tret\n", [".LC0"]),
        ("\tcall\tmemcpy@PLT\n\tjmp\tf\n", []),
        (".Lown:\n\tjmp\t.Lown\n", []),
    ],
)
def test_a_candidate_that_refers_to_more_than_its_baseline_is_not_covered_by_the_key(
    body: str, found: list[str]
) -> None:
    listing = parse(asm_units.compiled(UNIT, "-O2"))
    assert uncovered(listing, "f", Candidate("f", body)) == found


def test_a_candidate_may_refer_to_what_its_baseline_depends_on() -> None:
    source = f"static int n; static {ALONE}int g(int a) {{ return a * n; }} int f(int a) {{ n = a; return g(a) + 1; }}"
    listing = parse(asm_units.compiled(source, "-O2"))
    assert uncovered(listing, "f", Candidate("f", "\tmovl\tn(%rip), %eax\n\tcall\tg\n\tret\n")) == []


def test_what_cannot_be_read_gives_no_key() -> None:
    function = "\t.text\n\t.type\tf, @function\nf:\n\tjmp\tinside\n\t.size\tf, .-f\n\tnop\ninside:\n\tret\n"
    with pytest.raises(UnknownFunctionError, match="inside"):
        body_key(parse(function), "f", [], None)


def test_the_order_of_contrary_flags_counts() -> None:
    def of(*words: str) -> tuple[str, ...]:
        return target_flags({"COLLECT_GCC_OPTIONS": " ".join(f"'{word}'" for word in words)})

    listing = parse(asm_units.compiled(UNIT, "-O2"))
    assert of("-O2", "-mavx", "-mno-avx", "-Wall") == ("-O2", "-mavx", "-mno-avx")
    assert of("-mno-avx", "-mavx") == ("-O0", "-mno-avx", "-mavx")
    assert of("-mavx", "-fPIC", "-mavx") == ("-O0", "-fPIC", "-mavx")
    assert body_key(listing, "f", of("-mavx", "-mno-avx"), None) != body_key(
        listing, "f", of("-mno-avx", "-mavx"), None
    )


IN_A_REGISTER = 'register unsigned long kept asm("r11"); '
NAMED = (
    'int named asm("other") = 2; int tentative asm("another"); static int unused asm("more") __attribute__((used)); '
)


@pytest.mark.parametrize("level", ["-O0", "-O2"])
def test_a_unit_that_keeps_a_variable_in_a_register_gives_no_key(level: str) -> None:
    """GCC leaves that register alone in every function, and no body shows it."""
    listing, trees = (
        parse(asm_units.compiled(IN_A_REGISTER + UNIT, level)),
        Trees(asm_units.dumped(IN_A_REGISTER + UNIT, level)),
    )
    with pytest.raises(UnknownFunctionError, match="r11"):
        body_key(listing, "f", [], trees)


@pytest.mark.parametrize("flags", ["-O0", "-O2", "-O2 -fcommon", "-O2 -fdata-sections"])
def test_variables_with_names_for_the_assembler_are_in_no_register(flags: str) -> None:
    words = flags.split()
    listing, trees = parse(asm_units.compiled(NAMED + UNIT, *words)), Trees(asm_units.dumped(NAMED + UNIT, *words))
    assert trees.named_variables == {"other", "another", "more"}
    assert body_key(listing, "f", [], trees)


def test_a_register_that_instructions_name_is_no_label() -> None:
    """Where registers have no prefix, an operand looks like a name."""
    source = IN_A_REGISTER + UNIT + "void put(unsigned long a) { kept = a; }"
    text = asm_units.compiled(source, "-O2", "-masm=intel")
    assert "\tr11," in text
    with pytest.raises(UnknownFunctionError, match="r11"):
        body_key(parse(text), "f", [], Trees(asm_units.dumped(source, "-O2", "-masm=intel")))


def test_constants_of_gccs_own_are_in_no_register() -> None:
    """csmith's unit with one that nothing needs in the end."""
    text = asm_units.dumped(IN_A_REGISTER + UNIT, "-O2")
    assert Trees(text).named_variables == {"r11"}
    assert Trees(text.replace("*r11/", "*.LC0/")).named_variables == frozenset()


def test_a_function_that_the_tree_dump_lacks_gives_no_key() -> None:
    with pytest.raises(UnknownFunctionError, match="types"):
        body_key(parse(asm_units.compiled(UNIT, "-O2")), "f", [], Trees(asm_units.dumped("int other;", "-O2")))
    with pytest.raises(UnknownFunctionError, match="no dump of GCC's"):
        body_key(parse(asm_units.compiled(UNIT, "-O2")), "f", [], Trees(""))


@pytest.mark.parametrize(
    "flag",
    [
        "-fwrapv",
        "-fno-strict-aliasing",
        "-fno-delete-null-pointer-checks",
        "-funsigned-char",
        "-ffreestanding",
        "-ffixed-r11",
        "-fcall-saved-rdi",
        "-fno-builtin",
        "-fno-builtin-memset",
        "-fno-lifetime-dse",
        "-fno-allocation-dce",
        "-ffinite-loops",
    ],
)
def test_flags_that_forbid_what_candidates_do_count(flag: str) -> None:
    assert target_flags({"COLLECT_GCC_OPTIONS": f"'-O2' '{flag}'"}) == ("-O2", flag)


def test_levels_of_one_kind_share_a_key() -> None:
    """Which objects may be accessed as what (-fstrict-aliasing) differs from -O2 on, in bodies that look the same."""
    levels = {
        level: target_flags({"COLLECT_GCC_OPTIONS": f"'-g' '-O0' {level} '-Wall'"})
        for level in ("", "'-O'", "'-O1'", "'-Og'", "'-O2'", "'-Os'", "'-O3'", "'-O1' '-O3'")
    }
    assert [flags[0] for flags in levels.values()] == ["-O0", "-O1", "-O1", "-O0", "-O2", "-O2", "-O2", "-O2"]


@pytest.mark.parametrize(
    ("attribute", "rest"),
    [
        ("nonnull", "void ATTR g(int *); int f(int *p) { g(p); return p ? 7 : 5; }"),
        ("malloc", "int ATTR *g(int); int f(int *q) { *q = 1; int *p = g(8); *p = 2; return *q; }"),
        ("assume_aligned(64)", "int ATTR *g(int); int f(int n) { return ((long)g(n) & 63) ? 5 : 7; }"),
        ("leaf", "void ATTR g(void); static int s; void set(void) { s = 3; } int f(void) { s = 1; g(); return s; }"),
    ],
)
@pytest.mark.parametrize("level", ["-O1", "-O2", "-Os"])
def test_what_an_attribute_of_a_callee_allows_is_in_the_key(attribute: str, rest: str, level: str) -> None:
    keys = set()
    for promise in ("", f"__attribute__(({attribute}))", "__attribute__(())"):
        source = rest.replace("ATTR", promise)
        listing, trees = parse(asm_units.compiled(source, level)), Trees(asm_units.dumped(source, level))
        keys.add(body_key(listing, "f", [level], trees))
    assert len(keys) == 2


BIG = (
    "int s = x; for (int i = 0; i < x; i++) { "
    + "".join(f"if (s & {1 << k}) s ^= x * {k + 3} + i; " for k in range(26))
    + "} return s; }"
)
CALLS = "int f(int n) { int s = 0; for (int i = 0; i < n; i++) s += g(i); return s; } int other(int n) { return f(n) + g(n); }"


@pytest.mark.parametrize("level", ["-O1", "-O2"])
def test_an_inline_function_that_another_unit_defines_gives_no_key(level: str) -> None:
    """GCC's body calls it; a rewrite may have the body that its definition in the header had."""
    source = f"inline int g(int x) {{ {BIG} {CALLS}"
    listing, trees = parse(asm_units.compiled(source, level)), Trees(asm_units.dumped(source, level))
    assert "\tcall\tg" in listing.text
    assert "g:" not in listing.text.splitlines()
    assert "\tcall\tg" not in asm_units.compiled(source, "-O3")
    with pytest.raises(UnknownFunctionError, match="g is defined in the source"):
        body_key(listing, "f", [level], trees)
    source = f"static {source}"
    listing, trees = parse(asm_units.compiled(source, level)), Trees(asm_units.dumped(source, level))
    assert body_key(listing, "f", [level], trees)


def test_what_has_to_be_inlined_is_in_the_body() -> None:
    """glibc's fortified functions: what is called under their names is the library's."""
    source = """
    #include <string.h>
    #include <stdio.h>
    void f(char *p, const char *q, long n) { memcpy(p, q, n); strcpy(p + n, q); printf("%s %ld\\n", p, n); memset(p, 0, n); }
    """
    flags = ("-O2", "-D_FORTIFY_SOURCE=2")
    listing, trees = parse(asm_units.compiled(source, *flags)), Trees(asm_units.dumped(source, *flags))
    assert "memcpy" in listing.text
    assert "__printf_chk" in listing.text
    assert body_key(listing, "f", ["-O2"], trees)


@pytest.mark.parametrize("words", ["-O0", "-Og", "", "-O2 -O0", "-g -Wall"])
def test_unoptimised_units_are_left_alone(words: str) -> None:
    """Nothing shows there what the source promises: attributes, unreachable places, the lengths of arrays."""
    environment = {"COLLECT_GCC_OPTIONS": " ".join(f"'{word}'" for word in words.split())}
    assert excluded_by(target_flags(environment)) == "-O0"
    environment["COLLECT_GCC_OPTIONS"] += " '-O1'"
    assert excluded_by(target_flags(environment)) == ""
