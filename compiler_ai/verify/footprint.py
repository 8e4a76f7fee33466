"""What a run accesses that it must not: invented stores and reads, stores below the red zone, more stack.

Bytes are bits of whole numbers, one number a page, so that runs that touch megabytes compare as fast as short ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from compiler_ai.sandbox.footprint import Footprint
from compiler_ai.sandbox.pages import PAGE_BYTES, page_floor
from compiler_ai.verify.accesses import Accesses
from compiler_ai.verify.equivalence import DEAD_REACH_BYTES

BLOCK_BYTES = 64  # a read in a block that the baseline reads from cannot fault: blocks do not cross pages
_BLOCK = (1 << BLOCK_BYTES) - 1
_BLOCK_STARTS = sum(1 << at for at in range(0, PAGE_BYTES, BLOCK_BYTES))

Bits = Mapping[int, int]


def footprint_of(accesses: Accesses) -> Footprint:
    """The footprint of a single-stepped run."""
    return Footprint(
        reads=bits_of(accesses.reads),
        writes=bits_of(accesses.writes),
        lowest_stack=accesses.lowest_stack,
        below_red_zone=min(accesses.below_red_zone, default=0),
        uncertain=accesses.uncertain,
    )


def bits_of(spans: Iterable[tuple[int, int]]) -> dict[int, int]:
    """Half-open byte ranges as page address -> bits."""
    bits: dict[int, int] = {}
    for start, end in spans:
        while start < end:
            page = page_floor(start)
            stop = min(end, page + PAGE_BYTES)
            bits[page] = bits.get(page, 0) | ((1 << stop - start) - 1) << start - page
            start = stop
    return bits


def overreach(
    baseline: Footprint,
    candidate: Footprint,
    stack_pointer: int,
    stack_allowance_bytes: int,
    readable: Sequence[tuple[int, int]],
) -> tuple[str, bool]:
    """The first access that the baseline does not make, in words or "", and whether all accesses could be compared.

    `readable` are further half-open ranges that the candidate may read: its own code and constants, and those of the library.
    """
    growth = baseline.lowest_stack - candidate.lowest_stack
    if growth > stack_allowance_bytes:
        return f"it uses {growth} bytes of stack more", True
    if candidate.below_red_zone:
        return f"it stores below the red zone at {candidate.below_red_zone:#x}", True
    invented = _first_beyond(candidate.writes, stack_pointer, lambda page: baseline.writes.get(page, 0))
    if invented is not None and not baseline.uncertain:
        return f"it stores to {invented:#x}, which the baseline does not", True
    if baseline.uncertain:
        return "", False

    def may_read(page: int) -> int:
        accessed = (baseline.reads.get(page, 0) | baseline.writes.get(page, 0)) & ~_dead(page, stack_pointer)
        around = _whole_blocks(accessed) & ~_range_bits(
            page, [(stack_pointer, stack_pointer + 8)]
        )  # the return address
        return accessed | around | _range_bits(page, readable)

    read = _first_beyond(candidate.reads, stack_pointer, may_read)
    if read is not None:
        return f"it reads {read:#x}, which the baseline does not", True
    return "", not candidate.uncertain


def only_read(
    baseline: Footprint, candidate: Footprint, stack_pointer: int, readable: Sequence[tuple[int, int]]
) -> dict[int, int]:
    """What the candidate reads outside of its own frame and what is `readable` anyway, and the baseline does not: nothing may depend on it."""
    beyond = {
        page: bits & ~(baseline.reads.get(page, 0) | _dead(page, stack_pointer) | _range_bits(page, readable))
        for page, bits in candidate.reads.items()
    }
    return {page: bits for page, bits in beyond.items() if bits}


def bytes_of(bits: Bits) -> Iterator[int]:
    """The addresses of the bytes, lowest first."""
    for page in sorted(bits):
        left = bits[page]
        while left:
            yield page + (left & -left).bit_length() - 1
            left &= left - 1


def _first_beyond(bits: Bits, stack_pointer: int, allowed: Callable[[int], int]) -> int | None:
    """The lowest byte outside of the callee's own frame that is not allowed."""
    for page in sorted(bits):
        beyond = bits[page] & ~_dead(page, stack_pointer)
        if beyond:
            beyond &= ~allowed(page)
            if beyond:
                return page + (beyond & -beyond).bit_length() - 1
    return None


def _dead(page: int, stack_pointer: int) -> int:
    return _range_bits(page, ((stack_pointer - DEAD_REACH_BYTES, stack_pointer),))


def _range_bits(page: int, ranges: Sequence[tuple[int, int]]) -> int:
    bits = 0
    for low, high in ranges:
        start, end = max(low, page) - page, min(high, page + PAGE_BYTES) - page
        if start < end:
            bits |= ((1 << end - start) - 1) << start
    return bits


def _whole_blocks(bits: int) -> int:
    """The blocks of which any byte is in `bits`."""
    shift = BLOCK_BYTES // 2
    while shift:  # folds the upper half of what is left of every block onto the lower
        bits |= bits >> shift & _BLOCK_STARTS * ((1 << shift) - 1)
        shift //= 2
    return (bits & _BLOCK_STARTS) * _BLOCK
