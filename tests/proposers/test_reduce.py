"""What a function does not reach is not compiled; what it reaches comes out as ever."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from compiler_ai.proposers.compilers import find_clang
from compiler_ai.proposers.reduce import ReduceError, reduced

SOURCE = """
int shared_table[4] = {1, 2, 3, 4};
static int helper(int x) { return x * shared_table[x & 3]; }
static int pointed(int x) { return x - 1; }
int (*const actions[])(int) = {pointed};
int wanted(int x) { return helper(x) + actions[x & 0](x); }
__attribute__((visibility("hidden"))) int unrelated(int x) { return x ^ 5; }
static __attribute__((noinline)) int hidden_away(int x) { return x * x; }
int other(int x) { return unrelated(x) + hidden_away(x); }
void begin(void);
__attribute__((constructor)) void first(void) { begin(); }
"""


def clang(*words: str, directory: Path) -> None:
    found = find_clang()
    assert found is not None, "clang is not installed"
    subprocess.run([found.path, "-w", *words], cwd=directory, check=True)


@pytest.fixture(scope="module")
def module(tmp_path_factory: pytest.TempPathFactory) -> str:
    directory = tmp_path_factory.mktemp("module")
    (directory / "unit.c").write_text(SOURCE)
    clang("-O2", "-Xclang", "-disable-llvm-passes", "-emit-llvm", "-S", "unit.c", "-o", "unit.ll", directory=directory)
    return (directory / "unit.ll").read_text()


def assembled(module: str, directory: Path) -> str:
    (directory / "unit.ll").write_text(module)
    clang("-O2", "-S", "-x", "ir", "unit.ll", "-o", "unit.s", directory=directory)
    return (directory / "unit.s").read_text()


def defined(listing: str) -> set[str]:
    return set(re.findall(r"^\t\.type\t(\w+),@function", listing, re.MULTILINE))


def body(listing: str, name: str) -> list[str]:
    code = re.search(rf"^{name}:.*?^\t\.size\t{name}", listing, re.MULTILINE | re.DOTALL)
    assert code is not None
    return [line.split("#")[0].rstrip() for line in code[0].splitlines() if not line.startswith("#")]


def test_only_what_is_reached_is_compiled(module: str, tmp_path: Path) -> None:
    whole, part = assembled(module, tmp_path), assembled(reduced(module, "wanted"), tmp_path)
    assert defined(whole) >= {"wanted", "other", "unrelated", "pointed", "first"}
    assert defined(part) == {"wanted", "pointed", "first"}  # a constructor runs without being mentioned
    assert body(whole, "wanted")[1:] == body(part, "wanted")[1:]


def test_a_static_function_gets_the_standard_convention(module: str, tmp_path: Path) -> None:
    part = assembled(reduced(module, "hidden_away"), tmp_path)
    assert "\t.globl\thidden_away" in part
    assert "other" not in defined(part)


def test_with_assembly_of_the_module_all_stays(module: str) -> None:
    with_assembly = module.replace("\ndefine", '\nmodule asm "call other"\n\ndefine', 1)
    assert reduced(with_assembly, "wanted") == with_assembly


def test_a_function_that_is_not_there(module: str) -> None:
    with pytest.raises(ReduceError, match="absent"):
        reduced(module, "absent")


def test_a_body_that_another_unit_has_is_not_relied_on() -> None:
    """An instance of a template that is declared extern, or an inline function of C: clang knows it, the key does not."""
    source = """
    template <int N> struct A { int g(int x) { return x % 2 ? x * N : x + N; } };
    struct V { virtual int first(); virtual int second(); };
    extern template struct A<5>;
    extern "C" int f(A<5> *a, int n) { int s = 0; for (int i = 0; i < n; i++) s += a->g(i); return s; }
    extern "C" V *h(void) { return new V; }
    """
    words = ["clang++-19", "-O2", "-Xclang", "-disable-llvm-passes", "-emit-llvm", "-S", "-x", "c++", "-o", "-", "-"]
    module = subprocess.run(words, input=source, capture_output=True, text=True, check=True).stdout
    assert "define available_externally" in module
    assert reduced(module, "f")
    with pytest.raises(ReduceError, match="_ZTV1V is defined"):
        reduced(module, "h", frozenset({"_ZTV1V"}))
    assert reduced(module, "h", frozenset({"_ZN1AILi5EE1gEi"}))
    with pytest.raises(ReduceError, match="_ZN1AILi5EE1gEi is defined in the source"):
        reduced(module, "f", frozenset({"_ZN1AILi5EE1gEi"}))
