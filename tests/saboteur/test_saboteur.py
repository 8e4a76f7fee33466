"""The saboteur's wrong bodies on the way through splice and screen: hostile ones stop there, and nothing else breaks."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import saboteur
from compiler_ai.toolchains.x86_64 import X86_64

from compiler_ai.asm import listing, splice
from compiler_ai.asm.function import Function
from compiler_ai.passmanager import PassManager
from compiler_ai.plugin import PluginContext, load_all
from compiler_ai.screen.gate import Screener

ROOT = Path(__file__).resolve().parents[2]
KERNELS = ("bytes", "integers", "numeric")


def compiled(source: Path, *arguments: str) -> listing.Listing:
    command = ["gcc", "-O2", f"-I{source.parent}", *arguments, "-S", "-o", "-", str(source)]
    return listing.parse(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def rewritable(unit: listing.Listing) -> list[Function]:
    return [function for function in unit.functions if not function.has_inline_assembly and function.name != "main"]


def judge(unit: listing.Listing, function: str, found: list[saboteur.Mutant]) -> Counter[tuple[str, str]]:
    """(kind, stage) -> how many; stage "" for what passes the screen and is verification's to refute."""
    screener = Screener(unit.text, function, X86_64, ("as", "--64"))
    outcomes: Counter[tuple[str, str]] = Counter()
    for mutant in found:
        result = screener.screen(mutant.candidate, splice.replace(unit, function, mutant.candidate, 0))
        outcomes[mutant.kind, result.rejection.stage if result.rejection else ""] += 1
        assert result.rejection is not None or result.object_bytes
        if mutant.kind.startswith("hostile_"):
            assert result.rejection is not None, f"{mutant.candidate.origin} of {function} passed the screen"
    return outcomes


def test_there_are_at_least_thirty_kinds() -> None:
    assert len(set(saboteur.kinds())) == len(saboteur.kinds()) >= 30


def test_the_same_seed_makes_the_same_mutants() -> None:
    unit = compiled(ROOT / "examples" / "kernels" / "bytes.c")
    name = rewritable(unit)[0].name
    assert list(saboteur.mutants(unit, name, 1)) == list(saboteur.mutants(unit, name, 1))
    assert list(saboteur.mutants(unit, name, 1)) != list(saboteur.mutants(unit, name, 2))


def test_no_mutant_is_the_baseline_and_none_comes_twice() -> None:
    unit = compiled(ROOT / "examples" / "kernels" / "integers.c")
    for function in rewritable(unit):
        bodies = [mutant.candidate.body for mutant in saboteur.mutants(unit, function.name, 3)]
        assert len(bodies) == len(set(bodies))
        assert "\n".join(saboteur.plain_body(function)) + "\n" not in bodies


def test_the_undamaged_body_passes_the_screen() -> None:
    """Otherwise the saboteur's bodies would be refused for something that is not their fault."""
    unit = compiled(ROOT / "examples" / "kernels" / "numeric.c", "-g")
    for function in rewritable(unit):
        candidate = saboteur.Candidate(function.name, "\n".join(saboteur.plain_body(function)) + "\n")
        result = Screener(unit.text, function.name, X86_64, ("as", "--64")).screen(
            candidate, splice.replace(unit, function.name, candidate, 0)
        )
        assert result.rejection is None, result.rejection


def test_hostile_bodies_of_the_kernels_do_not_pass_the_screen() -> None:
    total: Counter[tuple[str, str]] = Counter()
    for name in KERNELS:
        unit = compiled(ROOT / "examples" / "kernels" / f"{name}.c")
        function = rewritable(unit)[0].name
        total += judge(unit, function, list(saboteur.mutants(unit, function, 0, 1)))
    assert total.total() >= 60
    assert {stage for _, stage in total} >= {"", "screen.text", "screen.code"}


def test_the_plugin_registers_its_proposer() -> None:
    context = PluginContext(PassManager())
    load_all([str(Path(saboteur.__file__))], [("saboteur", "seed", "7")], context)
    assert [proposer.name for proposer in context.proposers] == ["saboteur"]


@pytest.mark.full
def test_hostile_bodies_of_real_programs_do_not_pass_the_screen(tmp_path: Path) -> None:
    """xxHash and LZ4 as their Python bindings ship them: at least 500 mutants."""
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "-q",
        "--no-deps",
        "--no-binary",
        ":all:",
        "xxhash==3.4.1",
        "lz4==4.3.3",
    ]
    subprocess.run(command, cwd=tmp_path, check=True, timeout=300)
    for archive in tmp_path.glob("*.tar.gz"):
        subprocess.run(["tar", "xzf", archive.name], cwd=tmp_path, check=True)
    sources = [*tmp_path.glob("*/deps/xxhash/xxhash.c"), *tmp_path.glob("*/lz4libs/lz4.c")]
    assert len(sources) == 2, sorted(path.name for path in tmp_path.iterdir())
    total: Counter[tuple[str, str]] = Counter()
    for source in sources:
        unit = compiled(source)
        for function in rewritable(unit)[:8]:
            total += judge(unit, function.name, list(saboteur.mutants(unit, function.name, 0, 1)))
    print(f"{total.total()} mutants, {sum(n for (_, stage), n in total.items() if not stage)} left to verification")
    assert total.total() >= 500
