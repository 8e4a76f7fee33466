"""Where a function's arguments lie when it is entered: in which registers, or where on the stack.

Implements System V ABI AMD64, 3.2.3 (parameter passing), as GCC does in C. What is not understood (vectors wider than 16 bytes, whose place
depends on the target flags, decimal numbers, arrays without bounds) makes all of a function's places unknown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from compiler_ai.verify.prototype import Member, Prototype, Type

GENERAL_ARGUMENTS = ("rdi", "rsi", "rdx", "rcx", "r8", "r9")
VECTOR_ARGUMENTS = ("xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7")
_GENERAL_RESULTS, _VECTOR_RESULTS = ("rax", "rdx"), ("xmm0", "xmm1")
_EIGHTBYTE = 8
_FIRST_ON_STACK_BYTES = 8  # from the stack pointer at entry: behind the return address
_MOST_IN_REGISTERS_BYTES = 16
INTEGER, SSE, X87, MEMORY = "INTEGER", "SSE", "X87", "MEMORY"
_SSEUP, _X87UP, _COMPLEX_X87, _NO_CLASS = "SSEUP", "X87UP", "COMPLEX_X87", ""
_IN_REGISTERS = frozenset({INTEGER, SSE, _SSEUP, _NO_CLASS})


@dataclass(frozen=True)
class Part:
    """What one register holds of a parameter, or what of it lies on the stack.

    `abi_class` is INTEGER, SSE, X87 or MEMORY; `place` a register's name or the offset from the stack pointer at entry, in bytes; the part begins
    `offset_bytes` inside of the parameter and has `size_bytes` that count; `members` are the scalars in it, by offset in the part.
    """

    abi_class: str
    place: str | int
    offset_bytes: int
    size_bytes: int
    members: tuple[Member, ...]

    @property
    def vector(self) -> int | None:
        """The number of its vector register."""
        return VECTOR_ARGUMENTS.index(self.place) if self.place in VECTOR_ARGUMENTS else None


@dataclass(frozen=True)
class ResultPart:
    """What one register holds of a result: the scalars in it, by offset in the register."""

    place: str
    members: tuple[Member, ...]


@dataclass(frozen=True)
class Passed:
    """One parameter and where it lies: nowhere when it has no bytes."""

    name: str
    type: Type
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Passing:
    """Where all named parameters lie. `result_in_memory`: rdi holds where the result goes. `stack_bytes`: how much of the stack behind the
    return address they take."""

    parameters: tuple[Passed, ...]
    result_in_memory: bool
    stack_bytes: int

    @property
    def parts(self) -> tuple[Part, ...]:
        """Of all parameters, in order."""
        return tuple(part for parameter in self.parameters for part in parameter.parts)


def passing(prototype: Prototype) -> Passing | None:
    """The places of a prototype's parameters; None when they are not known. What a variadic function gets beyond the named ones is
    not in it."""
    returned = classified(prototype.returns)
    if prototype.is_clone or (returned is None and not prototype.is_assumed):
        return None
    result_in_memory = returned == (MEMORY,)
    general = list(GENERAL_ARGUMENTS[result_in_memory:])
    vector = list(VECTOR_ARGUMENTS)
    stack = _FIRST_ON_STACK_BYTES
    found = []
    for name, kind in prototype.parameters:
        classes = classified(kind)
        if classes is None:
            return None
        if {*classes} <= _IN_REGISTERS and classes.count(INTEGER) <= len(general) and classes.count(SSE) <= len(vector):
            found.append(Passed(name, kind, _in_registers(kind, classes, general, vector)))
            continue
        alignment = max(_EIGHTBYTE, kind.own_alignment_bytes)
        stack += (_FIRST_ON_STACK_BYTES - stack) % alignment
        part = Part(X87 if classes[0] == _COMPLEX_X87 else classes[0], stack, 0, kind.size_bytes, scalars(kind))
        found.append(Passed(name, kind, (part,)))
        stack += -(-kind.size_bytes // _EIGHTBYTE) * _EIGHTBYTE
    return Passing(tuple(found), result_in_memory, stack - _FIRST_ON_STACK_BYTES)


def result_parts(kind: Type) -> tuple[ResultPart, ...] | None:
    """What of a result of this type the registers rax, rdx, xmm0 and xmm1 hold; x87's are not among them. None when that is not known."""
    classes = classified(kind)
    if classes is None:
        return None
    if classes == (MEMORY,):
        return (ResultPart("rax", (Member(0, Type("pointer", 8)),)),)
    if not {*classes} <= _IN_REGISTERS:
        return ()
    parts = _in_registers(kind, classes, list(_GENERAL_RESULTS), list(_VECTOR_RESULTS))
    return tuple(ResultPart(str(part.place), part.members) for part in parts)


def _in_registers(kind: Type, classes: Sequence[str], general: list[str], vector: list[str]) -> tuple[Part, ...]:
    """Takes registers from the front of `general` and `vector`."""
    parts = []
    for number, abi_class in enumerate(classes):
        if abi_class not in (INTEGER, SSE):
            continue
        start = number * _EIGHTBYTE
        end = min(start + (16 if classes[number + 1 : number + 2] == (_SSEUP,) else 8), kind.size_bytes)
        whole = [
            one for one in scalars(kind) if start <= one.offset_bytes and one.offset_bytes + one.type.size_bytes <= end
        ]
        members = tuple(Member(at - start, scalar) for at, scalar in whole)
        parts.append(Part(abi_class, (general if abi_class == INTEGER else vector).pop(0), start, end - start, members))
    return tuple(parts)


def scalars(kind: Type) -> tuple[Member, ...]:
    """The scalars in a type, each of at most 16 bytes; __int128 as its halves."""
    found = []
    for offset, inner in kind.members or ((0, kind),):
        if inner.kind in ("complex", "vector") and inner is not kind:
            found += [Member(offset + at, scalar) for at, scalar in scalars(inner)]
        elif inner.kind == "integer" and inner.size_bytes == 2 * _EIGHTBYTE:
            found += [Member(offset, Type("integer", 8)), Member(offset + 8, Type("integer", 8, inner.signed))]
        elif inner.kind != "aggregate":  # one without members is empty
            found.append(Member(offset, inner))
    return tuple(found)


def classified(kind: Type) -> tuple[str, ...] | None:
    """The classes of a type's eightbytes, (MEMORY,) for all of what only memory holds; None when they are not known."""
    size = kind.size_bytes
    if kind.kind == "void":
        return ()
    if kind.kind == "aggregate":
        return _aggregate(kind)
    if kind.kind in ("integer", "pointer"):
        return (INTEGER,) * -(-size // _EIGHTBYTE) if size <= _MOST_IN_REGISTERS_BYTES else None
    if kind.kind == "float":
        return (X87, _X87UP) if size == 16 else (SSE,)
    if kind.kind == "complex":
        return (_COMPLEX_X87,) if size == 32 else (SSE,) * -(-size // _EIGHTBYTE)
    if kind.kind == "vector" and size in (8, 16) and len(kind.members) != 1:
        return (SSE, _SSEUP)[: size // _EIGHTBYTE]
    return None


def _aggregate(kind: Type) -> tuple[str, ...] | None:
    size = kind.size_bytes
    inner = [(at, classified(scalar), scalar) for at, scalar in kind.members]
    if any(classes is None for _, classes, _ in inner):
        return None
    if size > _MOST_IN_REGISTERS_BYTES or any(at % scalar.own_alignment_bytes for at, _, scalar in inner):
        return (MEMORY,)
    merged = [_NO_CLASS] * -(-size // _EIGHTBYTE)
    for at, classes, _ in inner:
        for number, abi_class in enumerate(classes or (), at // _EIGHTBYTE):
            merged[number] = _merged(abi_class, merged[number])
    for number, abi_class in enumerate(merged):
        before = merged[number - 1] if number else _NO_CLASS
        if abi_class == MEMORY or (abi_class == _X87UP and before != X87):
            return (MEMORY,)
        if abi_class == _SSEUP and before != SSE:
            merged[number] = SSE
    return None if _is_unexplained(kind, merged) else tuple(merged)


def _merged(one: str, other: str) -> str:
    if one == other or _NO_CLASS in (one, other):
        return one or other
    for abi_class in (MEMORY, INTEGER):
        if abi_class in (one, other):
            return abi_class
    return MEMORY if {X87, _X87UP, _COMPLEX_X87} & {one, other} else SSE


def _is_unexplained(kind: Type, classes: Sequence[str]) -> bool:
    """Whether bytes that no member takes are more than its alignment makes: GCC counts bit-fields without a name, which DWARF does not
    have, as INTEGER."""
    taken = {at + n for at, inner in kind.members for n in range(inner.size_bytes)}
    for number, abi_class in enumerate(classes):
        own = range(number * _EIGHTBYTE, min(number * _EIGHTBYTE + _EIGHTBYTE, kind.size_bytes))
        if abi_class != INTEGER and len([at for at in own if at not in taken]) >= kind.alignment_bytes:
            return True
    return False
