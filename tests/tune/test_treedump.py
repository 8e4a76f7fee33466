"""Which functions GCC's own dump says must be left alone."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from compiler_ai.tune.treedump import unsafe_functions

SOURCE = """
struct block { int words[40]; };
extern int use(struct block *);
volatile int device;
int counter;

int ends_scopes(int n)
{
    int total = 0;
    for (int i = 0; i < n; i++) { struct block local; local.words[0] = i; total += use(&local); }
    return total;
}
int reads_device(void) { return device; }
void writes_device(int value) { device = value; }
int pointer_to_device(volatile int *p) { int t = 0; while (*p) t++; return t; }
int atomic_add(int n) { return __atomic_fetch_add(&counter, n, __ATOMIC_SEQ_CST); }
int assembly(int n) { __asm__ volatile ("" : "+r" (n)); return n; }
struct entry { struct entry *next; int key; };
int through_null(struct entry *all, int n)
{
    struct entry *found = 0;
    for (struct entry *e = all; e; e = e->next) if (e->key == n) found = e;
    if (!found && n > 100) return found->key;
    if (!found && n > 50) found->key = 7;
    return found ? found->key : 0;
}
int register_at_null(void) { return *(volatile int *)0; }
void stores_to_register_at_null(void) { *(volatile int *)0 = 3; }
struct device { volatile int status; };
int member_at_null(void) { return ((struct device *)0)->status; }
extern int setjmp(void *) __attribute__((returns_twice));
int returns_twice(void *b) { return setjmp(b); }
"""


@pytest.fixture(scope="module")
def unsafe(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    directory: Path = tmp_path_factory.mktemp("dump")
    (directory / "unit.c").write_text(SOURCE)
    dump = directory / "optimized"
    subprocess.run(["gcc", "-O2", f"-fdump-tree-optimized={dump}", "-S", "unit.c"], cwd=directory, check=True)
    return unsafe_functions(dump.read_text())


def test_the_end_of_a_variables_scope_is_no_volatile_access(unsafe):
    assert "ends_scopes" not in unsafe


def test_where_gcc_ends_a_path_through_a_null_pointer_that_is_the_reason(unsafe):
    assert unsafe["through_null"].startswith("GCC found that a path in it leads through a null pointer")


@pytest.mark.parametrize(
    "function",
    [
        "reads_device",
        "writes_device",
        "pointer_to_device",
        "register_at_null",
        "stores_to_register_at_null",
        "member_at_null",
    ],
)
def test_volatile_accesses_are_seen(unsafe, function):
    assert "volatile" in unsafe[function]


@pytest.mark.parametrize(
    ("function", "word"), [("atomic_add", "atomics"), ("assembly", "assembly"), ("returns_twice", "twice")]
)
def test_what_a_listing_cannot_show_is_seen(unsafe, function, word):
    assert word in unsafe[function]
