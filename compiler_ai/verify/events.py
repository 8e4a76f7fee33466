"""Whether two runs made the same calls: in order, with the same arguments, with the same memory.

Source: System V ABI AMD64, 3.2.2 (the stack frame), 3.2.3 (parameter passing), 3.5.7 (variable arguments).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from compiler_ai.sandbox.events import CallEvent
from compiler_ai.verify.arguments import Argument, Arguments
from compiler_ai.verify.equivalence import is_dead
from compiler_ai.verify.passedvalues import Comparing, Disagreement, Side
from compiler_ai.verify.passing import VECTOR_ARGUMENTS

_DIRECTION_FLAG = 0x400
_MXCSR_CONTROL = 0xFFC0
_MOST_GAPS = 2  # words of the stack without arguments in them: then there are no more
_VECTOR_GARBAGE = (bytes([0x5A]) * 16, bytes([0xA5]) * 16)  # what runtime/events.c and runtime/run.c leave


@dataclass(frozen=True)
class Run:
    """What both runs began with: the stack pointer, memory, and what registers held that carry no argument of the body."""

    stack_pointer: int
    initial: Callable[[int, int], bytes]
    garbage: frozenset[bytes]


def events_differ(baseline: Side, candidate: Side, arguments: Arguments, run: Run) -> tuple[str, int | None]:
    """The first difference in calls or arguments, in words or "", and the number of the first call at which memory differs.

    What comes first counts: when memory differs before a call or an argument does, there are no words.
    """
    for number, (theirs, mine) in enumerate(zip(baseline.events, candidate.events, strict=False)):
        name = arguments.callees.names.get(theirs.target, f"{theirs.target:#x}")
        found = _call_differs(theirs, mine, arguments)
        certain = (d.words for d in _disagreements(number, baseline, candidate, arguments, run) if d.is_certain)
        found = found or next(certain, "")
        if found:
            return f"call {number + 1}, of {name}: {found}", None
        if theirs.digest is not None and mine.digest is not None and theirs.digest != mine.digest:
            return "", number
    return "", None


def events_doubt(baseline: Side, candidate: Side, arguments: Arguments, run: Run) -> str:
    """Where the same calls may pass something else, in words or "": it cannot be told whether their callees look at it."""
    for number, theirs in enumerate(baseline.events[: len(candidate.events)]):
        for found in _disagreements(number, baseline, candidate, arguments, run):
            if not found.is_certain:
                name = arguments.callees.names.get(theirs.target, f"{theirs.target:#x}")
                return f"in call {number + 1}, of {name}, {found.words}, which may be an argument"
    return ""


def _call_differs(theirs: CallEvent, mine: CallEvent, arguments: Arguments) -> str:
    if theirs.target != mine.target:
        return f"it calls {arguments.callees.names.get(mine.target, hex(mine.target))} instead"
    if mine.rflags & _DIRECTION_FLAG:
        return "the direction flag is set"
    if (theirs.mxcsr ^ mine.mxcsr) & _MXCSR_CONTROL:
        return f"MXCSR control bits are {mine.mxcsr & _MXCSR_CONTROL:#x}"
    if theirs.x87_tags.bit_count() != mine.x87_tags.bit_count():
        return "the x87 stack is at another depth"
    if theirs.stack_pointer % 16 == 8 and mine.stack_pointer % 16 != 8:
        return "the stack is not aligned to 16 bytes"
    if arguments.is_variadic(theirs.target) and theirs.rax & 0xFF and not mine.rax & 0xFF:
        return "al says that no vector register holds an argument"
    return ""


def _disagreements(
    number: int, baseline: Side, candidate: Side, arguments: Arguments, run: Run
) -> Iterator[Disagreement]:
    theirs, mine = baseline.events[number], candidate.events[number]
    passed = arguments.of(theirs, baseline.constants)
    numbers = [one for one in passed if one.type.kind == "integer"]
    counts = [
        int.from_bytes(one.value(theirs) or b"", "little")
        for one in numbers
        if one.is_certain and one.type.size_bytes == 8 and not one.type.signed
    ]
    comparing = Comparing(theirs, mine, (baseline, candidate), counts, bool(numbers), run.stack_pointer, run.initial)
    garbage = run.garbage | (_left(baseline.events[number - 1]) if number else frozenset())
    gaps = 0
    for one in passed:
        if not one.is_certain:
            is_stacked = isinstance(one.place, int)
            if is_stacked and (gaps == _MOST_GAPS or _is_above(one, theirs, run.stack_pointer)):
                return
            if _is_garbage(one, theirs, garbage, run):
                gaps += is_stacked
                continue
            gaps = 0
        yield from comparing.argument(one)


def _left(event: CallEvent) -> frozenset[bytes]:
    """What a callee left in scratch registers."""
    return frozenset((value & 2**64 - 1).to_bytes(8, "little") for value in (event.garbage, ~event.garbage))


def _is_garbage(argument: Argument, event: CallEvent, garbage: frozenset[bytes], run: Run) -> bool:
    """Whether what the baseline has there was there before it began, or was left by a callee."""
    value = argument.value(event)
    if isinstance(argument.place, int):
        address = event.stack_pointer + argument.place + argument.offset_bytes
        return value is not None and (value in garbage or run.initial(address, len(value)) == value)
    if argument.place in VECTOR_ARGUMENTS:
        return value in _VECTOR_GARBAGE or value in garbage
    return value in garbage


def _is_above(argument: Argument, event: CallEvent, stack_pointer: int) -> bool:
    """Whether a word lies above the body's own frame: what a body that ends in this call passes on there is memory."""
    return not is_dead(event.stack_pointer + int(argument.place), stack_pointer)
