"""Tests in which calls out of the unit are answered instead of made: which states, and what both sides must agree on.

Both sides get the same answers, so what they do with them can be compared whatever the callee would really do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import capstone
from capstone import x86_const as x86

from compiler_ai.sandbox.events import CallEvent
from compiler_ai.sandbox.loader import LoadedObject
from compiler_ai.sandbox.pages import PageSet, Prot
from compiler_ai.sandbox.process import Outcome, OutcomeKind
from compiler_ai.verify.arguments import Arguments, Constants
from compiler_ai.verify.calls import Callees
from compiler_ai.verify.equivalence import describe_end, memory_difference
from compiler_ai.verify.events import Run, events_differ
from compiler_ai.verify.mutate import Wish
from compiler_ai.verify.passedvalues import Side
from compiler_ai.verify.state import Answering, EntryState

ENDS = (OutcomeKind.RETURNED, OutcomeKind.LEFT, OutcomeKind.MAX_EVENTS)

_MOST_CHOSEN = 32  # calls of a run
_LATEST = 2

Until = Callable[[int], tuple[Outcome, Outcome]]


def answered(state: EntryState, number: int) -> EntryState:
    """`state` with its calls answered in the way of this number: some also write through arguments."""
    how = Answering(number, effects=bool(number // 3 % 2))
    return replace(state, name=f"{state.name}, answers {number}", origin="answered", answers=how)


def answered_again(state: EntryState, number: int) -> EntryState:
    """Every other time with other answers, if it has any."""
    return answered(state, number) if state.answers is not None and number % 2 else state


def granted_answers(state: EntryState, wish: Wish, events: Sequence[CallEvent]) -> Iterator[EntryState]:
    """`state` with the answer that may be the compared value set to the wanted one; `events` are its own run's."""
    mask = (1 << 8 * wish.size_bytes) - 1
    for number, event in enumerate(events if state.answers is not None else ()):
        if not (event.answer ^ wish.seen) & mask:
            assert state.answers is not None
            others = tuple(pair for pair in state.answers.chosen if pair[0] != number)
            how = replace(state.answers, chosen=(*others, (number, wish.wanted & 0xFFFFFFFFFFFFFFFF)))
            yield replace(state, name=f"{state.name}, call {number + 1} gives {wish.wanted:#x}", answers=how)


def answered_instead(state: EntryState, wish: Wish, returned: Sequence[int]) -> Iterator[EntryState]:
    """`state` with its calls answered as callees answered them (`returned`, in order) up to the one whose answer may be the compared
    value: that one gives the wanted value. The latest such calls."""
    mask = (1 << 8 * wish.size_bytes) - 1
    alike = [number for number, value in enumerate(returned[:_MOST_CHOSEN]) if not (value ^ wish.seen) & mask]
    for number in reversed(alike[-_LATEST:]):
        chosen = (*enumerate(returned[:number]), (number, wish.wanted & 0xFFFFFFFFFFFFFFFF))
        name = f"{state.name}, call {number + 1} gives {wish.wanted:#x} instead"
        yield replace(state, name=name, origin="answered", answers=Answering(number, chosen=chosen))


def leads_outside(outcome: Outcome, body: LoadedObject, variables: PageSet) -> bool:
    """Whether a run that is no test ended in what the unit called, or at a variable that the captured call did not touch."""
    if outcome.kind is OutcomeKind.SYSCALL:
        return True
    if outcome.kind is OutcomeKind.FAULT and variables.find(outcome.fault_address) is not None:
        return True
    inside = any(region.address <= outcome.rip < region.end for region in body.pages.regions)
    return outcome.kind in (OutcomeKind.FAULT, OutcomeKind.TIMEOUT) and not inside


def calls_outside(body: LoadedObject, callees: Callees) -> bool:
    """Whether the loaded code has a call or jump that may lead to what is not transparent."""
    decoder = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
    decoder.detail = True
    decoder.skipdata = True
    for region in body.pages.regions:
        if not region.prot & Prot.EXEC:
            continue
        for instruction in decoder.disasm(region.data, region.address):
            if instruction.id and instruction.group(x86.X86_GRP_CALL):
                target = _target(instruction, body)
                if target is None or not (_holds(body, target) or callees.is_transparent(target)):
                    return True
            elif instruction.id and instruction.mnemonic == "jmp":
                target = _target(instruction, body)
                if target is not None and not (_holds(body, target) or callees.is_transparent(target)):
                    return True
    return False


def _target(instruction: capstone.CsInsn, body: LoadedObject) -> int | None:
    """Where a direct call or jump leads, through a stub or a slot of the loaded object too; None when only a run tells."""
    operand = instruction.operands[0]
    if operand.type == x86.X86_OP_IMM:
        code = _own(body, operand.imm, 14)
        return int.from_bytes(code[6:14], "little") if code[:6] == b"\xff\x25\0\0\0\0" else int(operand.imm)
    if operand.type == x86.X86_OP_MEM and operand.mem.base == x86.X86_REG_RIP:
        at = instruction.address + instruction.size + operand.mem.disp
        return int.from_bytes(_own(body, at, 8), "little") or None
    return None


def _own(body: LoadedObject, address: int, size_bytes: int) -> bytes:
    region = body.pages.find(address)
    return b"" if region is None else region.data[address - region.address : address - region.address + size_bytes]


def _holds(body: LoadedObject, address: int) -> bool:
    return body.pages.find(address) is not None


def constants(body: LoadedObject, image: PageSet) -> Constants:
    """Reads up to so many bytes that nobody can write: the loaded object's own and the image's; b"" for anything else."""

    def read(address: int, size_bytes: int) -> bytes:
        region = body.pages.find(address) or image.find(address)
        if region is None or region.prot & Prot.WRITE:
            return b""
        at = address - region.address
        if not region.path:
            return region.data[at : at + size_bytes]
        with open(region.path, "rb") as file:
            file.seek(region.offset + at)
            return file.read(min(size_bytes, region.end - address))

    return read


def own_constants(body: LoadedObject) -> Constants:
    """As `constants`, of the loaded object's data alone."""

    def read(address: int, size_bytes: int) -> bytes:
        region = body.pages.find(address)
        if region is None or region.prot & (Prot.WRITE | Prot.EXEC):
            return b""
        return region.data[address - region.address : address - region.address + size_bytes]

    return read


def answered_difference(
    expected: Outcome,
    outcome: Outcome,
    sides: tuple[Side, Side],
    arguments: Arguments,
    run: Run,
    initial: Callable[[int], bytes],
    element_bytes: int,
    until: Until | None,
) -> str:
    """The first difference in calls, in what a callee could see, or in how the runs end; "" when both return or there is none.

    `until(n)` runs both up to call n (from 0), to say what differs in memory there; without it only the call is named.
    """
    found, at = events_differ(*sides, arguments, run)
    if found:
        return found
    if at is not None:
        name = arguments.callees.names.get(expected.events[at].target, f"{expected.events[at].target:#x}")
        if until is None:
            return f"memory differs when it makes call {at + 1}, of {name}"
        a, b = until(at)
        found = memory_difference(a, b, run.stack_pointer, initial, element_bytes)
        if found:
            return f"when it makes call {at + 1}, of {name}: {found}"
    if len(expected.events) != len(outcome.events) or expected.kind is not outcome.kind:
        if outcome.kind not in ENDS:
            return describe_end(outcome)
        return f"it makes {len(outcome.events)} calls instead of {len(expected.events)}"
    if expected.kind is OutcomeKind.RETURNED:
        return ""
    return memory_difference(expected, outcome, run.stack_pointer, initial, element_bytes)
