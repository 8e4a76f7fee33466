"""What the workers of one run share, and what a unit's configurations keep of its own flags."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from compiler_ai.toolchains.x86_64 import X86_64

from compiler_ai.artifacts import CompileCommand
from compiler_ai.asm.listing import parse
from compiler_ai.asm.normalise import normalised_text
from compiler_ai.driver.host import features
from compiler_ai.proposers.base import ProposalContext
from compiler_ai.proposers.configurations import portfolio
from compiler_ai.proposers.recompile import Recompiler
from compiler_ai.proposers.runs import RecompileError
from compiler_ai.proposers.shared import Recompiled, SharedListings


def command(directory: Path, *flags: str) -> CompileCommand:
    """A compile by a GCC that notes each of its runs in `runs`."""
    (directory / "unit.c").write_text("int twice(int x) { return 2 * x; }\n")
    compiler = directory / "noting-gcc"
    compiler.write_text(f'#!/bin/sh\necho "$@" >> {directory}/runs\nexec gcc "$@"\n')
    compiler.chmod(0o755)
    unit = str(directory / "unit.c")
    return CompileCommand((str(compiler),), flags, unit, str(directory / "unit.o"), str(directory), X86_64.name)


def compiles(directory: Path) -> int:
    return sum(" -S " in line for line in (directory / "runs").read_text().splitlines())


@pytest.fixture
def context(tmp_path: Path) -> ProposalContext:
    (tmp_path / "shared").mkdir()
    return ProposalContext(X86_64, "same", host_features=features(X86_64), shared=tmp_path / "shared")


def test_a_unit_is_compiled_once_for_all_its_functions(tmp_path: Path, context: ProposalContext) -> None:
    unit, one = command(tmp_path, "-O3"), next(c for c in portfolio("same") if c.label == "gcc -O2")
    with Recompiler(unit, context, True) as first:
        made = first.listing(one, "twice")
    before = compiles(tmp_path)
    with Recompiler(unit, context, True) as second:
        assert second.listing(one, "twice") == made
    assert compiles(tmp_path) == before == 1
    with Recompiler(replace(unit, arguments=("-O3", "-DN=1")), context, True) as other:
        other.listing(one, "twice")
    assert compiles(tmp_path) == before + 1


def test_a_configuration_that_fails_is_not_tried_again(tmp_path: Path, context: ProposalContext) -> None:
    unit, one = command(tmp_path, "-O3"), next(c for c in portfolio("same") if c.label == "gcc -O2")
    (tmp_path / "unit.c").write_text("int broken(\n")
    for _ in range(2):
        with Recompiler(unit, context, True) as recompiler, pytest.raises(RecompileError, match="expected"):
            recompiler.listing(one, "twice")
    assert compiles(tmp_path) == 1


def test_a_torn_file_is_nothing(tmp_path: Path) -> None:
    shared = SharedListings(tmp_path)
    shared.put("key", Recompiled("text", ("avx2",), "gcc"))
    (kept,) = tmp_path.glob("*.kept")
    assert shared.get("key") == Recompiled("text", ("avx2",), "gcc")
    kept.write_text(kept.read_text()[:-5])
    assert shared.get("key") is None


def test_what_cannot_be_written_is_compiled_again(tmp_path: Path) -> None:
    shared = SharedListings(tmp_path / "missing")
    shared.put("key", "no such configuration")
    assert shared.get("key") is None


PROFILED = """
__attribute__((noinline)) int rare(int x) { return x * 3 + 1; }
__attribute__((noinline)) int often(int x) { return x ^ 5; }
__attribute__((noinline)) int wanted(const unsigned char *b, int n)
{
    int total = 0;
    for (int i = 0; i < n; i++)
        total = b[i] > 5 ? rare(total) : often(total);
    return total;
}
int main(void)
{
    static unsigned char bytes[10000];
    for (int i = 0; i < 10000; i++)
        bytes[i] = i % 7;
    return wanted(bytes, 10000) & 1;
}
"""


def test_a_gcda_of_an_instrumented_build_is_used(tmp_path: Path, context: ProposalContext) -> None:
    unit = command(tmp_path, "-O3")
    (tmp_path / "unit.c").write_text(PROFILED)
    one = next(c for c in portfolio("same") if c.label == "gcc -O3 -fprofile-use")
    with Recompiler(unit, context, True) as recompiler, pytest.raises(RecompileError, match="there is no"):
        recompiler.listing(one, "wanted")
    for words in (["gcc", "-O3", "-fprofile-generate", "-c", "unit.c"], ["gcc", "-fprofile-generate", "unit.o"]):
        subprocess.run(words, cwd=tmp_path, check=True)
    subprocess.run(["./a.out"], cwd=tmp_path, check=False)
    profiled = replace(context, profile=tmp_path / "unit.gcda", shared=None)
    plain = next(c for c in portfolio("same") if c.label == "gcc -O3 -funroll-loops")
    with Recompiler(unit, profiled, True) as recompiler:
        used, unused = (recompiler.listing(configuration, "wanted").text for configuration in (one, plain))
    assert body(used) != body(unused)


def body(listing: str) -> str:
    function = parse(listing).function("wanted")
    assert function is not None
    return normalised_text(function.body)


@pytest.mark.parametrize(
    ("flags", "is_direct"),
    [((), True), (("-fPIC",), False), (("-fno-pie",), True), (("-fPIE", "-mno-direct-extern-access"), False)],
    ids=str,
)
def test_clang_reaches_other_units_data_as_gcc_does(
    flags: tuple[str, ...], is_direct: bool, tmp_path: Path, context: ProposalContext
) -> None:
    unit = command(tmp_path, "-O3", *flags)
    (tmp_path / "unit.c").write_text("extern int table[99]; int wanted(int n) { return table[n]; }\n")
    for label in ("clang -O3", "llvm -O3"):
        one = next(c for c in portfolio("same") if c.label == label)
        with Recompiler(unit, context, True) as recompiler:
            assert ("GOTPCREL" not in recompiler.listing(one, "wanted").text) == is_direct


def test_no_configuration_changes_what_the_source_means_or_allows_more_instructions() -> None:
    forbidden = (
        "fast",
        "-fassociative",
        "-freciprocal",
        "-funsafe",
        "-ffinite",
        "-fno-signed",
        "-march",
        "-mavx",
        "ignore-aliasing",
    )
    for one in portfolio("same"):
        options = one.pipeline.options if one.pipeline is not None else ()
        words = [*one.front_end, *one.arguments, *options]
        assert not [word for word in words if any(part in word for part in forbidden)], one.label
        assert one.isa == "same"
    for policy in ("same", "native"):
        labels = [one.label for one in portfolio(policy)]
        assert len(set(labels)) == len(labels)
