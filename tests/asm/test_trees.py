"""GCC's dumps of a unit: a visibility dump that is not whole is known as such, since GCC does not say so."""

from __future__ import annotations

import asm_units
import pytest

from compiler_ai.asm.trees import Trees

MANY = "".join(
    f"extern int e{i}(int); {'' if i % 3 else 'static'} int v{i} = {i}; {'' if i % 2 else 'static'} int f{i}(int a) {{ return e{i}(a) + v{i}++; }}"
    for i in range(60)
)
SOURCES = {
    "a register": 'register long g asm("r11");' + MANY,
    "a register in between": MANY + 'register long g asm("r11"); extern char *names[];',
    "externals alone": 'register long g asm("r11");' + "".join(f"extern int e{i}(int);" for i in range(90))
    + "int f(int a) { return " + " + ".join(f"e{i}(a)" for i in range(90)) + "; }",
    "variables that nothing mentions": 'register long g asm("r11");' + "".join(f"int v{i} = 1;" for i in range(90)),
    "an alias": MANY + 'int other(int) __attribute__((alias("f1")));',
    "weak references": MANY + 'static int w(int) __attribute__((weakref("ext"))); int g(int x) { return w ? w(x) : x; }',
    "weak references within": MANY + 'static int w(int) __attribute__((weakref("f2"))); int g(int x) { return w(x); }',
    "nothing": "typedef int t;",
}  # fmt: skip
BLOCK_BYTES = 4096  # stdio's: what one failed write loses


@pytest.mark.parametrize("level", ["-O1", "-O2 -g", "-O3 -fPIC", "-Os -fwhole-program"])
@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
def test_a_dump_with_a_hole_is_not_whole(source: str, level: str) -> None:
    """Or says the same of the unit: then the hole is in the functions, which the other dump has."""
    dump = asm_units.dumped(source, *level.split())
    whole = Trees(dump)
    assert whole.is_whole
    end = dump.index(";; Function") if ";; Function" in dump else len(dump)
    found = 0
    for blocks in (1, 2, 5):
        for start in range(0, end, 61):
            cut = Trees(dump[:start] + dump[min(start + blocks * BLOCK_BYTES, end) :])
            found += not cut.is_whole
            if cut.is_whole:
                assert cut.named_variables == whole.named_variables
                assert cut.definitions == whole.definitions
    assert found


def test_a_dump_that_ends_early_is_not_whole() -> None:
    dump = asm_units.dumped(SOURCES["a register"], "-O2")
    front, whole = dump[: dump.index(";; Function")], Trees(dump)
    for end in range(0, len(front), 61):
        cut = Trees(front[:end])
        assert not cut.is_whole or cut.named_variables == whole.named_variables


def test_without_the_visibility_dump_none_is_whole() -> None:
    dump = asm_units.dumped(SOURCES["a register"], "-O2")
    assert not Trees(dump[dump.index(";; Function") :]).is_whole
