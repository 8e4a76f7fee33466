"""What inputs the verifier makes from C types: only such as a caller can pass, and those that wrong bodies stumble over."""

from __future__ import annotations

import math
import random
import struct
from itertools import islice

import pytest

from compiler_ai.sandbox.image import CaptureImage
from compiler_ai.sandbox.pages import PAGE_BYTES, PageSet
from compiler_ai.sandbox.state import Registers, XStateLayout
from compiler_ai.sandbox.symbols import NoResolver
from compiler_ai.verify.arrays import arranged
from compiler_ai.verify.generate import Base, generated
from compiler_ai.verify.mutate import Seed, Wish, extremes, granted, magnitudes
from compiler_ai.verify.prototype import Prototype, Type
from compiler_ai.verify.state import EntryState, passed, varied
from compiler_ai.verify.toolong import TooLong
from compiler_ai.verify.values import text

BOOL = Type("integer", 1, boolean=True)
CHAR, UNSIGNED_CHAR = Type("integer", 1, True), Type("integer", 1)
SHORT, INT, SIZE = Type("integer", 2, True), Type("integer", 4, True), Type("integer", 8)
BYTES = Type("pointer", 8, target_bytes=1, target_kind="integer")
STRING = Type("pointer", 8, target_bytes=1, target_kind="integer", target_signed=True)
WORDS = Type("pointer", 8, target_bytes=4, target_kind="integer")


def entry(**general: int) -> EntryState:
    image = CaptureImage(PageSet(()), Registers(), 0, (0, 0), NoResolver())  # type: ignore[arg-type]
    return EntryState("a call", "captured", image, Registers({"rsp": 0x7FFF0000, **general}))


def states(*kinds: Type, count: int = 400) -> list[EntryState]:
    """The first state of each of `count` groups."""
    prototype = Prototype(Type("void"), tuple((f"p{n}", kind) for n, kind in enumerate(kinds)))
    base = Base(entry(rdi=0x10000, rsi=1), lambda _address, size: bytes(size))
    return [group[0] for group in islice(generated([base], prototype, (65, 25), 1), count)]


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        (BOOL, 6, 0),
        (BOOL, 7, 1),
        (UNSIGNED_CHAR, -1, 0xFF),
        (CHAR, 0xFF, 0xFFFFFFFF),
        (CHAR, 0x17F, 0x7F),
        (SHORT, 0x8000, 0xFFFF8000),
        (INT, -1, 0xFFFFFFFF),
        (SIZE, -1, (1 << 64) - 1),
    ],
)
def test_arguments_are_in_range_and_extended_as_callers_do(kind: Type, value: int, expected: int) -> None:
    assert passed(value, kind) == expected


@pytest.mark.parametrize("kind", [BOOL, CHAR, UNSIGNED_CHAR, SHORT])
def test_generated_arguments_are_such_as_a_caller_passes(kind: Type) -> None:
    for state in states(BYTES, kind):
        value = state.registers["rsi"]
        assert passed(value, kind) == value


def test_every_length_below_ten_and_every_extreme_power_comes_up() -> None:
    values = {state.registers["rsi"] for state in states(BYTES, SIZE, count=2000)}
    assert set(range(10)) <= values
    assert {1 << 31, 1 << 32, 1 << 63, (1 << 64) - 1} <= values
    assert sum((1 << power) - 1 in values for power in range(65)) > 50


def test_every_distance_of_overlapping_buffers_up_to_twenty_elements_comes_up() -> None:
    distances = {state.registers["rsi"] - state.registers["rdi"] for state in states(WORDS, WORDS, INT)}
    assert {4 * n for n in range(-20, 21)} <= distances


def test_buffers_end_at_an_unmapped_page_or_start_at_one() -> None:
    edges = set()
    for state in states(WORDS, SIZE):
        region = state.extra[0].regions[0]
        start, size = state.registers["rdi"], 4 * max(1, min(state.size, 1 << 14))
        edges.add("end" if start + size == region.end else "start" if start == region.address else "inside")
    assert {"end", "start"} <= edges


def test_nothing_beside_an_array_of_numbers_is_a_nan() -> None:
    """Arrays may lie in one another, or be longer than was meant; which of two NaNs comes out then is nobody's business."""
    for state in states(Type("pointer", 8, target_bytes=8, target_kind="float"), SIZE, count=40):
        region = state.extra[0].regions[0]
        start, size = state.registers["rdi"] - region.address, 8 * max(1, min(state.size, 1 << 14))
        beside = region.data[: start // 8 * 8] + region.data[start + size + 7 & -8 :]
        assert not any(math.isnan(value) for (value,) in struct.iter_unpack("<d", beside[: len(beside) // 8 * 8]))


def test_all_bits_of_buffer_addresses_vary() -> None:
    """A body that looks at an address's sign bit instead of a value's is not to pass."""
    addresses = [state.registers["rdi"] for state in states(BYTES, SIZE)]
    assert len({address >> 31 & 1 for address in addresses}) == 2


def test_strings_end_where_their_buffer_ends() -> None:
    ending = 0
    for state in states(STRING):
        region = state.extra[0].regions[0]
        data = region.data[state.registers["rdi"] - region.address :]
        ending += len(data) == data.find(b"\0") + 1
    assert ending > 100


def test_texts_hold_numerals_and_utf8_at_its_edges() -> None:
    chance = random.Random(1)
    texts = [text(24, chance, (19, 65)) for _ in range(3000)]
    assert any(len(t.strip(b" 0x\x80")) > 12 and t.lstrip(b" \t+-")[:12].isdigit() and b"-" in t for t in texts)
    for sequence in ("\U00010000", "\ue000", "\u0800", "\x80"):
        assert any(sequence.encode() in t for t in texts)
    assert any(b"\xed\xbf\xbf" in t for t in texts)
    assert not any(b"\0" in t for t in texts)


def test_a_compared_value_is_replaced_where_it_came_from() -> None:
    memory = {0x1000: (70).to_bytes(4, "little"), 0x1004: bytes([9])}
    seed = Seed(entry(rdi=0x1000, rsi=70), [(0x1000, 0x1004), (0x1004, 0x1005)], lambda at, _size: memory[at])
    prototype = Prototype(Type("void"), (("words", WORDS), ("n", INT)))
    made = [state for _, state in granted(seed, prototype, Wish(70, 90, 4, ((0x1004, 0x1005),)))]
    assert any(state.registers["rsi"] == 90 for state in made)
    assert any(state.patches == {0x1000: (90).to_bytes(4, "little")} for state in made)
    assert any(state.patches == {0x1004: bytes([29])} for state in made)  # what was loaded last, changed by as much


def test_a_compared_part_of_an_argument_is_replaced_in_the_argument() -> None:
    """A loop that shifts its argument by 7 compares what is left of it."""
    seed = Seed(entry(rdi=0x4D23), [], lambda _at, size: bytes(size))
    wish = Wish(0x4D23 >> 7, 127, 8)
    made = [state for _, state in granted(seed, Prototype(Type("void"), (("value", SIZE),)), wish)]
    assert any(state.registers["rdi"] >> 7 == 127 for state in made)


def test_the_likeliest_places_of_a_compared_value_come_first() -> None:
    """A number of its size before a byte, and before one of which it is a part; never more places of a kind than asked for."""
    bytes_ = {0x1000 + at: (0x1000 + at, 0x1001 + at) for at in range(4)}
    spans = [*bytes_.values(), (0x2000, 0x2004), (0x3000, 0x3004)]
    memory = {0x2000: (70).to_bytes(4, "little"), 0x3000: (70 << 3 | 5).to_bytes(4, "little")}
    seed = Seed(entry(), spans, lambda at, _size: memory.get(at, bytes([70])))
    made = list(granted(seed, None, Wish(70, 90, 4), most=4))
    assert [(likeness, dict(state.patches)) for likeness, state in made] == [
        (0, {0x2000: (90).to_bytes(4, "little")}),
        (1, {0x1000: bytes([90])}),
        (1, {0x3000: (90 << 3 | 5).to_bytes(4, "little")}),
    ]


def test_floating_point_numbers_are_not_taken_for_what_was_compared() -> None:
    """A loop counter of 0 is like every 0.0."""
    spans = [(0x1000, 0x1008), (0x2000, 0x2008)]
    seed = Seed(entry(), spans, lambda _at, size: bytes(size), floats={(0x1000, 0x1008)})
    made = [state for _, state in granted(seed, None, Wish(0, 7, 8, tuple(spans)))]
    assert made
    assert {at for state in [*made, *extremes(seed, None)] for at in state.patches} == {0x2000}


def counting(*kinds: Type) -> TooLong:
    return TooLong(Prototype(Type("void"), tuple((f"p{n}", kind) for n, kind in enumerate(kinds))))


def test_calls_with_larger_numbers_than_those_that_took_too_long_are_expected_to() -> None:
    known = counting(INT, INT)
    known.note(entry(rdi=20, rsi=3), is_too_long=False)
    for count in range(4000, 4005):
        assert not known.is_expected(entry(rdi=5000, rsi=3))
        known.note(entry(rdi=count, rsi=3), is_too_long=True)
    assert known.is_expected(entry(rdi=5000, rsi=3))
    assert known.is_expected(entry(rdi=5000, rsi=4))
    assert not known.is_expected(entry(rdi=4003, rsi=3))
    assert not known.is_expected(entry(rdi=5000, rsi=2))
    assert not known.is_expected(entry(rdi=-1 & 0xFFFFFFFF, rsi=3))


def test_numbers_with_which_a_call_was_short_are_not_to_blame() -> None:
    """What took too long then is the data: a list that leads back into itself, perhaps."""
    known = counting(INT, BYTES)
    for _ in range(9):
        known.note(entry(rdi=30, rsi=1), is_too_long=True)
    assert known.is_expected(entry(rdi=31))
    known.note(entry(rdi=30, rsi=2), is_too_long=False)
    for _ in range(9):
        known.note(entry(rdi=30, rsi=1), is_too_long=True)
    assert not known.is_expected(entry(rdi=31))


def test_nothing_is_expected_of_calls_that_pass_no_numbers() -> None:
    for known in (counting(BYTES), TooLong(None)):
        for _ in range(9):
            known.note(entry(rdi=30), is_too_long=True)
        assert not known.is_expected(entry(rdi=30))


def test_an_end_that_is_computed_with_is_moved_by_what_is_lacking() -> None:
    """A loop that goes up to 7 bytes in front of the end compares with no argument, but with one less 7."""
    seed = Seed(entry(rdi=0x1000, rsi=0x1040), [], lambda _at, size: bytes(size))
    for kind, moves in ((BYTES, True), (WORDS, False)):  # 4-byte elements are not moved by 3 bytes
        prototype = Prototype(Type("void"), (("start", kind), ("end", kind)))
        made = [state for _, state in granted(seed, prototype, Wish(0x1039, 0x103C, 8))]
        assert any(state.registers["rsi"] == 0x1043 for state in made) == moves


def test_arguments_on_the_stack_vary_too() -> None:
    """Six come in registers; the seventh and eighth lie above the return address."""
    made = [state for state in states(*[INT] * 6, WORDS, INT) if "elsewhere" not in state.name]
    pointers, numbers = ({int.from_bytes(s.patches[0x7FFF0000 + at], "little") for s in made} for at in (8, 16))
    assert set(range(10)) <= numbers
    assert len(pointers) > 100
    assert all(s.extra[0].find(int.from_bytes(s.patches[0x7FFF0008], "little")) for s in made)


def test_a_captured_call_elsewhere_has_its_buffers_at_all_places_in_a_block() -> None:
    """How a body aligns its accesses, and what else lies in the block where a structure begins, differs from place to place."""
    structures = Type("pointer", 8, target_bytes=200, target_kind="aggregate")
    for kind, step in ((WORDS, 4), (structures, 8)):
        addresses = {s.registers["rdi"] % 64 for s in states(kind, count=2000) if "elsewhere" in s.name}
        assert addresses == set(range(0, 64, step))


def test_arrays_that_were_captured_close_to_each_other_lie_apart_too() -> None:
    """Two pointers may lead into one array, or to two of fixed size next to each other."""
    prototype = Prototype(Type("void"), (("p", WORDS), ("q", WORDS)))
    base = Base(entry(rdi=0x10000, rsi=0x10100), lambda _address, size: bytes(size))
    made = [
        group[0].registers for group in islice(generated([base], prototype, (), 1), 60) if "elsewhere" in group[0].name
    ]
    near = [abs(general["rsi"] - general["rdi"]) <= 0x100 for general in made]
    assert set(near) == {True, False}


@pytest.mark.parametrize(("captured", "is_kept"), [(0, False), (0x1234, False), (0x7FFF0040, True)])
def test_what_a_caller_has_in_rbp_varies_unless_it_may_be_its_frame(captured: int, is_kept: bool) -> None:
    """A body that leaves 0 there is wrong, also where all captured callers happen to have 0."""
    layout = XStateLayout(576, 3, {})
    state = entry(rdi=1, rbp=captured)
    made = [varied(state, Prototype(Type("void"), (("n", INT),)), layout, seed).registers["rbp"] for seed in (1, 2)]
    assert (made == [captured] * 2) if is_kept else (len({captured, *made}) == 3)


def test_generated_inputs_are_the_same_every_time() -> None:
    def described(state: EntryState) -> object:
        return state.name, state.registers, [region for pages in state.extra for region in pages.regions]

    assert [described(s) for s in states(BYTES, STRING, SIZE)] == [described(s) for s in states(BYTES, STRING, SIZE)]
    assert PAGE_BYTES == 4096


def test_buffers_lie_before_and_behind_each_other() -> None:
    made = [state.registers for state in states(WORDS, WORDS, count=40)]
    apart = [general["rdi"] < general["rsi"] for general in made if abs(general["rdi"] - general["rsi"]) > 1 << 20]
    assert {True, False} == set(apart)


def nothing(_address: int, size_bytes: int) -> bytes:
    return bytes(size_bytes)


def test_arrays_are_exchanged_and_overlap() -> None:
    prototype = Prototype(Type("void"), (("a", WORDS), ("n", INT), ("b", WORDS), ("p", Type("pointer", 8))))
    made = arranged(entry(rdi=0x10000, rsi=7, rdx=0x20000, rcx=0x30000), prototype, nothing)
    places = [(state.registers["rdi"], state.registers["rdx"]) for state in made]
    assert places == [
        (0x20000, 0x10000),
        *((0x20004, 0x20000), (0x10000, 0x10004)),
        *((0x1FFFC, 0x20000), (0x10000, 0xFFFC)),
    ]


def test_arrays_that_are_passed_on_the_stack_are_exchanged_too() -> None:
    prototype = Prototype(Type("void"), (*((f"n{n}", INT) for n in range(5)), ("a", WORDS), ("b", WORDS)))
    state = entry(r9=0x10000, rsp=0x70000)
    made = next(
        arranged(state, prototype, lambda address, _: (0x20000 if address == 0x70008 else 0).to_bytes(8, "little"))
    )
    assert made.registers["r9"] == 0x20000
    assert made.patches == {0x70008: (0x10000).to_bytes(8, "little")}


def test_floating_point_numbers_get_other_signs_and_magnitudes_all_at_once() -> None:
    memory = {
        0x100: struct.pack("<d", 1.5),
        0x108: struct.pack("<d", -3.0),
        0x110: struct.pack("<d", math.nan),
        0x200: bytes(8),
    }
    seed = Seed(
        entry(),
        [(at, at + 8) for at in memory],
        lambda at, _: memory[at],
        {(at, at + 8) for at in (0x100, 0x108, 0x110)},
    )
    made = [{at: struct.unpack("<d", data)[0] for at, data in state.patches.items()} for state in magnitudes(seed)]
    far = 2.0**30
    assert made == [
        {0x100: one, 0x108: other}
        for one, other in [(-1.5, 3.0), (1.5, 1.5), (0.0, 0.0), (1.5 / far, -3.0 / far), (1.5 * far, -3.0 * far)]
    ]
    assert not list(magnitudes(Seed(entry(), [(0x200, 0x208)], lambda at, _: memory[at])))


def test_texts_have_second_bytes_of_all_kinds_in_utf8_of_four_bytes() -> None:
    texts = b"".join(text(256, random.Random(number), ()) for number in range(64))
    assert {texts[at + 1] >> 4 for at in range(len(texts) - 1) if texts[at] in (0xF1, 0xF2)} >= {0x8, 0x9, 0xB}
