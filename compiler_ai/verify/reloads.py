"""Calls in which the callee has changed what the body loads afterwards: one that loads it before the call, or keeps what it knew, is
wrong wherever the callee can reach it, be it global or behind a pointer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from compiler_ai.sandbox.process import Trace
from compiler_ai.verify.accesses import Decoder
from compiler_ai.verify.equivalence import is_dead
from compiler_ai.verify.mutate import Seed, is_pointer
from compiler_ai.verify.state import EntryState

_APART = 3  # from the value that was there at the entry


@dataclass(frozen=True)
class Reload:
    """After call `call` (from 0), the instruction at `site` loads `size_bytes` from `address`."""

    call: int
    site: int
    address: int
    size_bytes: int


def reloads(trace: Trace, decoder: Decoder, stack_pointer: int) -> Iterator[Reload]:
    """What a run loads after an answered call without having stored to it since; its own frame left out."""
    events = trace.outcome.events
    calls = 0
    stored: set[int] = set()
    for step in trace:
        if calls < len(events) and step.rip == events[calls].return_to:
            calls += 1
            stored = set()
        for operand in decoder.decoded(step.rip).operands if calls else ():
            start, size = decoder.address(operand, step.general), operand.size_bytes
            if not 0 < size <= 8 or is_dead(start, stack_pointer):
                continue
            if operand.reads and stored.isdisjoint(range(start, start + size)):
                yield Reload(calls - 1, step.rip, start, size)
            if operand.writes:
                stored.update(range(start, start + size))


def changed_by_callee(seed: Seed, reload: Reload) -> EntryState | None:
    """The seed's state with another number there after the call; None for what nobody can write, and for a
    pointer, which would lead nowhere."""
    state, span = seed.state, (reload.address, reload.address + reload.size_bytes)
    if state.answers is None or span not in seed.reads or is_pointer(seed, span):
        return None
    value = int.from_bytes(seed.value(span), "little") + _APART & (1 << 8 * reload.size_bytes) - 1
    written = (reload.call, reload.address, reload.size_bytes, value)
    how = replace(state.answers, written=(*state.answers.written, written))
    name = f"{state.name}, call {reload.call + 1} leaves {value:#x} at {reload.address:#x}"
    return replace(state, name=name, answers=how)
