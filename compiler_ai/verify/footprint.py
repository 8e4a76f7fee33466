"""What a traced run accesses that it must not: invented stores and reads, stores below the red zone, more stack."""

from __future__ import annotations

from collections.abc import Sequence

from compiler_ai.verify.accesses import Accesses
from compiler_ai.verify.equivalence import is_dead

BLOCK_BYTES = 64  # a read in a block that the baseline reads from cannot fault: blocks do not cross pages


def overreach(
    baseline: Accesses,
    candidate: Accesses,
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
        return f"it stores below the red zone at {min(candidate.below_red_zone):#x}", True
    stores = live_bytes(baseline.writes, stack_pointer)
    invented = live_bytes(candidate.writes, stack_pointer) - stores
    if invented and not baseline.uncertain:
        return f"it stores to {min(invented):#x}, which the baseline does not", True
    if baseline.uncertain:
        return "", False
    blocks = {byte // BLOCK_BYTES for byte in live_bytes(baseline.reads, stack_pointer) | stores}
    for start, end in sorted(candidate.reads):
        if is_dead(start, stack_pointer) or any(low <= start and end <= high for low, high in readable):
            continue
        for block in range(start // BLOCK_BYTES, (end - 1) // BLOCK_BYTES + 1):
            if block not in blocks:
                return f"it reads {start:#x}, which the baseline does not", True
    return "", not candidate.uncertain


def live_bytes(spans: set[tuple[int, int]], stack_pointer: int) -> set[int]:
    """The bytes of `spans` outside of the callee's own frame."""
    return {byte for start, end in spans if not is_dead(start, stack_pointer) for byte in range(start, end)}
