"""Which registers the functions of a unit return values in, by their C types."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from compiler_ai.toolchains.description import Toolchain
from compiler_ai.verify.prototype import Prototype, Type

# GCC's clones return what their source function does, or nothing (-fipa-sra, -fipa-cp, -fpartial-inlining).
_CLONE = re.compile(r"^(\w+)(?:\.(?:constprop|isra|part)\.\d+)*$")


def returned_registers(
    functions: Iterable[str], prototypes: Mapping[str, Prototype], toolchain: Toolchain
) -> dict[str, frozenset[str]]:
    """The return registers (widest names) of each function, by assembled name, whose type says it; the others are left out."""
    found: dict[str, frozenset[str]] = {}
    for name in functions:
        clone = _CLONE.match(name)
        prototype = prototypes.get(clone[1]) if clone else None
        registers = _registers(prototype.returns, toolchain) if prototype is not None else None
        if registers is not None:
            found[name] = registers
    return found


def _registers(kind: Type, toolchain: Toolchain) -> frozenset[str] | None:
    if kind.kind == "void":
        return frozenset()
    if kind.kind in ("integer", "pointer"):
        count = 1 if kind.size_bytes <= toolchain.pointer_bytes else len(toolchain.integer_returns)
        return frozenset(toolchain.integer_returns[:count])
    if kind.kind == "float":
        return frozenset(toolchain.vector_returns[:1])  # of long double, nothing; DWARF does not tell it from _Float128
    if kind.kind == "complex" or (kind.kind == "aggregate" and kind.size_bytes > 2 * toolchain.pointer_bytes):
        return frozenset({*toolchain.integer_returns[:1], *toolchain.vector_returns})  # memory, or vectors
    return None
