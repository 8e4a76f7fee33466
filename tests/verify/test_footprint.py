"""Footprints: bytes as bits, and what is beyond them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from compiler_ai.sandbox.footprint import Footprint
from compiler_ai.verify.footprint import BLOCK_BYTES, bits_of, overreach

STACK = 0x7FFF0000
HEAP = 0x10000
spans = st.lists(st.tuples(st.integers(0, 9000), st.integers(1, 200)), max_size=12)


def footprint(reads: list[tuple[int, int]], writes: list[tuple[int, int]], **more: int) -> Footprint:
    def bits(pieces: list[tuple[int, int]]) -> dict[int, int]:
        return bits_of((HEAP + start, HEAP + start + size) for start, size in pieces)

    return Footprint(bits(reads), bits(writes), more.pop("lowest_stack", STACK), **more)  # type: ignore[arg-type]


def members(pieces: list[tuple[int, int]]) -> set[int]:
    return {HEAP + start + at for start, size in pieces for at in range(size)}


@given(spans)
def test_every_byte_of_the_spans_is_a_bit_and_no_other(pieces: list[tuple[int, int]]) -> None:
    found = bits_of((HEAP + start, HEAP + start + size) for start, size in pieces)
    assert sum(bits.bit_count() for bits in found.values()) == len(members(pieces))
    assert all(found[byte & -4096] >> byte % 4096 & 1 for byte in members(pieces))


@given(spans, spans)
def test_a_store_that_the_baseline_does_not_make_is_named(
    theirs: list[tuple[int, int]], mine: list[tuple[int, int]]
) -> None:
    difference, whole = overreach(footprint([], theirs), footprint([], mine), STACK, 0, [])
    invented = members(mine) - members(theirs)
    assert difference == (f"it stores to {min(invented):#x}, which the baseline does not" if invented else "")
    assert whole


@given(spans, spans, spans)
def test_reads_stay_in_blocks_that_the_baseline_accesses(
    theirs: list[tuple[int, int]], stores: list[tuple[int, int]], mine: list[tuple[int, int]]
) -> None:
    difference, _ = overreach(footprint(theirs, stores), footprint(mine, []), STACK, 0, [])
    blocks = {byte // BLOCK_BYTES for byte in members(theirs) | members(stores)}
    beyond = {byte for byte in members(mine) if byte // BLOCK_BYTES not in blocks}
    assert difference == (f"it reads {min(beyond):#x}, which the baseline does not" if beyond else "")


def test_the_frame_is_the_callees_own() -> None:
    frame = bits_of([(STACK - 64, STACK)])
    assert overreach(footprint([], []), Footprint(frame, frame, STACK - 64), STACK, 64, []) == ("", True)
    assert "64 bytes of stack more" in overreach(footprint([], []), Footprint({}, {}, STACK - 64), STACK, 63, [])[0]


def test_constants_may_be_read() -> None:
    mine = footprint([(0, 8)], [])
    assert overreach(footprint([], []), mine, STACK, 0, [(HEAP, HEAP + 8)]) == ("", True)
    assert overreach(footprint([], []), mine, STACK, 0, [(HEAP, HEAP + 7)])[0]


def test_what_is_uncertain_is_not_whole() -> None:
    unsure = Footprint({}, {}, STACK, uncertain="a gather")
    assert overreach(footprint([], []), unsure, STACK, 0, []) == ("", False)
    assert overreach(unsure, footprint([], [(0, 1)]), STACK, 0, []) == ("", False)
