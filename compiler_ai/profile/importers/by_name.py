"""Costs by source function name (gcov) become costs of a module's assembled functions: clones, statics and inlined ones included."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from compiler_ai.artifacts import ProfiledFunction
from compiler_ai.profile import dwarf
from compiler_ai.profile.importers.gcov import Executed
from compiler_ai.profile.model import Unmatched
from compiler_ai.profile.symbols import FunctionSymbol, ModuleSymbols, base_name


def attribute(executed: Iterable[Executed], module: ModuleSymbols) -> tuple[list[ProfiledFunction], list[Unmatched]]:
    """A function's cost goes to its symbol, in equal parts to its clones, and to what it is inlined into when it has no symbol."""
    named: dict[str, list[FunctionSymbol]] = {}
    for symbol in module.functions:
        if symbol.owner == symbol.name:
            named.setdefault(base_name(symbol.name), []).append(symbol)
    costs: dict[FunctionSymbol, float] = {}
    absent: list[Executed] = []
    for item in executed:
        symbols = [] if item.line else _of_unit(item, named.get(item.function, []), module)
        for symbol in symbols:
            costs[symbol] = costs.get(symbol, 0.0) + item.lines / len(symbols)
        if not symbols:
            absent.append(item)
    unmatched = _inlined(absent, module, costs)
    functions = [
        ProfiledFunction(symbol.name, module.path, module.source_of(symbol), symbol.address, symbol.size_bytes, cost)
        for symbol, cost in costs.items()
    ]
    return functions, unmatched


def _of_unit(item: Executed, symbols: Sequence[FunctionSymbol], module: ModuleSymbols) -> Sequence[FunctionSymbol]:
    """Those of the item's own unit; a function of a header is in the unit that the data file is named after."""
    names = {item.source, item.unit, *(f"{item.unit}{suffix}" for suffix in (".c", ".cc", ".cpp", ".cxx", ".C"))}
    own = [symbol for symbol in symbols if module.source_of(symbol) in names]
    return own or [symbol for symbol in symbols if not module.source_of(symbol)]


def _inlined(absent: Sequence[Executed], module: ModuleSymbols, costs: dict[FunctionSymbol, float]) -> list[Unmatched]:
    """Adds what DWARF shows to be inlined to the functions that hold it; returns the rest."""
    if not absent:
        return []
    by_address = {symbol.address: symbol for symbol in module.functions}
    holders: dict[str, list[FunctionSymbol]] = {}
    for address, names in dwarf.inlined(module.path, by_address.keys()).items():
        for name in names:
            holders.setdefault(name, []).append(by_address[address])
    places = dwarf.line_addresses(module.path, {(item.source, item.line) for item in absent if item.line})
    unmatched: dict[str, float] = {}
    for item in absent:
        if item.line:
            at = {module.at(address) for address in places.get((item.source, item.line), ())}
            symbols = [module.owner(symbol) for symbol in at if symbol is not None]
        else:
            symbols = list(_of_unit(item, holders.get(item.function, []), module))
        for symbol in symbols:
            costs[symbol] = costs.get(symbol, 0.0) + item.lines / len(symbols)
        if not symbols:
            name = item.function or item.source
            unmatched[name] = unmatched.get(name, 0.0) + item.lines
    program = Path(module.path).name
    return [
        Unmatched(name, f"inlined, or not in {program}; one linked with -g tells", cost)
        for name, cost in unmatched.items()
    ]
