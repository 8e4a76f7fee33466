"""Stores for tests: rewrites whose bodies are GCC's own, so that whatever is built with them has to behave as GCC's.

Each has a `marker` in front of its first instruction: one that has no effect, and shows in the object that it was spliced, or
a directive that leaves nothing behind.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from compiler_ai.toolchains.x86_64 import X86_64

from compiler_ai.artifacts import Candidate, CompileCommand, Evidence, Grade, Interval, Rewrite, Timing
from compiler_ai.asm.listing import Listing, parse
from compiler_ai.asm.normalise import body_key
from compiler_ai.asm.splice import SpliceError, check_replaceable
from compiler_ai.asm.statements import directive_of, label_of
from compiler_ai.asm.trees import Trees
from compiler_ai.driver.flags import excluded_by
from compiler_ai.proposers.transplant import Source, transplant
from compiler_ai.store.store import Store
from compiler_ai.tune.reproduce import ReproductionError, listing_of

SHOWS = "nopw 0x33(%rax)"  # does nothing, and GCC never writes it
SHOWS_NOT = ".p2align 0"
_MANY = 1_000_000


def rewrites_of(command: CompileCommand, marker: str = SHOWS, most: int = _MANY) -> Iterator[Rewrite]:
    """A rewrite for each function of the unit that may have one, the largest `most` of them."""
    try:
        made = listing_of(command)
    except ReproductionError as error:
        if "no tree dump" in str(error):  # GCC writes none for a unit without functions
            return
        raise
    if excluded_by(made.flags):
        return
    unit = parse(made.listing_text)
    source = Source(parse(marked(unit, marker)), False, "own", "GCC's own body", ())
    trees = Trees(made.dump)
    names = [one.name for one in sorted(unit.functions, key=lambda one: (-len(one.body), one.name))]
    found = 0
    for number, name in enumerate(names):
        if found == most:
            break
        if name in made.unsafe or not _replaceable(unit, name):
            continue
        candidate = transplant(source, unit, name, f"own_{number}", X86_64)
        if isinstance(candidate, Candidate):
            found += 1
            key, timing = body_key(unit, name, made.flags, trees), Timing(Interval(1.5, 1.4, 1.6), None)
            yield Rewrite(key, candidate, Evidence(Grade.TESTED), timing, "x86_64", command.source, 0)


def fill(
    project: Path, commands: list[CompileCommand], marker: str = SHOWS, most: int = _MANY, only: str = ""
) -> list[str]:
    """Put rewrites for the units (for `only`, or the largest `most` functions of each) into the store; their names."""
    store, names = Store(project), []
    for command in commands:
        for rewrite in rewrites_of(command, marker, most):
            if only in ("", rewrite.candidate.function):
                store.add(rewrite)
                names.append(rewrite.candidate.function)
    return names


def marked(unit: Listing, marker: str) -> str:
    """The listing with the marker in front of each function's first instruction, behind its landing pad."""
    lines = list(unit.lines)
    for function in unit.functions:
        for number in range(function.entry + 1, function.size_line):
            line = lines[number]
            if (
                line.strip()
                and not label_of(line)
                and not directive_of(line)
                and not line.lstrip().startswith(("#", "endbr"))
            ):
                lines[number] = f"\t{marker}\n{line}"
                break
    return "".join(lines)


def _replaceable(unit: Listing, name: str) -> bool:
    function = unit.function(name)
    assert function is not None
    try:
        check_replaceable(function)
    except SpliceError:
        return False
    return True
