"""What compilers really write passes the screen: each body as a candidate for itself, debug information left out."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from compiler_ai.toolchains.x86_64 import X86_64

from compiler_ai.artifacts import Candidate
from compiler_ai.asm import listing, splice
from compiler_ai.asm.aligned_operands import without_aligned_operands
from compiler_ai.asm.statements import label_of
from compiler_ai.screen.gate import screen

ROOT = Path(__file__).resolve().parents[2]
SOURCES = [ROOT / "tests" / "screen" / "unit.c", *sorted((ROOT / "examples" / "kernels").glob("*.c"))]
COMPILERS = {
    "gcc-O0": ("gcc", "-O0"), "gcc-O1": ("gcc", "-O1"), "gcc-O2-g": ("gcc", "-O2", "-g"), "gcc-O3": ("gcc", "-O3"),
    "gcc-O3-avx512": ("gcc", "-O3", "-march=x86-64-v4"), "gcc-fPIC": ("gcc", "-O2", "-fPIC"), "gcc-no-pie": ("gcc", "-O2", "-fno-pie"),
    "gcc-sections": ("gcc", "-O2", "-ffunction-sections", "-fdata-sections"),
    "gcc-hardened": ("gcc", "-O2", "-fcf-protection=full", "-fstack-protector-all", "-fstack-clash-protection"),
    "gcc-x87": ("gcc", "-O2", "-mfpmath=387"), "gcc-frame": ("gcc", "-O2", "-fno-omit-frame-pointer"),
    "clang-O3": ("clang-19", "-O3", "-fno-addrsig"), "clang-O3-avx2": ("clang-19", "-O3", "-mavx2", "-fno-addrsig"),
}  # fmt: skip
_BOOKKEEPING = re.compile(
    r"\s*(\.loc\b|\.file\b|\.L(VL|FB|FE|FSB|BB|BE|FSE|COLDB|COLDE|HOTB|HOTE)\d+:|\.Ltmp\d+:|\.Lfunc_begin\d+:)"
)


def refusals(source: Path, compiler: tuple[str, ...], most: int = 1000) -> tuple[list[str], int]:
    """Why bodies of `source` did not pass, and how many were tried. Bodies that cannot be spliced do not count."""
    command = [*compiler, f"-I{source.parent}", "-S", "-o", "-", str(source)]
    unit = listing.parse(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    found, tried = [], 0
    for function in unit.functions[:most]:
        lines = [line for line in function.body.splitlines(keepends=True) if not _BOOKKEEPING.match(line)]
        if any(label_of(line) in function.label_escapes for line in lines):
            continue  # a jump table behind the body, which stays, refers to these very labels
        candidate = without_aligned_operands(Candidate(function.name, "".join(lines)), unit, X86_64)
        try:
            text = splice.replace(unit, function.name, candidate, 0)
        except splice.SpliceError:
            continue
        tried += 1
        result = screen(candidate, unit.text, function.name, text, X86_64, ("as", "--64"))
        if result.rejection is not None:
            found.append(f"{source.name}: {function.name}: {result.rejection.stage}: {result.rejection.reason}")
    return found, tried


@pytest.mark.parametrize("compiler", COMPILERS.values(), ids=COMPILERS.keys())
def test_bodies_of_the_examples_pass(compiler: tuple[str, ...]) -> None:
    tried = 0
    for source in SOURCES:
        found, count = refusals(source, compiler)
        assert found == []
        tried += count
    assert tried >= 10


@pytest.mark.full
@pytest.mark.parametrize("compiler", [COMPILERS[n] for n in ("gcc-O3", "gcc-O3-avx512", "clang-O3")], ids=str)
def test_bodies_of_real_programs_pass(compiler: tuple[str, ...], tmp_path: Path) -> None:
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
    sources = [*tmp_path.glob("*/deps/xxhash/xxhash.c"), *tmp_path.glob("*/lz4libs/lz4*.c")]
    assert len(sources) >= 4
    for source in sources:
        found, tried = refusals(source, compiler, most=12)
        assert found == []
        assert tried >= 1
