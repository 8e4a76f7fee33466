"""Which modules of a profile are the project's own: what lies below its directory, and what was built elsewhere from its units."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from compiler_ai.artifacts import CompileCommand
from compiler_ai.profile.objects import ObjectFunction, functions_in, functions_of
from compiler_ai.profile.symbols import ModuleSymbols
from compiler_ai.unit_objects import plain_object

_TELLING_BYTES = 16  # of code that no relocation changes: less may be the same in any two programs


def own_modules(modules: Iterable[str], root: Path, recorded: Sequence[CompileCommand]) -> frozenset[str]:
    """Those below `root`, and those with code of a recorded unit: of build trees beside the source's, and of installed programs."""
    below = root.resolve()
    return frozenset(one for one in set(modules) if Path(one).is_relative_to(below) or _holds_code_of(one, recorded))


def _holds_code_of(path: str, recorded: Sequence[CompileCommand]) -> bool:
    if not path.startswith("/"):  # [kernel.kallsyms], [vdso]
        return False
    module = ModuleSymbols(path)
    units = [unit for unit in recorded if Path(unit.source).name in module.sources]
    return any(_is_in(module, function) for unit in units for function in _functions(unit).values())


def _functions(unit: CompileCommand) -> dict[str, ObjectFunction]:
    """Of a unit that was compiled and linked at once no object is left: it is made once more."""
    found = functions_of(unit.object_path)
    return found if found or Path(unit.object_path).exists() else functions_in(plain_object(unit))


def _is_in(module: ModuleSymbols, function: ObjectFunction) -> bool:
    if function.compared_bytes < _TELLING_BYTES:
        return False
    return any(function.is_code_of(module.code(symbol)) for symbol in module.named(function.name))
