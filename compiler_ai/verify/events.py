"""Whether two runs whose calls were answered made the same calls: in order, with the same arguments, with the same memory.

Arguments are those that the callee's prototype names, for printf and its kin also those that the format does; without a
prototype, the registers that the callee's code reads before it writes them. Pointers count as equal when both lead to equal
constants of the unit, or both into the caller's own frame (where what is behind a pointer to const is compared).
Source: System V ABI AMD64, 3.2.2 (the stack frame), 3.2.3 (parameter passing), 3.5.7 (variable arguments).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from compiler_ai.sandbox.events import CallEvent
from compiler_ai.verify.answering import prototype_of
from compiler_ai.verify.argumentuse import ArgumentUse
from compiler_ai.verify.calls import Callees
from compiler_ai.verify.equivalence import is_dead, is_same_nan
from compiler_ai.verify.formats import conversions, format_position
from compiler_ai.verify.prototype import Prototype, Type

_DIRECTION_FLAG = 0x400
_MXCSR_CONTROL = 0xFFC0
_TEXT_BYTES = 4096
_INTEGERS, _VECTORS, _STACKED = 6, 8, 8
_GENERAL = ("rdi", "rsi", "rdx", "rcx", "r8", "r9")


@dataclass(frozen=True)
class Side:
    """One of the two bodies: its events, and the bytes at an address that nobody can write (b"" for anything else)."""

    events: Sequence[CallEvent]
    constants: Callable[[int, int], bytes]


@dataclass(frozen=True)
class Argument:
    """Where an argument is and what it is: a general register, a vector register or a word of the stack, by number."""

    place: str
    value: int
    pointee: int | None
    kind: Type


def events_differ(
    baseline: Side, candidate: Side, callees: Callees, uses: ArgumentUse, stack_pointer: int
) -> tuple[str, int | None]:
    """The first difference in calls or arguments, in words or "", and the number of the first call at which memory differs.

    What comes first counts: when memory differs before a call or an argument does, there are no words.
    """
    for number, (theirs, mine) in enumerate(zip(baseline.events, candidate.events, strict=False)):
        name = callees.names.get(theirs.target, f"{theirs.target:#x}")
        found = _call_differs(theirs, mine, callees, (baseline, candidate), uses, stack_pointer)
        if found:
            return f"call {number + 1}, of {name}: {found}", None
        if theirs.digest is not None and mine.digest is not None and theirs.digest != mine.digest:
            return "", number
    return "", None


def _call_differs(
    theirs: CallEvent,
    mine: CallEvent,
    callees: Callees,
    sides: tuple[Side, Side],
    uses: ArgumentUse,
    stack_pointer: int,
) -> str:
    if theirs.target != mine.target:
        return f"it calls {callees.names.get(mine.target, hex(mine.target))} instead"
    if mine.rflags & _DIRECTION_FLAG:
        return "the direction flag is set"
    if (theirs.mxcsr ^ mine.mxcsr) & _MXCSR_CONTROL:
        return f"MXCSR control bits are {mine.mxcsr & _MXCSR_CONTROL:#x}"
    if theirs.x87_tags.bit_count() != mine.x87_tags.bit_count():
        return "the x87 stack is at another depth"
    if theirs.stack_pointer % 16 == 8 and mine.stack_pointer % 16 != 8:
        return "the stack is not aligned to 16 bytes"
    passed = _passed(theirs, mine, sides, callees, uses)
    counts = [a.value for a, _ in passed if a.kind.kind == "integer" and a.kind.size_bytes == 8 and not a.kind.signed]
    for a, b in passed:
        found = _argument_differs(a, b, counts, sides, stack_pointer)
        if found:
            return found
    return ""


def _passed(
    theirs: CallEvent, mine: CallEvent, sides: tuple[Side, Side], callees: Callees, uses: ArgumentUse
) -> list[tuple[Argument, Argument]]:
    """The arguments of one call as both pass them."""
    each = [_arguments(event, side, callees, uses) for event, side in zip((theirs, mine), sides, strict=True)]
    return list(zip(*each, strict=False))


def _arguments(event: CallEvent, side: Side, callees: Callees, uses: ArgumentUse) -> Iterator[Argument]:
    name = callees.names.get(event.target, "")
    prototype = prototype_of(name, callees.prototypes)
    kinds = _kinds(prototype)
    is_open = (
        prototype is not None and prototype.variadic and not prototype.parameters
    )  # `int f();` says nothing of them
    if prototype is None or kinds is None or is_open:
        for number, size_bytes in sorted(uses.registers(event.target).items()):
            kind = Type("integer", size_bytes)
            yield Argument(_GENERAL[number], event.arguments[number], event.pointees[number], kind)
        return
    at = _format_of(name, prototype)
    if at is not None and at < len(kinds):
        text = side.constants(event.arguments[at], _TEXT_BYTES).partition(b"\0")
        kinds = [*kinds, *(conversions(text[0]) if text[1] else ())]
    yield from _placed(event, kinds, hidden=_returns_in_memory(prototype))


def _format_of(name: str, prototype: Prototype) -> int | None:
    """Which argument is a printf format: of a program's own variadic function, its last named one when that is a text."""
    if not prototype.variadic:
        return None
    known = format_position(name)
    if known is not None or not prototype.parameters:
        return known
    last = prototype.parameters[-1][1]
    is_text = last.kind == "pointer" and last.target_kind == "integer" and last.target_bytes == 1
    return len(prototype.parameters) - 1 if is_text else None


def _kinds(prototype: Prototype | None) -> list[Type] | None:
    """The parameters' types; None when an aggregate makes their places uncertain."""
    if prototype is None:
        return None
    kinds = [kind for _, kind in prototype.parameters]
    if any(kind.kind not in ("integer", "pointer", "float") or kind.size_bytes > 8 for kind in kinds):
        return None
    return kinds


def _returns_in_memory(prototype: Prototype) -> bool:
    kind = prototype.returns
    return kind.kind in ("aggregate", "unknown") and not 0 < kind.size_bytes <= 16


def _placed(event: CallEvent, kinds: Sequence[Type], hidden: bool) -> Iterator[Argument]:
    general, vector, stacked = int(hidden), 0, 0
    for kind in kinds:
        if kind.kind == "float" and vector < _VECTORS:
            yield Argument(f"xmm{vector}", event.vectors[vector], None, kind)
            vector += 1
        elif kind.kind != "float" and general < _INTEGERS:
            yield Argument(_GENERAL[general], event.arguments[general], event.pointees[general], kind)
            general += 1
        elif stacked < _STACKED:
            yield Argument(f"the word {8 * stacked} above the return address", event.stack[stacked], None, kind)
            stacked += 1


def _argument_differs(
    a: Argument,
    b: Argument,
    counts: Sequence[int],
    sides: tuple[Side, Side],
    stack_pointer: int,
) -> str:
    size = 1 if a.kind.boolean else min(8, a.kind.size_bytes or 8)
    mask = (1 << 8 * size) - 1
    if not (a.value ^ b.value) & mask:
        return ""
    if a.kind.kind == "float" and is_same_nan(
        a.value.to_bytes(8, "little")[:size], b.value.to_bytes(8, "little")[:size]
    ):
        return ""
    if size == 8 and a.kind.kind != "float":
        if is_dead(a.value, stack_pointer) and is_dead(b.value, stack_pointer):
            return _pointee_differs(a, b)
        if _same_constant(a, b, counts, sides):
            return ""
    return f"it passes {b.value & mask:#x} in {b.place} instead of {a.value & mask:#x}"


def _pointee_differs(a: Argument, b: Argument) -> str:
    """Behind pointers into the frame: only what is const has been written for sure."""
    kind = a.kind
    if kind.kind != "pointer" or not kind.target_const or kind.target_kind not in ("integer", "float"):
        return ""
    if a.pointee is None or b.pointee is None or kind.target_bytes > 8:
        return ""
    mask = (1 << 8 * kind.target_bytes) - 1
    if (a.pointee ^ b.pointee) & mask:
        return f"it passes the address of {b.pointee & mask:#x} in {b.place} instead of that of {a.pointee & mask:#x}"
    return ""


def _same_constant(a: Argument, b: Argument, counts: Sequence[int], sides: tuple[Side, Side]) -> bool:
    """Whether both lead to equal constants of their units: as text up to its end, for as many bytes as their type has, and
    for as many as another argument (of type size_t) may count."""
    theirs, mine = sides[0].constants(a.value, _TEXT_BYTES), sides[1].constants(b.value, _TEXT_BYTES)
    if not theirs or not mine:
        return False
    length = max(a.kind.target_bytes, 1)
    if length == 1:
        length = theirs.find(b"\0") + 1 or len(theirs)
        length = max([length, *(value for value in counts if value <= len(theirs))])
    return theirs[:length] == mine[:length]
