"""What a source promises beyond what GCC's body and its dumps show, a later edit takes back unseen: no candidate relies on it."""

from __future__ import annotations

from pathlib import Path

import pytest
from compiler_ai.toolchains.x86_64 import X86_64

from compiler_ai.artifacts import CompileCommand
from compiler_ai.asm.listing import parse
from compiler_ai.asm.normalise import normalised_body
from compiler_ai.driver.host import features
from compiler_ai.proposers.base import ProposalContext
from compiler_ai.proposers.configurations import portfolio
from compiler_ai.proposers.recompile import Recompiler
from compiler_ai.proposers.runs import RecompileError

LOOP = "for (int i = 0; i < n; i++) "
PUNNING = "int f(int *p, float *q) { *p = 1; *q = 2; return *p; }"


def bodies(
    directory: Path, source: str, *flags: str, compilers: tuple[str, ...] = ("gcc", "clang", "llvm")
) -> dict[str, str]:
    """The function f of every configuration that makes one."""
    unit = directory / "unit.c"
    unit.write_text(source)
    command = CompileCommand(("gcc",), flags, str(unit), str(directory / "unit.o"), str(directory), X86_64.name)
    context = ProposalContext(X86_64, "same", host_features=features(X86_64))
    found = {}
    with Recompiler(command, context, True) as recompiler:
        for one in portfolio("same"):
            if not one.needs and one.compiler in compilers:
                found[one.label] = normalised_body(parse(recompiler.listing(one, "f").text), "f")
    assert len(found) > 5
    return found


@pytest.mark.parametrize(
    ("promise", "without"),
    [
        (f"extern int a[10]; int f(int n) {{ int s = 0; {LOOP} s += a[i]; return s; }}", ("[10]", "[20]")),
        (
            f"struct S {{ int a[10], z; }}; int f(struct S *p, int n) {{ int s = 0; {LOOP} s += p->a[i]; return s; }}",
            ("[10]", "[20]"),
        ),
        (f"void f(int *p, int *q, int n) {{\n#pragma GCC ivdep\n{LOOP} p[i] = q[i] + 1; }}", ("GCC ivdep", "GCC none")),
        (f'void f(int *p, int *q, int n) {{ _Pragma("GCC ivdep") {LOOP} p[i] = q[i] + 1; }}', ("GCC ivdep", "GCC x")),
        (
            f"void f(int *p, int *q, int n) {{\n#pragma clang loop vectorize(assume_safety)\n{LOOP} p[i] = q[i] + 1; }}",
            ("clang loop", "clang none"),
        ),
    ],
    ids=["array", "member", "ivdep", "operator", "clang"],
)
@pytest.mark.parametrize("level", ["-O1", "-O2"])
def test_candidates_are_the_same_without_the_promise(
    promise: str, without: tuple[str, str], level: str, tmp_path: Path
) -> None:
    assert bodies(tmp_path, promise, level) == bodies(tmp_path, promise.replace(*without), level)


@pytest.mark.parametrize(
    ("flags", "relies"),
    [("-O1", False), ("-O0", False), ("-O1 -fstrict-aliasing", True), ("-O2", True), ("-O2 -O1", False)],
)
def test_types_tell_objects_apart_where_the_units_level_says_so(flags: str, relies: bool, tmp_path: Path) -> None:
    constant = {label for label, body in bodies(tmp_path, PUNNING, *flags.split()).items() if "movl $1, %eax" in body}
    assert bool(constant) == relies
    assert relies or not constant


def test_simd_loops_are_left_to_gcc(tmp_path: Path) -> None:
    source = f"void f(int *p, int *q, int n) {{\n#pragma omp simd\n{LOOP} p[i] = q[i] + 1; }}"
    assert bodies(tmp_path, source, "-O2")  # nothing but a comment there
    with pytest.raises(RecompileError, match="omp simd"):
        bodies(tmp_path, source, "-O2", "-fopenmp", compilers=("gcc",))
