"""csmith's random programs, every function of theirs that may be rewritten spliced: the checksums are gcc's."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import own_bodies
import pytest

from compiler_ai.artifacts import CompileCommand

LEVELS = ("-O0", "-O1", "-O2", "-O3", "-Os", "-O2 -flto")
SMALL = ["--max-funcs", "6", "--max-block-depth", "3", "--max-expr-complexity", "6", "--no-argc"]
A_CHUNK = 20
PROGRAMS = 1000
HEADERS = "/usr/include/csmith"  # libcsmith-dev
ENDLESS_S = 5  # csmith's programs need not end


def run(directory: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words, cwd=directory, env={**os.environ, "TMPDIR": str(directory)}, capture_output=True, text=True, check=False
    )


def checksum(directory: Path, program: str) -> str | None:
    """What the program prints, and how it ends; None when it does not end."""
    try:
        done = subprocess.run(
            [f"./{program}"], cwd=directory, capture_output=True, text=True, check=False, timeout=ENDLESS_S
        )
    except subprocess.TimeoutExpired:
        return None
    return f"{done.returncode} {done.stdout}"


def compare(directory: Path, seed: int, levels: tuple[str, ...]) -> int:
    """Build the program of this seed at each level both ways and compare; how many functions were rewritten."""
    (directory / ".aicc").mkdir(parents=True)
    made = run(directory, "csmith", "--seed", str(seed), *SMALL)
    assert made.returncode == 0, made.stderr
    (directory / "random.c").write_text(made.stdout)
    rewritten = 0
    for level in levels:
        flags = (*level.split(), "-w", f"-I{HEADERS}")
        built = run(directory, "gcc", *flags, "random.c", "-o", "plain")
        assert built.returncode == 0, built.stderr
        expected = checksum(directory, "plain")
        if expected is None:
            break  # at other levels neither, and each would cost as long
        if "-flto" not in flags:  # there the listing is the linker's, and no rewrite applies
            source = str(directory / "random.c")
            command = CompileCommand(
                ("/usr/bin/gcc",), flags, source, str(directory / "random.o"), str(directory), "x86_64"
            )
            stored = own_bodies.fill(directory / ".aicc", [command], most=8)
            rewritten += len(stored)
        built = run(directory, "aicc", *flags, "random.c", "-o", "mine")
        assert (built.returncode, built.stderr) == (0, "")
        assert checksum(directory, "mine") == expected, f"csmith --seed {seed} {' '.join(SMALL)}; {level}"
        if "-flto" not in flags:
            assert not (directory / ".aicc" / "log").exists(), (directory / ".aicc" / "log").read_text()
            changed = (directory / "mine").read_bytes() != (directory / "plain").read_bytes()
            assert changed == bool(stored), "what is stored was spliced"
    return rewritten


def test_a_few_programs(tmp_path: Path) -> None:
    assert sum(compare(tmp_path / str(seed), seed, LEVELS[2 * seed : 2 * seed + 2]) for seed in range(3))


@pytest.mark.full
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("first", range(1000, 1000 + PROGRAMS, A_CHUNK))
def test_a_thousand_programs_at_every_level(tmp_path: Path, first: int) -> None:
    assert sum(compare(tmp_path / str(seed), seed, LEVELS) for seed in range(first, first + A_CHUNK))
