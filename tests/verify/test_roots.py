"""Mathematical functions of the C library only compute: bodies may differ in when they call them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from bench import Bench, recorded

from compiler_ai.artifacts import Grade
from compiler_ai.verify.calls import Callees
from compiler_ai.verify.prototype import Prototype, Type

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def roots(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with recorded(tmp_path_factory, HERE / "roots.c", None, ["roots"], ["-Wl,--no-as-needed", "-lm"]) as bench:
        yield bench


@pytest.mark.parametrize("command", ["clang-19 -O3 -fno-addrsig", "clang-19 -O1 -fno-addrsig"])
def test_who_calls_sqrt_for_a_nan_is_nobodys_business(roots: Bench, command: str) -> None:
    evidence = roots.verifier("roots").check(roots.assembled(roots.listing(command)))
    assert evidence.grade is Grade.TESTED, evidence


@pytest.mark.parametrize(
    ("fault", "pattern", "replacement"),
    [
        ("errno is not set", r"call\tsqrt(@PLT)?", "sqrtsd\t%xmm0, %xmm0"),
        ("the wrong function", r"call\tsqrt(@PLT)?", "call\tcbrt@PLT"),
    ],
)
def test_what_it_leaves_behind_counts(roots: Bench, fault: str, pattern: str, replacement: str) -> None:
    evidence = roots.verifier("roots").check(roots.changed("roots", pattern, replacement))
    assert evidence.grade < Grade.TESTED, (fault, evidence)


def test_a_programs_own_log_is_not_the_librarys() -> None:
    double, text = Type("float", 8), Type("pointer", 8)
    names = {1: "log@GLIBC_2.29", 2: "log", 3: "logs"}
    assert [Callees(names, {}).is_transparent(at) for at in names] == [True, True, False]
    library = Callees(names, {"log": Prototype(double, (("x", double),))})
    own = Callees(names, {"log": Prototype(Type("void"), (("format", text),), variadic=True)})
    assert [library.is_transparent(2), own.is_transparent(2)] == [True, False]
    assert [sorted(library.specified()), sorted(own.specified())] == [[1, 2], []]
