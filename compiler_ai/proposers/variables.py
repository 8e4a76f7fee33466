"""A unit's own writable variables as another compiler may see them: somebody else's, whose layout and values it cannot know.

In LLVM's IR a static variable is `internal`: the optimiser splits it, drops what is never read of it, and takes it for
constant where the module never stores. The variable that a transplanted body works on is GCC's, which other functions of the
unit, and other bodies of them, use as well. So it is declared and not defined (LLVM Language Reference, "Global Variables").
"""

from __future__ import annotations

import re
from collections import Counter

STATIC_PREFIX = "aicc.static."  # in front of the name of a function's static variable that is the only one of its name

_GLOBAL = re.compile(
    r'^@(?P<name>"[^"]*"|[-$\w.]+) = internal (?P<words>(?:(?:local_)?unnamed_addr )?)global (?P<rest>[^\n]*)$',
    re.MULTILINE,
)
_ALIGN = re.compile(r", align \d+(?=(?:, ![\w.]+ ![\w.]+)*$)")
_IN_FUNCTION = re.compile(r"[^.]+\.(?P<variable>[A-Za-z_$][\w$]*)(?:\.\d+)?")
_OPENING, _CLOSING = "[{(<", "]})>"


def declared(module: str) -> str:
    """The module as clang prints it, with every local writable variable declared as a hidden one of another unit.

    Left as they are: thread-local variables and those with an alias. A variable of a function (clang: `f.x`, GCC: `x.0`) is called
    `aicc.static.x` when the unit has no other of its name.
    """
    aliased = "\n".join(line for line in module.splitlines() if line.startswith("@") and " alias " in line)
    found = [match for match in _GLOBAL.finditer(module) if f"@{match['name']}" not in aliased]
    shared = Counter(variable for match in found if (variable := _of_function(match["name"])))
    renamed: dict[str, str] = {}
    for match in found:
        variable = _of_function(match["name"])
        if variable and shared[variable] == 1:
            renamed[match["name"]] = f"{STATIC_PREFIX}{variable}"
    names = {match["name"] for match in found}
    text = _GLOBAL.sub(lambda match: _declaration(match) if match["name"] in names else match[0], module)
    for old, new in renamed.items():
        text = re.sub(rf"@{re.escape(old)}(?![-$\w.])", f"@{new}", text)
    return text


def _of_function(name: str) -> str:
    """The C name of a function's static variable; "" for a variable of the file."""
    match = _IN_FUNCTION.fullmatch(name)
    return match["variable"] if match else ""


def _declaration(match: re.Match[str]) -> str:
    align = _ALIGN.search(match["rest"])
    return (
        f"@{match['name']} = external hidden {match['words']}global {_type(match['rest'])}{align[0] if align else ''}"
    )


def _type(rest: str) -> str:
    """The type at the beginning of what follows `global`."""
    depth = 0
    for position, character in enumerate(rest):
        if character in _OPENING:
            depth += 1
        elif character in _CLOSING:
            depth -= 1
        elif character == " " and depth == 0:
            return rest[:position]
    return rest
