"""The hot set: the smallest set of the project's own functions that covers most of its own samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from compiler_ai.artifacts import CompileCommand, HotFunction, ProfiledFunction
from compiler_ai.profile import dwarf
from compiler_ai.profile.matching import Matched, match_units
from compiler_ai.profile.model import Profile
from compiler_ai.profile.ownership import own_modules
from compiler_ai.profile.symbols import ModuleSymbols
from compiler_ai.wording import counted

__all__ = ["HotSet", "LeftOut", "Matched", "Rules", "few_samples", "inlined_into", "match_units", "select"]

_NEVER = frozenset({"_start", "_init", "_fini", "__libc_csu_init", "frame_dummy", "register_tm_clones"})
_FEW_SAMPLES = 300  # with less, a function of 1 % has one or two


@dataclass(frozen=True)
class Rules:
    """`coverage` and `least_share` are parts (0..1) of the project's own samples; `only` names functions to take regardless, and
    no others; `besides` names some to take in any case."""

    coverage: float = 0.95
    least_share: float = 0.01
    only: frozenset[str] = frozenset()
    besides: frozenset[str] = frozenset()


@dataclass(frozen=True)
class LeftOut:
    """Something with samples that is not in the hot set; `share` is its part of all samples."""

    function: str
    share: float
    reason: str


@dataclass(frozen=True)
class HotSet:
    """`functions` by falling share of the project's own samples, which are `own_share` (0..1) of all; `coverage` is the line for the user."""

    functions: tuple[HotFunction, ...]
    left_out: tuple[LeftOut, ...]
    coverage: str
    own_share: float


def select(profile: Profile, root: Path, rules: Rules, recorded: Sequence[CompileCommand] = ()) -> HotSet:
    """Choose the hot set of the project below the directory `root`, whose units, which may be built elsewhere, are `recorded`."""
    total = profile.total or 1.0
    modules = own_modules((function.module for function in profile.functions), root, recorded)
    own = [function for function in profile.functions if function.module in modules]
    own_total = sum(function.cost for function in own) or 1.0
    chosen: list[HotFunction] = []
    left_out: list[LeftOut] = []
    covered = 0.0
    for function in own:
        share = function.cost / own_total
        if function.symbol in rules.besides:
            wanted, reason = True, ""
        elif rules.only:
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
        if function.module not in modules:
            left_out.append(
                LeftOut(function.symbol, function.cost / total, f"in {Path(function.module).name}, not of this project")
            )
    left_out += [
        LeftOut(Path(item.module).name or item.module, item.cost / total, item.reason) for item in profile.unmatched
    ]
    left_out += _absent(rules.only | rules.besides, own)
    left_out.sort(key=lambda item: -item.share)
    own_share = sum(function.cost for function in own) / total
    return HotSet(tuple(chosen), tuple(left_out), _line(own_share, covered, len(chosen), left_out), own_share)


def with_functions(
    profile: Profile, names: frozenset[str], root: Path, recorded: Sequence[CompileCommand] = ()
) -> Profile:
    """The profile with those of the named functions that were never sampled, at no cost: of the project's modules that were."""
    known = {(function.module, function.address) for function in profile.functions}
    found = []
    for path in sorted(own_modules((one.module for one in profile.functions), root, recorded)) if names else ():
        module = ModuleSymbols(path)
        for symbol in (symbol for name in sorted(names) for symbol in module.named(name)):
            if (path, symbol.address) not in known:
                source = module.source_of(symbol)
                found.append(ProfiledFunction(symbol.name, path, source, symbol.address, symbol.size_bytes, 0.0))
    return replace(profile, functions=(*profile.functions, *found))


def inlined_into(functions: Sequence[HotFunction]) -> list[LeftOut]:
    """Functions that DWARF shows to be inlined into hot ones; `share` is the part of the profile's samples in their code, which
    counts for the functions that hold it."""
    modules: dict[str, list[HotFunction]] = {}
    for hot in functions:
        modules.setdefault(hot.profiled.module, []).append(hot)
    found: dict[tuple[str, str], float] = {}
    for path, holders in modules.items():
        ranges = dwarf.inlined(path, {hot.profiled.address for hot in holders})
        for hot in holders:
            profiled = hot.profiled
            for name, spans in ranges.get(profiled.address, {}).items():
                places = [(low - profiled.address, high - profiled.address) for low, high in spans]
                cost = sum(s.count for s in profiled.samples if any(low <= s.offset < high for low, high in places))
                key = (name, profiled.symbol)
                found[key] = found.get(key, 0.0) + (cost / profiled.cost * hot.share if profiled.cost else 0.0)
    return sorted(
        (LeftOut(name, share, f"inlined into {holder}, where it counts") for (name, holder), share in found.items()),
        key=lambda item: -item.share,
    )


def few_samples(profile: Profile, own_share: float) -> str:
    """What to do about so few samples in the project's functions that their order is chance, or "". `own_share` is as in HotSet."""
    if any(run.unit != "samples" for run in profile.runs):
        return ""
    own = sum(run.samples for run in profile.runs) * own_share
    if not 0 < own < _FEW_SAMPLES:
        return ""
    only = f"only {counted(max(1, round(own)), 'sample')} of the project's functions: the shares are rough"
    return f"{only}; take a longer workload, a higher --frequency, or more runs with --add"


def _absent(names: frozenset[str], own: Sequence[ProfiledFunction]) -> list[LeftOut]:
    """Functions that were asked for and that the profile does not have."""
    missing = names - {function.symbol for function in own}
    if not missing:
        return []
    holders: dict[str, list[str]] = {}
    for item in inlined_into([HotFunction(function, 0.0) for function in own]):
        holders.setdefault(item.function, []).append(item.reason)
    unknown = "not in the profile: it was never sampled, is inlined, or has another name (clones count)"
    return [LeftOut(name, 0.0, holders.get(name, [unknown])[0]) for name in sorted(missing)]


def _line(own: float, covered: float, count: int, left_out: Sequence[LeftOut]) -> str:
    line = f"{own:.0%} of all samples are in the project's own functions; "
    line += f"{counted(count, 'hot function')} {'covers' if count == 1 else 'cover'} {covered:.0%} of those"
    others = [
        item
        for item in left_out
        if "not of this project" in item.reason or "symbol" in item.reason or "kernel" in item.reason
    ]
    if others and own < 0.995:
        line += f" (the rest: {', '.join(f'{item.function} {item.share:.0%}' for item in others[:3])})"
    return line
