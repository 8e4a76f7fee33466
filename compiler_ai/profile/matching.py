"""Which recorded unit a hot function comes from: the one whose object holds the code that the program has."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from compiler_ai.artifacts import CompileCommand, HotFunction, ProfiledFunction
from compiler_ai.profile.objects import ObjectFunction, functions_in, functions_of
from compiler_ai.profile.symbols import FunctionSymbol, ModuleSymbols
from compiler_ai.unit_objects import plain_object

_MOST_NAMES = 3


@dataclass
class Matched:
    """Hot functions with the unit that defines each, and those for which no single unit could be told or that are never
    rewritten, with the reason. `never` are the latter alone."""

    found: list[tuple[HotFunction, CompileCommand]] = field(default_factory=list)
    unmatched: list[tuple[HotFunction, str]] = field(default_factory=list)
    never: list[HotFunction] = field(default_factory=list)


@dataclass(frozen=True)
class _Option:
    """A unit that defines a function of the wanted name; `function` is None when its object holds no code."""

    unit: CompileCommand
    function: ObjectFunction | None


def match_units(functions: Sequence[HotFunction], units: Sequence[CompileCommand]) -> Matched:
    """Find the unit of each hot function: its source has the profiled one's name, and its object holds the same code as the
    program on disk. A program that is gone is judged by the profiled size; an instrumented one (gprof, gcov) by the name."""
    return _Matcher(units).match(functions)


class _Matcher:
    def __init__(self, units: Sequence[CompileCommand]) -> None:
        self._units = units
        self._objects: dict[str, dict[str, ObjectFunction]] = {}
        self._again: dict[str, dict[str, ObjectFunction]] = {}  # those that are not there, compiled once more
        self._modules: dict[str, ModuleSymbols] = {}

    def match(self, functions: Sequence[HotFunction]) -> Matched:
        matched = Matched()
        for hot in functions:
            options = self._options(hot.profiled) or self._options(hot.profiled, again=True)
            chosen, reason = self._choose(hot.profiled, options)
            never = chosen.function.never if chosen is not None and chosen.function is not None else ""
            if never:
                matched.never.append(hot)
                matched.unmatched.append((hot, never))
            elif chosen is not None:
                matched.found.append((hot, chosen.unit))
            else:
                matched.unmatched.append((hot, reason))
        return matched

    def _options(self, profiled: ProfiledFunction, again: bool = False) -> list[_Option]:
        """The units that define it. Of those compiled and linked at once no object is left: `again` makes it once more."""
        options = []
        for unit in self._units:
            if profiled.source and Path(unit.source).name != profiled.source:
                continue
            table = self._object(unit) or (self._made_again(unit) if again else {})
            if profiled.symbol in table:
                options.append(_Option(unit, table[profiled.symbol]))
            elif not table and profiled.source:
                options.append(_Option(unit, None))
        return options

    def _choose(self, profiled: ProfiledFunction, options: list[_Option]) -> tuple[_Option | None, str]:
        if not options:
            return None, "no recorded unit defines it: build with CC=aicc in a directory below the project's"
        module = self._module(profiled.module)
        if module.functions and not module.is_instrumented:
            bodies = self._bodies(module, profiled)
            same = [
                o for o in options if o.function is not None and any(o.function.is_code_of(body) for body in bodies)
            ]
        elif not module.functions and profiled.size_bytes:
            same = [o for o in options if o.function is not None and len(o.function.data) == profiled.size_bytes]
        else:
            same = [o for o in options if o.function is not None and not o.function.is_instrumented]
        options = same or [option for option in options if option.function is None]
        if not options:
            return (
                None,
                "the program holds other code than the recorded objects: build it with CC=aicc and profile again",
            )
        is_linked = bool(module.functions) and not module.is_instrumented
        if len(options) > 1 and is_linked and (_is_one_source(options) or len(module.named(profiled.symbol)) == 1):
            options = self._most_alike(module, options)
        if not _is_one_source(options):
            return None, f"several units may define it: {_names(option.unit.source for option in options)}"
        if len(options) > 1 and not is_linked:
            return None, f"several objects may hold it: {_names(option.unit.object_path for option in options)}"
        return options[0], ""

    def _most_alike(self, module: ModuleSymbols, options: list[_Option]) -> list[_Option]:
        """One body in several objects (a source compiled or included several times): those with most of their functions in the program."""

        def alike(option: _Option) -> tuple[float, int]:
            table = self._object(option.unit) or self._made_again(option.unit)
            present = sum(
                any(function.is_code_of(module.code(symbol)) for symbol in module.named(name))
                for name, function in table.items()
            )
            return present / max(1, len(table)), present

        shares = [alike(option) for option in options]
        best = [option for option, share in zip(options, shares, strict=True) if share == max(shares)]
        # Of objects with the same code, libtool's -fPIC ones are for shared libraries, the others for programs.
        return sorted(best, key=lambda option: _is_shared_code(option.unit) == module.is_program)

    def _bodies(self, module: ModuleSymbols, profiled: ProfiledFunction) -> list[bytes]:
        """The function's code in the program as it is now, which may have been linked anew since it was profiled."""
        named = module.named(profiled.symbol)
        at_address = [symbol for symbol in named if symbol.address == profiled.address]
        same_source = [symbol for symbol in named if self._may_be(module, symbol, profiled.source)]
        return [module.code(symbol) for symbol in (at_address or same_source)]

    @staticmethod
    def _may_be(module: ModuleSymbols, symbol: FunctionSymbol, source: str) -> bool:
        return not source or module.source_of(symbol) in ("", source)

    def _object(self, unit: CompileCommand) -> dict[str, ObjectFunction]:
        if unit.object_path not in self._objects:
            self._objects[unit.object_path] = functions_of(unit.object_path)
        return self._objects[unit.object_path]

    def _made_again(self, unit: CompileCommand) -> dict[str, ObjectFunction]:
        if unit.object_path not in self._again:
            is_there = Path(unit.object_path).exists()
            self._again[unit.object_path] = {} if is_there else functions_in(plain_object(unit))
        return self._again[unit.object_path]

    def _module(self, path: str) -> ModuleSymbols:
        if path not in self._modules:
            self._modules[path] = ModuleSymbols(path)
        return self._modules[path]


def _is_one_source(options: Sequence[_Option]) -> bool:
    return len({option.unit.source for option in options}) == 1


def _is_shared_code(unit: CompileCommand) -> bool:
    words = [word for word in unit.arguments if word.lower() in ("-fpic", "-fno-pic", "-fpie", "-fno-pie")]
    return bool(words) and words[-1].lower() == "-fpic"


def _names(paths: Iterable[str]) -> str:
    found = sorted(set(paths))
    more = f" and {len(found) - _MOST_NAMES} more" if len(found) > _MOST_NAMES else ""
    return ", ".join(found[:_MOST_NAMES]) + more
