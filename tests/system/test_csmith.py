"""csmith's random programs, functions of theirs spliced by the real shim: the checksums are gcc's.

Each program is built at one of six levels with bodies of its own, every fourth one at a second level with other bodies:

- `own`: the bodies are GCC's own with an instruction in front that does nothing (store, key, splice).
- `other`: the bodies are of another compilation, by the product's search proposer and screen (propose, screen, store, key,
  splice). The unit is compiled with the calls of the ABI, for nothing else says that such a body fits.

The largest functions of the unit are replaced, and the program must differ from gcc's exactly when something was stored. At
-flto the store has what -O2 has; there the listing is the linker's, no rewrite may apply, and the program is gcc's.
"""

from __future__ import annotations

import os
import resource
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import other_bodies
import own_bodies
import pytest

from compiler_ai.artifacts import CompileCommand

LEVELS = ("-O0", "-O1", "-O2", "-O3", "-Os", "-O2 -flto")
WAYS = ("own", "other")
SMALL = ["--max-funcs", "6", "--max-block-depth", "3", "--max-expr-complexity", "6", "--no-argc"]
NO_VOLATILES = ["--no-volatiles", "--no-volatile-pointers"]  # functions with volatile accesses are left alone
FUNCTIONS = {"own": 8, "other": 3}  # that are replaced in a program
A_CHUNK = 20
PROGRAMS = 1160  # an eighth does not end and says nothing; a thousand are left
HEADERS = "/usr/include/csmith"  # libcsmith-dev
ENDLESS_CPU_S = 1  # csmith's programs need not end; those that do take milliseconds


@dataclass(frozen=True)
class Build:
    """One program at one level: what of it was replaced, and whether it ends by itself (else nothing was compared)."""

    level: str
    way: str
    replaced: int = 0
    ends: bool = True


def builds_of(seed: int) -> Iterator[tuple[str, str]]:
    """The levels of a program, and how it is built there."""
    count = len(LEVELS)
    yield LEVELS[seed % count], "own"
    if seed // count % 4 == 0:
        yield LEVELS[(seed + count // 2) % count], "other"


def program_of(seed: int) -> list[str]:
    """csmith's options: half of the programs, and all that get other bodies, have no volatile variables."""
    return ["--seed", str(seed), *SMALL, *(NO_VOLATILES if seed // len(LEVELS) % 4 < 2 else [])]


def run(directory: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words, cwd=directory, env={**os.environ, "TMPDIR": str(directory)}, capture_output=True, text=True, check=False
    )


def checksum(directory: Path, program: str, cpu_s: int) -> str | None:
    """What the program prints, and how it ends; None when it does not end in so much CPU time."""
    done = subprocess.run(
        [f"./{program}"],
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s)),
    )
    return None if done.returncode == -9 else f"{done.returncode} {done.stdout}"


def compare(directory: Path, seed: int, level: str, way: str) -> Build:
    """Build the program of this seed both ways, and compare."""
    project = directory / ".aicc"
    project.mkdir(parents=True)
    made = run(directory, "csmith", *program_of(seed))
    assert made.returncode == 0, made.stderr
    (directory / "random.c").write_text(made.stdout)
    calls = other_bodies.STANDARD_CALLS if way == "other" else ()
    flags = (*level.split(), *calls, "-w", f"-I{HEADERS}")
    built = run(directory, "gcc", *flags, "random.c", "-o", "plain")
    assert built.returncode == 0, built.stderr
    expected = checksum(directory, "plain", ENDLESS_CPU_S)
    if expected is None:
        return Build(level, way, ends=False)

    fat = tuple(word for word in flags if word != "-flto")
    source, out = str(directory / "random.c"), str(directory / "random.o")
    command = CompileCommand(("/usr/bin/gcc",), fat, source, out, str(directory), "x86_64")
    if way == "own":
        stored = own_bodies.fill(project, [command], most=FUNCTIONS[way])
    else:
        configuration = other_bodies.CONFIGURATIONS[seed % len(other_bodies.CONFIGURATIONS)]
        stored = other_bodies.fill(project, command, configuration, FUNCTIONS[way], directory)
    built = run(directory, "aicc", *flags, "random.c", "-o", "mine")
    assert (built.returncode, built.stderr) == (0, "")
    replayed = f"csmith {' '.join(program_of(seed))}; {' '.join(flags)}; {way}: {' '.join(stored)}"
    assert checksum(directory, "mine", 30 * ENDLESS_CPU_S) == expected, replayed
    changed = (directory / "mine").read_bytes() != (directory / "plain").read_bytes()
    if "-flto" in flags:
        assert not changed, replayed
        return Build(level, way)
    assert not (project / "log").exists(), (project / "log").read_text()
    assert changed == bool(stored), replayed
    return Build(level, way, len(stored))


@pytest.fixture(scope="module")
def compared(request: pytest.FixtureRequest) -> Iterator[list[Build]]:
    """All builds of this module; what they were is printed at the end."""
    builds: list[Build] = []
    started_s = time.monotonic()
    yield builds
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        print(f"\n\n{'level':12}{'bodies':8}{'programs':>10}{'replaced':>10}{'endless':>9}")
        counts = Counter((one.level, one.way) for one in builds)
        for level, way in sorted(counts, key=lambda one: (LEVELS.index(one[0]), WAYS.index(one[1]))):
            here = [one for one in builds if (one.level, one.way) == (level, way)]
            ending = sum(one.ends for one in here)
            print(f"{level:12}{way:8}{ending:10}{sum(one.replaced for one in here):10}{len(here) - ending:9}")
        print(f"{time.monotonic() - started_s:.0f} seconds")


def test_a_few_programs(tmp_path: Path) -> None:
    """Three, together at every level."""
    builds = [
        compare(tmp_path / f"{seed}{way}", seed, level, way) for seed in range(3) for level, way in builds_of(seed)
    ]
    assert {one.level for one in builds} == set(LEVELS)
    assert all(any(one.replaced for one in builds if one.way == way) for way in WAYS)


@pytest.mark.full
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("first", range(1000, 1000 + PROGRAMS, A_CHUNK))
def test_a_thousand_programs(tmp_path: Path, compared: list[Build], first: int) -> None:
    for seed in range(first, first + A_CHUNK):
        for level, way in builds_of(seed):
            compared.append(compare(tmp_path / f"{seed}{way}", seed, level, way))
            if not compared[-1].ends:
                break  # at the other level neither
    assert all(any(one.replaced for one in compared if one.way == way) for way in WAYS)
