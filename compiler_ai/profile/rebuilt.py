"""A profile of programs that were linked anew since: its functions are found again where they lie now."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

from compiler_ai.artifacts import ProfiledFunction
from compiler_ai.profile.model import Profile, Unmatched
from compiler_ai.profile.symbols import ModuleSymbols


def found_again(profile: Profile) -> Profile:
    """The profile with the addresses and sizes that its functions have in their modules now.

    Samples of a function whose size changed keep their cost and lose their places. A function that its module does not have any
    more, or has twice by the same name and source, is unmatched; one of a module that is gone, or has no symbols, stays as it was.
    """
    module_at = cache(ModuleSymbols)
    functions: list[ProfiledFunction] = []
    unmatched = list(profile.unmatched)
    for function in profile.functions:
        module = module_at(function.module)
        current = _current(function, module) if module.functions else function
        if current is None:
            reason = f"{function.symbol} is not in the module any more, or more than once"
            unmatched.append(Unmatched(function.module, reason, function.cost))
        else:
            functions.append(current)
    return replace(profile, functions=tuple(functions), unmatched=tuple(unmatched))


def _current(function: ProfiledFunction, module: ModuleSymbols) -> ProfiledFunction | None:
    named = module.named(function.symbol)
    found = [symbol for symbol in named if module.source_of(symbol) == function.source] or named
    there = [symbol for symbol in found if symbol.address == function.address] or found
    if len(there) != 1:
        return None
    samples = function.samples if there[0].size_bytes == function.size_bytes else ()
    return replace(function, address=there[0].address, size_bytes=there[0].size_bytes, samples=samples)
