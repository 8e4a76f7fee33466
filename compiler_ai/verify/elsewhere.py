"""The same call with what one pointer leads to copied to memory of its own, where constants may be others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from compiler_ai.sandbox.pages import PAGE_BYTES, PageSet, Prot, Region, page_floor
from compiler_ai.verify.mutate import Seed, Wish, changed
from compiler_ai.verify.prototype import Prototype
from compiler_ai.verify.state import EntryState, integer_parameters

_ARENA = 0x2C00_0000_0000  # behind generated calls' buffers
_ARENA_STEP = 1 << 24
_COPIED_BYTES = 2 * PAGE_BYTES


def elsewhere(seed: Seed, prototype: Prototype | None, wish: Wish) -> Iterator[EntryState]:
    """The seed with the compared value, where it was loaded last from memory that no caller can write, set to the wanted one in a copy
    of that memory: a table that is one of the program's constants may be another one in another call."""
    if prototype is None or not wish.near:
        return
    start, end = wish.near[0]
    size_bytes = end - start
    mask = (1 << 8 * size_bytes) - 1
    held = int.from_bytes(seed.memory(start, size_bytes), "little")
    if (start, end) in seed.reads or held != wish.seen & mask:
        return
    for number, (name, kind) in enumerate(integer_parameters(prototype)):
        pointer = seed.state.registers[name]
        if kind.kind == "pointer" and kind.target_kind != "function" and 0 <= start - pointer < PAGE_BYTES - size_bytes:
            first, page = _ARENA + number * _ARENA_STEP, page_floor(pointer)
            if any(pages.find(first) is not None for pages in seed.state.extra):
                continue  # it is elsewhere already
            data = bytearray(seed.memory(page, _COPIED_BYTES))
            data[start - page : end - page] = (wish.wanted & mask).to_bytes(size_bytes, "little")
            copy = PageSet((Region(first, Prot.READ | Prot.WRITE, bytes(data)),))
            general = {**seed.state.registers.general, name: first + pointer - page}
            moved = changed(seed.state, f"{name} elsewhere, with {wish.wanted & mask:#x} there", general, {})
            yield replace(moved, extra=(*seed.state.extra, copy))
