"""Which captures stay: as many kinds as there are, each call of a kind with the same chance, within the bounds."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compiler_ai.capture.format import GENERAL, Registers
from compiler_ai.capture.schedule import Schedule
from compiler_ai.capture.variety import Item, Kind, Selection, kind_of

ROOM = 1 << 30


def kind(number: int) -> Kind:
    return Kind(number, ())


def run(selection: Selection, kinds: list[int], size_bytes: int = 1, room_bytes: int = ROOM) -> int:
    """Offer calls in turn, as the tracer does; returns how many were captured."""
    taken = 0
    for index, number in enumerate(kinds):
        if not selection.wants(kind(number), room_bytes):
            continue
        taken += 1
        leaving = selection.admit(kind(number), size_bytes, room_bytes)
        if leaving is not None:
            selection.keep(Item(kind(number), size_bytes, str(index)), leaving)
    return taken


def test_a_rare_kind_has_its_place():
    selection = Selection(8, random.Random(1))
    taken = run(selection, [0] * 500 + [1] + [0] * 500 + [2, 1])
    kept = Counter(item.kind.caller for item in selection.items)
    assert kept[1] >= 1
    assert kept[2] == 1
    assert sum(kept.values()) == 8
    assert taken < 100, "most calls of the common kind are not even captured"


def test_each_call_of_a_kind_has_about_the_same_chance():
    halves: Counter[bool] = Counter()
    for seed in range(200):
        selection = Selection(6, random.Random(seed))
        run(selection, [0] * 400)
        halves.update(int(item.name) < 200 for item in selection.items)
    assert sum(halves.values()) == 1200
    assert 450 < halves[True] < 750


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 12), st.integers(1, 400)), max_size=120),
    st.integers(1, 9),
    st.integers(1, 1000),
    st.integers(0, 99),
)
def test_bounds_hold_for_any_calls(calls, most, room_bytes, seed):
    selection = Selection(most, random.Random(seed))
    for index, (number, size_bytes) in enumerate(calls):
        if selection.wants(kind(number), room_bytes):
            leaving = selection.admit(kind(number), size_bytes, room_bytes)
            if leaving is not None:
                selection.keep(Item(kind(number), size_bytes, str(index)), leaving)
        assert len(selection.items) <= most
        assert selection.size_bytes <= room_bytes or len(selection.items) == 1
    assert bool(selection.items) == bool(calls)


def test_kinds_that_are_always_impure_are_tried_ever_more_rarely():
    selection = Selection(8, random.Random(1))
    wanted = 0
    for _ in range(1000):
        if selection.wants(kind(0), ROOM):
            wanted += 1
            selection.refuse(kind(0))
    assert 3 < wanted < 200
    assert selection.wants(kind(1), ROOM)


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        (5, 6, True),
        (5, 500, False),
        (5, 0, False),
        (5, -5, False),
        (0xFFFFFFFF, -1, True),  # the upper half of a 32-bit argument is garbage
        (0x7FFFF7D01000, 0x7FFFF7D02010, True),
        (0x7FFFF7D01000, 0x7FFFF7D02011, False),
        (0x7FFFF7D01000, 5, False),
    ],
)
def test_arguments_are_told_apart_by_magnitude_and_pointers_by_alignment(first, second, same):
    kinds = [
        kind_of(Registers({**dict.fromkeys(GENERAL, 0), "rdi": value % 2**64}), ("rdi",), 7)
        for value in (first, second)
    ]
    assert (kinds[0] == kinds[1]) is same


def test_pauses_grow_with_captures_and_end_with_the_time_for_them():
    chance = random.Random(1)
    schedule = Schedule(most_s=1.0)
    pauses = []
    for _ in range(40):
        schedule.captured(0.0, 0.001, chance, usable=True)
        pauses.append(schedule.due_s)
    assert sum(pauses[:5]) < sum(pauses[-5:])
    assert schedule.is_due(schedule.due_s)
    schedule.captured(0.0, 2.0, chance, usable=True)
    assert not schedule.is_due(1e9)
