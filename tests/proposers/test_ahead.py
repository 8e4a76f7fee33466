"""Compiling ahead on a spare core: the same candidates in the same order, and nothing left behind when enough are known."""

from __future__ import annotations

import os
import subprocess
import time
from itertools import islice
from pathlib import Path

import pytest
from compiler_ai.toolchains.x86_64 import X86_64

from compiler_ai.artifacts import Baseline, Candidate, CompileCommand, Rejection
from compiler_ai.proposers.base import ProposalContext
from compiler_ai.proposers.search import SearchProposer

SOURCE = "int sum(const int *v, int n) { int s = 0; for (int i = 0; i < n; i++) s += v[i] * 3; return s; }\n"
# Notes its process and does not end, once it is told to by the file `hang`.
HANGING_GCC = """#!/bin/sh
case "$*" in *" -S "*) [ -e hang ] && { echo $$ > hanging; exec sleep 600; };; esac
exec gcc "$@"
"""


@pytest.fixture
def baseline(tmp_path: Path) -> Baseline:
    (tmp_path / "unit.c").write_text(SOURCE)
    compiler = tmp_path / "own-gcc"
    compiler.write_text(HANGING_GCC)
    compiler.chmod(0o755)
    subprocess.run(["gcc", "-O3", "-S", "unit.c", "-o", "unit.s"], cwd=tmp_path, check=True)
    unit = str(tmp_path / "unit.c")
    command = CompileCommand((str(compiler),), ("-O3",), unit, str(tmp_path / "unit.o"), str(tmp_path), X86_64.name)
    return Baseline("sum", command, (tmp_path / "unit.s").read_text(), "0" * 64, 1)


def described(offer: Candidate | Rejection) -> str:
    return f"{offer.origin}\n{offer.body}" if isinstance(offer, Candidate) else offer.reason


def test_the_offers_are_the_same(baseline: Baseline) -> None:
    offers = [
        [described(one) for one in islice(SearchProposer().propose(baseline, context), 6)]
        for context in (ProposalContext(X86_64), ProposalContext(X86_64, spare_cores=1))
    ]
    assert offers[0] == offers[1]
    assert any("ret" in one for one in offers[0])


def test_a_compile_at_work_ends_when_no_more_is_wanted(baseline: Baseline, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    offers = SearchProposer().propose(baseline, ProposalContext(X86_64, spare_cores=1, temporary=scratch))
    next(offers)
    (tmp_path / "hang").touch()
    next(offers)
    while (
        not (noted := tmp_path / "hanging").exists() or not noted.read_text()
    ):  # GCC's turn comes two configurations later
        time.sleep(0.05)
    process = int(noted.read_text())
    offers.close()
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)
    assert not list(scratch.iterdir())
