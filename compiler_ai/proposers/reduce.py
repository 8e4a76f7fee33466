"""An IR module reduced to what one function needs, so that a big unit's other functions cost no optimising.

Works on LLVM's textual IR as clang prints it, where every top-level entity begins in the first column (LLVM Language
Reference, "Module Structure"). Nothing that the function can reach changes; what it cannot reach becomes local, and LLVM's
first clean-up drops it.
"""

from __future__ import annotations

import re

_SYMBOL = re.compile(r'@(?:"([^"]*)"|([-$\w.]+))')
_DEFINITION = re.compile(r'^define [^\n]*?@(?:"([^"]*)"|([-$\w.]+))\([^\n]*\{\n.*?^\}$', re.MULTILINE | re.DOTALL)
_GLOBAL = re.compile(r'^@(?:"([^"]*)"|([-$\w.]+)) = [^\n]*$', re.MULTILINE)
# A definition for the optimiser alone: the program's is in another unit.
_SEEN = re.compile(
    r'^(?:define available_externally [^\n]*?)?@(?:"([^"]*)"|([-$\w.]+))(?:\(| = available_externally )', re.MULTILINE
)
# External linkage as clang prints it: no linkage word, only visibility and locality; none of a COMDAT group.
_EXTERNAL = re.compile(
    r"^define (?:dso_local |dso_preemptable |hidden |protected )*(?=(?!internal|private|weak|linkonce|available)\S)"
)


class ReduceError(Exception):
    """The module does not define the function exactly once; the message is one line."""


def reduced(module: str, function: str, elsewhere: frozenset[str] = frozenset()) -> str:
    """The module with `function` visible to the linker and with every function out of its reach local.

    `elsewhere` are the symbols that GCC's unit takes from other units: what this source says of one of them (an instance of a
    template, C's inline functions) no key holds. Raises ReduceError.
    """
    definitions = {match[1] or match[2]: match for match in _DEFINITION.finditer(module)}
    if function not in definitions:
        raise ReduceError(f"clang does not emit a function {function}")
    reached = _reached(module, definitions, function) if "\nmodule asm " not in module else set(definitions)
    seen = {match[1] or match[2] for match in _SEEN.finditer(module)} & reached & elsewhere
    if seen:
        raise ReduceError(f"{min(seen)} is defined in the source and not in GCC's listing")
    pieces: list[str] = []
    end = 0
    for name, match in definitions.items():
        text = match[0]
        if name == function:
            text = re.sub(r"^define internal ", "define hidden ", text)
        elif name not in reached and " comdat" not in text[: text.index("\n")]:
            text = _EXTERNAL.sub("define internal ", text)
        pieces += [module[end : match.start()], text]
        end = match.end()
    return "".join([*pieces, module[end:]])


def _reached(module: str, definitions: dict[str, re.Match[str]], function: str) -> set[str]:
    """Every symbol that the function mentions, or that something it mentions does."""
    texts = {match[1] or match[2]: match[0] for match in _GLOBAL.finditer(module)}
    texts |= {name: match[0] for name, match in definitions.items()}
    reached, waiting = {function}, [function]
    while waiting:
        for quoted, plain in _SYMBOL.findall(texts.get(waiting.pop(), "")):
            name = quoted or plain
            if name not in reached:
                reached.add(name)
                waiting.append(name)
    return reached
