"""Adds up samples (module, file offset or address, count) to functions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from compiler_ai.artifacts import ProfiledFunction, Sample
from compiler_ai.profile.model import Unmatched
from compiler_ai.profile.symbols import FunctionSymbol, ModuleSymbols


@dataclass(frozen=True)
class RawSample:
    """Self cost at a link-time address of a module; `module` is a path, or a name such as "[kernel.kallsyms]"."""

    module: str
    address: int | None
    count: float


def collect(samples: Iterable[RawSample]) -> tuple[list[ProfiledFunction], list[Unmatched]]:
    """Group samples by function; what belongs to none is unmatched, with the reason."""
    modules: dict[str, ModuleSymbols] = {}
    costs: dict[tuple[str, FunctionSymbol], dict[int, float]] = {}
    unmatched: dict[tuple[str, str], float] = {}
    for sample in samples:
        if not sample.module.startswith("/"):
            _add(unmatched, (sample.module, "kernel or unknown"), sample.count)
            continue
        if sample.module not in modules:
            modules[sample.module] = ModuleSymbols(sample.module)
        module = modules[sample.module]
        part = module.at(sample.address) if sample.address is not None else None
        if part is None or sample.address is None:
            reason = "no symbol covers it" if module.functions else "the module has no symbol table"
            _add(unmatched, (sample.module, reason), sample.count)
            continue
        owner = module.owner(part)
        offsets = costs.setdefault((sample.module, owner), {})
        offset = sample.address - owner.address if part == owner else owner.size_bytes + sample.address - part.address
        offsets[offset] = offsets.get(offset, 0.0) + sample.count
    functions = [
        ProfiledFunction(
            symbol=symbol.name,
            module=path,
            source=modules[path].source_of(symbol),
            address=symbol.address,
            size_bytes=symbol.size_bytes,
            cost=sum(offsets.values()),
            samples=tuple(Sample(offset, offsets[offset]) for offset in sorted(offsets)),
        )
        for (path, symbol), offsets in costs.items()
    ]
    return functions, [Unmatched(module, reason, cost) for (module, reason), cost in unmatched.items()]


def _add(costs: dict[tuple[str, str], float], key: tuple[str, str], count: float) -> None:
    costs[key] = costs.get(key, 0.0) + count
