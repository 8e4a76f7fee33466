"""What the workers of one run share, and what a unit's configurations keep of its own flags."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from compiler_ai.toolchains.x86_64 import X86_64

from compiler_ai.artifacts import CompileCommand
from compiler_ai.driver.host import features
from compiler_ai.proposers.base import ProposalContext
from compiler_ai.proposers.configurations import portfolio
from compiler_ai.proposers.recompile import RecompileError, Recompiler
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
