"""Decides how two bodies are timed on one entry state: what to restore between calls, and whether calls may repeat."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence

from compiler_ai.sandbox.errors import SandboxError
from compiler_ai.sandbox.pages import PAGE_BYTES, PageSet, Region
from compiler_ai.sandbox.process import Outcome, OutcomeKind, Sandbox, Ticks, TimedState
from compiler_ai.sandbox.state import Registers, XStateLayout, x87

REPEAT_RESTORE_BYTES = 256  # copying more would drown what is measured
_LINE_BYTES = 64  # differing bytes closer than this are restored as one range


def time_bodies(
    sandbox: Sandbox,
    image: Sequence[PageSet],
    entries: tuple[int, int],
    registers: Registers,
    return_address: int,
    *,
    flush: Sequence[tuple[int, int]] = (),
    pair_count: int = 25,
    cold: bool = False,
    block_ns: int = 10_000,
    seed: int = 1,
) -> Ticks:
    """Times the bodies at ``entries`` from ``registers``; a run of each finds the memory that they change.

    ``image`` holds the capture and both bodies. With ``cold``, what is evicted before each call is ``flush``, or every
    page that was sent as bytes and is not just zeros (the captured pages and both bodies) or that a body writes. Raises SandboxError when a body does not return.
    """
    outcomes = []
    for entry in entries:
        state = Registers(
            registers.general, entry, registers.rflags, registers.fs_base, registers.gs_base, registers.xstate
        )
        outcome = sandbox.run(image, state, return_address)
        if outcome.kind is not OutcomeKind.RETURNED:
            raise SandboxError(f"a body to be timed did not return: {outcome.kind.value} at {outcome.rip:#x}")
        outcomes.append(outcome)
    restore = restore_ranges(image, [outcome.changed for outcome in outcomes], registers["rsp"])
    small = sum(len(data) for _, data in restore) <= REPEAT_RESTORE_BYTES
    repeat = small and can_repeat(sandbox.layout, registers, outcomes)
    written = frozenset().union(*(outcome.written for outcome in outcomes))
    lines = flush or _pages_in_use(image, written)
    return sandbox.time(
        image, entries, [TimedState(registers, restore)], pair_count=pair_count, cold=cold, repeat=repeat,
        flush=lines if cold else (), block_ns=block_ns, seed=seed,
    )  # fmt: skip


def _pages_in_use(image: Sequence[PageSet], written: Container[int]) -> list[tuple[int, int]]:
    """(address, size in bytes) of the pages that can matter: unwritten pages of zeros are only room for the stack."""
    zeros = bytes(PAGE_BYTES)
    return [
        (region.address + at, PAGE_BYTES)
        for pages in image
        for region in pages.regions
        for at in range(0, len(region.data), PAGE_BYTES)
        if region.address + at in written or region.data[at : at + PAGE_BYTES] != zeros
    ]


def restore_ranges(
    image: Sequence[PageSet], changes: Sequence[Mapping[int, bytes]], stack_pointer: int
) -> list[tuple[int, bytes]]:
    """(address, initial bytes) of all that any of the runs changed, except the dead stack below the entry's stack pointer.

    The word at the stack pointer is the return address, which every call sets itself.
    """
    dead_from = stack_pointer - (1 << 23)  # a thread's stack is 8 MiB by default
    ranges: list[tuple[int, bytes]] = []
    for address in sorted({address for changed in changes for address in changed}):
        region = next(found for pages in image if (found := pages.find(address)) is not None)
        before = _initial(region, address)
        changed = [pages[address] for pages in changes if address in pages]
        for start, end in _differing(before, changed):
            for low, high in ((start, min(end, dead_from - address)), (max(start, stack_pointer + 8 - address), end)):
                if low < high:
                    ranges.append((address + low, before[low:high]))
    return ranges


def _differing(before: bytes, pages: Sequence[bytes]) -> list[tuple[int, int]]:
    """[start, end) of what differs in any of the pages from `before`; differences that are close are one range."""
    ranges: list[tuple[int, int]] = []
    for line in range(0, PAGE_BYTES, _LINE_BYTES):
        own = before[line : line + _LINE_BYTES]
        bits = 0
        for page in pages:
            other = page[line : line + _LINE_BYTES]
            if other != own:
                bits |= int.from_bytes(other, "little") ^ int.from_bytes(own, "little")
        if not bits:
            continue
        start = line + ((bits & -bits).bit_length() - 1) // 8
        end = line + (bits.bit_length() + 7) // 8
        if ranges and start - ranges[-1][1] < _LINE_BYTES:
            ranges[-1] = (ranges[-1][0], end)
        else:
            ranges.append((start, end))
    return ranges


def _initial(region: Region, address: int) -> bytes:
    offset = address - region.address
    if not region.path:
        return region.data[offset : offset + PAGE_BYTES]
    with open(region.path, "rb") as file:
        file.seek(region.offset + offset)
        return file.read(PAGE_BYTES).ljust(PAGE_BYTES, b"\0")


def can_repeat(layout: XStateLayout, registers: Registers, outcomes: Sequence[Outcome]) -> bool:
    """Whether a second call may follow at once: general registers and xmm0 to xmm7 are all that a repeated call reloads.

    Not when wider vector arguments may be live, nor when a body leaves something on the x87 stack.
    """
    if registers.xstate:
        for number in range(8):
            if any(layout.vector(registers.xstate, number)[16:]):
                return False
    return all(x87(outcome.xstate).tags == 0 for outcome in outcomes)
