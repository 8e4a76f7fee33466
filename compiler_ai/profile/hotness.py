"""The hot set: the smallest set of the project's own functions that covers most of its own samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from compiler_ai.artifacts import CompileCommand, HotFunction, ProfiledFunction
from compiler_ai.profile.model import Profile

_NEVER = frozenset({"_start", "_init", "_fini", "__libc_csu_init", "frame_dummy", "register_tm_clones"})


@dataclass(frozen=True)
class Rules:
    """`coverage` and `least_share` are parts (0..1) of the project's own samples; `only` names functions to take regardless."""

    coverage: float = 0.95
    least_share: float = 0.01
    only: frozenset[str] = frozenset()


@dataclass(frozen=True)
class LeftOut:
    """Something with samples that is not in the hot set; `share` is its part of all samples."""

    function: str
    share: float
    reason: str


@dataclass(frozen=True)
class HotSet:
    """`functions` by falling share of the project's own samples; `coverage` is the line for the user."""

    functions: tuple[HotFunction, ...]
    left_out: tuple[LeftOut, ...]
    coverage: str


@dataclass
class Matched:
    """Hot functions with the unit that defines each, and those for which no single unit could be told."""

    found: list[tuple[HotFunction, CompileCommand]] = field(default_factory=list)
    unmatched: list[tuple[HotFunction, str]] = field(default_factory=list)


def select(profile: Profile, root: Path, rules: Rules) -> HotSet:
    """Choose the hot set of the project below the directory `root`."""
    total = profile.total or 1.0
    own = [function for function in profile.functions if _is_own(function, root)]
    own_total = sum(function.cost for function in own) or 1.0
    chosen: list[HotFunction] = []
    left_out: list[LeftOut] = []
    covered = 0.0
    for function in own:
        share = function.cost / own_total
        if rules.only:
            wanted, reason = function.symbol in rules.only, "not among the functions asked for"
        elif function.symbol in _NEVER:
            wanted, reason = False, "start-up code"
        elif share < rules.least_share:
            wanted, reason = False, f"below {rules.least_share:.0%} of the project's samples"
        else:
            wanted, reason = covered < rules.coverage, f"the hot set covers {rules.coverage:.0%} without it"
        if wanted:
            chosen.append(HotFunction(function, share))
            covered += share
        else:
            left_out.append(LeftOut(function.symbol, function.cost / total, reason))
    for function in profile.functions:
        if not _is_own(function, root):
            left_out.append(
                LeftOut(function.symbol, function.cost / total, f"in {Path(function.module).name}, not of this project")
            )
    left_out += [
        LeftOut(Path(item.module).name or item.module, item.cost / total, item.reason) for item in profile.unmatched
    ]
    left_out.sort(key=lambda item: -item.share)
    return HotSet(
        tuple(chosen),
        tuple(left_out),
        _line(sum(function.cost for function in own) / total, covered, len(chosen), left_out),
    )


def match_units(functions: Sequence[HotFunction], units: Sequence[CompileCommand]) -> Matched:
    """Find the unit of each hot function: its object defines the symbol, with that size and from that source file."""
    matched = Matched()
    tables: dict[str, dict[str, int]] = {}
    for hot in functions:
        profiled = hot.profiled
        candidates = []
        for unit in units:
            if profiled.source and Path(unit.source).name != profiled.source:
                continue
            table = tables.setdefault(unit.object_path, _defined(unit.object_path))
            if profiled.symbol in table or (not table and profiled.source):
                candidates.append((unit, table.get(profiled.symbol, -1)))
        if len(candidates) > 1:
            same_size = [pair for pair in candidates if pair[1] == profiled.size_bytes]
            candidates = same_size or candidates
        distinct = {unit.source for unit, _ in candidates}
        if len(distinct) == 1:
            matched.found.append((hot, candidates[0][0]))
        elif not candidates:
            matched.unmatched.append(
                (hot, "no recorded unit defines it: build with CC=aicc in a directory below the project's")
            )
        else:
            names = ", ".join(sorted(distinct))
            matched.unmatched.append((hot, f"several units may define it: {names}"))
    return matched


def _defined(object_path: str) -> dict[str, int]:
    """Function name -> size of the functions that an object defines; empty when it cannot be read."""
    try:
        with open(object_path, "rb") as file:
            table = ELFFile(file).get_section_by_name(".symtab")
            return {
                symbol.name: symbol["st_size"]
                for symbol in (table.iter_symbols() if isinstance(table, SymbolTableSection) else ())
                if symbol["st_info"]["type"] == "STT_FUNC" and isinstance(symbol["st_shndx"], int)
            }
    except (OSError, ELFError):
        return {}


def _is_own(function: ProfiledFunction, root: Path) -> bool:
    return Path(function.module).is_relative_to(root.resolve())


def _line(own: float, covered: float, count: int, left_out: Sequence[LeftOut]) -> str:
    line = f"{own:.0%} of all samples are in the project's own functions; {count} hot functions cover {covered:.0%} of those"
    others = [
        item
        for item in left_out
        if "not of this project" in item.reason or "symbol" in item.reason or "kernel" in item.reason
    ]
    if others and own < 0.995:
        line += f" (the rest: {', '.join(f'{item.function} {item.share:.0%}' for item in others[:3])})"
    return line
