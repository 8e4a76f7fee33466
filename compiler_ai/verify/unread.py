"""Other contents of the bytes that only a candidate reads: what the baseline does not read can decide nothing."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from random import Random

from compiler_ai.verify.footprint import Bits, bytes_of
from compiler_ai.verify.machine import Machine
from compiler_ai.verify.state import EntryState

_MOST_BYTES = 1 << 16


def with_others(machine: Machine, state: EntryState, only: Bits) -> EntryState | None:
    """`state` with each of the bytes of `only` (page -> bits) changed that a caller may have filled; None when there are none."""
    filled = machine.filled_pages(state)
    addresses = list(bytes_of({page: bits for page, bits in only.items() if page in filled}))[:_MOST_BYTES]
    if not addresses:
        return None
    chance = Random(f"unread {state.name}")
    patches = dict(state.patches)
    breaks = [number for number, (one, following) in enumerate(pairwise(addresses), 1) if following != one + 1]
    for first, last in pairwise([0, *breaks, len(addresses)]):
        start, size = addresses[first], last - first
        data = bytes(byte ^ chance.randrange(1, 256) for byte in machine.memory(state, start, size))
        whole = patches.pop(start, b"")  # a longer one that begins here goes on behind it
        patches[start] = data + whole[size:]
    return replace(
        state, name=f"{state.name}, other contents from {addresses[0]:#x} on, which only it reads", patches=patches
    )
