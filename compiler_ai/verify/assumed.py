"""Parameters for a function of which no C type tells them (a clone, or without debug information): what its body reads before it writes it.

Each register that may be read counts as an argument, and those before it in order. What types they have, the captured call's values tell.
Source: System V ABI AMD64, 3.2.3 (parameter passing).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from compiler_ai.sandbox.pages import PageSet, Prot
from compiler_ai.sandbox.state import Registers
from compiler_ai.verify.argumentuse import Used
from compiler_ai.verify.passing import GENERAL_ARGUMENTS, VECTOR_ARGUMENTS, passing
from compiler_ai.verify.prototype import Member, Prototype, Type

_LEAST_ADDRESS = 1 << 16
_FLOAT, _DOUBLE, _WHOLE = Type("float", 4), Type("float", 8), Type("vector", 16)
# What is read of it does not tell what it is: either number, or all of it.
_ANY_VECTOR = Type(
    "aggregate", 16, alignment_bytes=16, members=(Member(0, _WHOLE), Member(0, _FLOAT), Member(0, _DOUBLE))
)
# Objects of a structure: what is behind such a pointer is best taken from the captured call.
_OBJECT = Type("pointer", 8, target_bytes=8, target_kind="aggregate")
_CODE = Type("pointer", 8, target_bytes=1, target_kind="function")


def assumed(prototype: Prototype | None, used: Used, registers: Registers, pages: PageSet) -> Prototype | None:
    """`prototype` with parameters for what its body reads (`used`), by what a captured call had in registers and in memory; itself when it
    names all of them, or has one whose place is not known. Without one, and with a variadic one, what is no argument is not known."""
    if prototype is None:
        prototype = Prototype(Type("unknown", 16), (), True, is_assumed=True)
    elif prototype.is_clone:
        prototype = replace(prototype, variadic=False, is_clone=False, is_assumed=True)
    elif not prototype.variadic:
        return prototype
    named = passing(prototype)
    if named is None:
        return prototype
    taken = {part.place for part in named.parts} | ({"rdi"} if named.result_in_memory else set())
    general = [
        ("", _general(used.places.get(name, 8), registers[name], pages))
        for name in _read(GENERAL_ARGUMENTS, taken, used)
    ]
    vectors = [("", _vector(name, used)) for name in _read(VECTOR_ARGUMENTS, taken, used)]
    return replace(prototype, parameters=(*prototype.parameters, *general, *vectors))


def _read(names: Sequence[str], taken: set[str | int], used: Used) -> list[str]:
    """Those of the registers, in order, up to the last one that may be read."""
    free = [name for name in names if name not in taken]
    read = [number for number, name in enumerate(free, 1) if name in used.places or not used.knows_registers]
    return free[: max(read, default=0)]


def _general(size_bytes: int, value: int, pages: PageSet) -> Type:
    region = pages.find(value) if size_bytes == 8 and value >= _LEAST_ADDRESS else None
    if region is not None:
        return _CODE if region.prot & Prot.EXEC else _OBJECT
    low = value & (1 << 8 * size_bytes) - 1
    is_extended = size_bytes < 4 and low >> 8 * size_bytes - 1 == 1 and value & 0xFFFFFFFF != low
    return Type("integer", size_bytes, is_extended, boolean=size_bytes == 1 and value & 0xFFFFFFFF <= 1)


def _vector(name: str, used: Used) -> Type:
    sizes = {4: _FLOAT, 8: _DOUBLE}
    return sizes.get(used.places.get(name, 16), _ANY_VECTOR) if name not in used.unsure else _ANY_VECTOR
