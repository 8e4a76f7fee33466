"""Which functions of a profiled project a small model is asked about."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

from compiler_ai.artifacts import CompileCommand
from compiler_ai.asm import listing as listing_model
from compiler_ai.asm.function import Function
from compiler_ai.asm.listing import Listing
from compiler_ai.driver import units
from compiler_ai.models import excerpt
from compiler_ai.models.source import source_of
from compiler_ai.profile import hotness
from compiler_ai.profile.model import Profile
from compiler_ai.tune.plan import never_rewrite
from compiler_ai.tune.reproduce import Reproduced, ReproductionError, listing_of

_SHORTEST = 12  # instructions: next to nothing to gain below


def chosen(project: Path, most: int, longest: int) -> list[str]:
    """The names of at most `most` functions that have a source and from 12 to `longest` instructions in GCC's body: of each
    program, a directory of the project, in turn the one with the most samples that is left. Raises AiccError."""
    own = hotness.Rules(coverage=1.0, least_share=0.0)
    profile = Profile.load(project / ".aicc" / "profile.json")
    hot_set = hotness.select(profile, project, own)
    matched = hotness.match_units(hot_set.functions, list(units.load_all(str(project / ".aicc"))))
    programs: dict[str, list[str]] = {}
    for name, command in _usable(matched, longest):
        program = Path(command.directory).relative_to(project).parts[0]
        programs.setdefault(program, []).append(name)
    turns = [name for names in zip_longest(*programs.values()) for name in names if name is not None]
    return list(dict.fromkeys(turns))[:most]


def _usable(matched: hotness.Matched, longest: int) -> Iterator[tuple[str, CompileCommand]]:
    reproduced: dict[str, tuple[Reproduced, Listing] | None] = {}
    for hot, command in matched.found:
        name = hot.profiled.symbol
        if command.object_path not in reproduced:
            try:
                unit = listing_of(command)
                reproduced[command.object_path] = (unit, listing_model.parse(unit.listing_text))
            except ReproductionError:
                reproduced[command.object_path] = None
        found = reproduced[command.object_path]
        body = found[1].function(name) if found is not None else None
        if found is None or body is None or never_rewrite(found[1], name, found[0]):
            continue
        if _SHORTEST <= _length(body) <= longest and source_of(command, name).function:
            yield name, command


def _length(body: Function) -> int:
    """Instructions; `bare` leaves nothing else but labels and alignment."""
    lines = excerpt.bare(body).splitlines()
    return sum(line.startswith("\t") and not line.startswith("\t.") for line in lines)
