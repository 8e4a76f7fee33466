"""Blocks and how often they ran."""

from __future__ import annotations

import subprocess
from pathlib import Path

from compiler_ai.toolchains.x86_64 import X86_64

from compiler_ai.asm import listing as listing_model
from compiler_ai.asm.decode import Unit
from compiler_ai.models.excerpt import executed_blocks


def test_blocks_begin_at_labels_and_behind_jumps_and_the_costliest_comes_first(tmp_path: Path) -> None:
    source = "int sum(const int *p, long n) { int s = 0; for (long i = 0; i < n; i++) s += p[i]; return s; }\n"
    (tmp_path / "unit.c").write_text(source)
    subprocess.run(["gcc", "-O1", "-S", "unit.c"], cwd=tmp_path, check=True)
    listing = listing_model.parse((tmp_path / "unit.s").read_text())
    function = listing.function("sum")
    assert function is not None
    instructions = Unit(listing, X86_64).decode(function)
    loop = next(one for one in instructions if "addl" in function.body_lines[one.line])
    start = instructions[0].address
    counts = {one.address - start: 1 for one in instructions}
    counts |= {one.address - start: 100 for one in instructions if loop.address <= one.address < loop.address + 10}
    hottest, *others = executed_blocks(function, counts, X86_64)
    assert hottest.first.startswith("addl")
    assert hottest.times == 100
    assert hottest.instructions > sum(block.instructions for block in others)
    assert executed_blocks(function, {}, X86_64) == []
