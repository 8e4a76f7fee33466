"""Calls in which what a pointer leads to is also one of the numbers that the function reads elsewhere, a count in a structure or a
global variable: a body must not take it that its stores leave those as they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice, permutations

from compiler_ai.verify.mutate import Seed, changed, is_pointer, with_one
from compiler_ai.verify.prototype import Prototype, Type
from compiler_ai.verify.scalars import Argument
from compiler_ai.verify.state import EntryState

_WIDTHS = (1, 2, 4)  # 8 bytes may be a null pointer, which no number may alias (ISO C11, 6.5)
_MOST_BYTES = 64  # of what lies together and is no array
_MOST_SPANS = 8
_BEFORE = (0, 1, 2)  # elements
Span = tuple[int, int]
Moved = Callable[[int], EntryState]


def aliased(seed: Seed, prototype: Prototype | None, private: Sequence[Span]) -> Iterator[EntryState]:
    """The seed with each pointer to characters, or to numbers of the read one's size and kind, leading there or a little before it, and
    with each two pointers to the same kind of structure equal, or the one leading to such a one in what the other leads to. In `private` lies what no pointer of a caller's leads to."""
    numbers = [span for span in _scattered(seed.reads) if not is_pointer(seed, span)]
    numbers = [span for span in numbers if not any(low <= span[0] < high for low, high in private)]
    passed = seed.arguments(prototype).items()
    pointers = {one: at for one, at in passed if one.type.kind == "pointer" and not one.type.restricted}
    for one, other in permutations(pointers, 2):
        if one.type.target_kind == other.type.target_kind == "aggregate" and _is_alike(one.type, other.type):
            yield with_one(seed.state, one, pointers[other])
        for offset, structure in other.type.target_parts:
            if structure == one.type.target_structure:
                yield with_one(seed.state, one, pointers[other] + offset)
    for kind, moved in _members(seed, pointers):
        for one, at in pointers.items():
            if kind.target_structure and kind.target_structure == one.type.target_structure:
                yield moved(at)
    for kind, moved in [*_passed(seed, pointers), *_members(seed, pointers)]:
        width = kind.target_bytes
        fitting = [span for span in numbers if _may_lead_to(kind, span, span in seed.floats)]
        for start, _ in fitting[:_MOST_SPANS]:
            for before in _BEFORE:
                state = moved(start - before * width)
                yield _filled_before(state, start, before * width) if kind.target_const else state


def _passed(seed: Seed, pointers: Mapping[Argument, int]) -> Iterator[tuple[Type, Moved]]:
    return ((one.type, partial(with_one, seed.state, one)) for one in pointers)


def _members(seed: Seed, pointers: Mapping[Argument, int]) -> Iterator[tuple[Type, Moved]]:
    """Pointers in the structures that are passed by their address, as far as the run reads them."""
    for one, at in pointers.items():
        for offset, kind in one.type.target_members:
            place = at + offset
            if kind.kind == "pointer" and (place, place + kind.size_bytes) in seed.reads:
                yield kind, partial(_with_pointer, seed.state, place)


def _with_pointer(state: EntryState, place: int, to: int) -> EntryState:
    patch = {place: (to % (1 << 64)).to_bytes(8, "little")}
    return changed(state, f"{place:#x} leads to {to:#x}", state.registers.general, patch)


def _filled_before(state: EntryState, start: int, size_bytes: int) -> EntryState:
    """The call with numbers other than 0 in so many bytes before an address, as far as these are there."""
    first = start - size_bytes
    if not size_bytes or state.image.pages.find(first) is None:
        return state
    return changed(state, f"3 before {start:#x}", state.registers.general, {first: b"\3" * size_bytes})


def _is_alike(one: Type, other: Type) -> bool:
    return (one.target_bytes, one.target_members) == (other.target_bytes, other.target_members)


def _may_lead_to(kind: Type, span: Span, is_float: bool) -> bool:
    """Whether a pointer may lead to what is read there, by its type (ISO C11, 6.5)."""
    size = span[1] - span[0]
    if kind.target_kind == "float":
        return is_float and size == kind.target_bytes
    return (
        kind.target_kind == "integer"
        and kind.target_bytes in _WIDTHS
        and (kind.target_bytes == 1 or (size == kind.target_bytes and not is_float))
    )


def _scattered(reads: Sequence[Span]) -> Iterator[Span]:
    """Those of sorted spans that are no elements of arrays: few lie together."""
    together: list[Span] = []
    for span in (*reads, None):
        if span is not None and together and span[0] <= max(end for _, end in together):
            together.append(span)
            continue
        if together and together[-1][1] - together[0][0] <= _MOST_BYTES:
            yield from islice(together, _MOST_SPANS)
        together = [span] if span is not None else []
