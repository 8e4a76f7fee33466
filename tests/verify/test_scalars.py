"""What arguments are made of: read, changed and varied wherever they lie."""

from __future__ import annotations

import random
import struct

import pytest

from compiler_ai.sandbox.image import CaptureImage
from compiler_ai.sandbox.pages import PageSet, Prot, Region
from compiler_ai.sandbox.state import Registers, XStateLayout
from compiler_ai.sandbox.symbols import NoResolver
from compiler_ai.verify.argumentuse import Used
from compiler_ai.verify.assumed import assumed
from compiler_ai.verify.moved import may_read, never_moved
from compiler_ai.verify.passing import passing
from compiler_ai.verify.prototype import Member, Prototype, Type
from compiler_ai.verify.scalars import Argument, arguments_of, other_value, value_of, with_arguments
from compiler_ai.verify.state import EntryState, varied
from compiler_ai.verify.values import float_bytes, number

CHAR, INT, LONG = Type("integer", 1, True), Type("integer", 4, True), Type("integer", 8, True)
FLOAT, DOUBLE, LONG_DOUBLE = Type("float", 4), Type("float", 8), Type("float", 16)
PAIR = Type("aggregate", 8, alignment_bytes=4, members=(Member(0, CHAR), Member(4, INT)))
MIXED = Type("aggregate", 16, alignment_bytes=8, members=(Member(0, FLOAT), Member(8, LONG)))
LAYOUT = XStateLayout(832, 7, {2: (576, 256)})
STACK = 0x7FFF_F000


def entry(**general: int) -> EntryState:
    pages = PageSet((Region(STACK, Prot.READ | Prot.WRITE, bytes(4096)),))
    image = CaptureImage(pages, Registers(), 0, (0, 0), NoResolver())  # type: ignore[arg-type]
    registers = Registers({"rsp": STACK + 64, **general}, xstate=LAYOUT.build({0: bytes(range(16))}))
    return EntryState("a call", "captured", image, registers)


def prototype(*kinds: Type) -> Prototype:
    return Prototype(Type("void"), tuple((f"p{n}", kind) for n, kind in enumerate(kinds)))


def memory(state: EntryState, address: int, size: int) -> bytes:
    data = bytearray(size)
    for start, patch in state.patches.items():
        for at, byte in enumerate(patch, start):
            if address <= at < address + size:
                data[at - address] = byte
    return bytes(data)


def value(state: EntryState, one: Argument) -> int:
    return value_of(one, state.registers, lambda at, size: memory(state, at, size))


def test_every_scalar_is_changed_alone() -> None:
    kinds = (PAIR, MIXED, FLOAT, LONG_DOUBLE, DOUBLE, LONG, LONG, LONG, LONG, CHAR)
    arguments, state = arguments_of(prototype(*kinds)), entry(rdi=1, rsi=2)
    assert {one.place for one in arguments} >= {"rdi", "rsi", "xmm0", "xmm1", "xmm2", 8, 24}
    for one in arguments:
        other = with_arguments(state, {one: 0x55})
        assert value(other, one) == 0x55
        assert all(value(other, rest) == value(state, rest) for rest in arguments if rest != one)


def test_what_carries_no_argument_is_garbage() -> None:
    known = prototype(PAIR, FLOAT, INT, LONG_DOUBLE)
    values = dict.fromkeys(arguments_of(known), 0x41)
    state = with_arguments(entry(), values)
    fills = [varied(state, known, LAYOUT, seed) for seed in (1, 2)]
    for fill in fills:
        assert {one: value(fill, one) & (1 << 80) - 1 for one in values} == values
    first, second = fills
    for name in ("rdx", "rcx", "r8", "r9"):
        assert first.registers[name] != second.registers[name]
    assert (first.registers["rdi"] ^ second.registers["rdi"]) & 0xFFFFFF00
    assert not (first.registers["rdi"] ^ second.registers["rdi"]) & 0xFFFFFFFF000000FF
    assert (first.registers["rsi"] ^ second.registers["rsi"]) >> 32
    vectors = [LAYOUT.vector(fill.registers.xstate, 0)[:16] for fill in fills]
    assert vectors[0][:4] == vectors[1][:4]
    assert vectors[0][4:] != vectors[1][4:]
    assert memory(first, STACK + 72 + 10, 6) != memory(second, STACK + 72 + 10, 6)  # of long double's 16 bytes


def test_padding_is_left_where_it_shows() -> None:
    fills = [
        varied(entry(rdi=0x1234_5678_9ABC_DEF0), prototype(PAIR), LAYOUT, seed, with_padding=True) for seed in (1, 2)
    ]
    assert {fill.registers["rdi"] for fill in fills} == {0x1234_5678_9ABC_DEF0}


@pytest.mark.parametrize("size", [4, 8, 16])
def test_floats_become_special_near_and_the_codes_own(size: int) -> None:
    one = Argument("xmm0", 0, Type("float", size))
    now = int.from_bytes(float_bytes(2.5, size), "little")
    chance = random.Random(1)
    made = {other_value(one, {one: now}, (7,), (100.25,), chance) for _ in range(3000)}
    wanted = [float_bytes(each, size) for each in (0.0, -0.0, 1.0, float("inf"), float("nan"), 7.0, 100.25, -2.5)]
    assert {int.from_bytes(data, "little") for data in wanted} <= made
    assert {now - 1, now + 1} <= made


def test_numbers_of_every_size_are_read_as_they_are_written() -> None:
    for each in (0.0, 1.0, -2.5, 0.1, 1e300, -5e-324, float("inf")):
        assert number(float_bytes(each, 16)) == each
    assert float_bytes(1.0, 16)[:10] == bytes(7) + b"\x80\xff\x3f"
    assert number(float_bytes(0.5, 2)) == 0.5
    assert float_bytes(float("nan"), 8) == struct.pack("<Q", 0xFFF8 << 48)


def test_arguments_that_are_the_same_in_all_tests() -> None:
    known = prototype(LONG, DOUBLE, PAIR, Type("pointer", 8, target_bytes=4, target_kind="integer"))
    number_, real, first, second, pointer = arguments_of(known)
    states = [with_arguments(entry(rdx=STACK), {number_: n, second: n}) for n in (1, 1, 2)]
    assert never_moved(arguments_of(known), states, memory) == [real, first, pointer]
    states.append(EntryState("other data", "mutated", states[0].image, states[0].registers, {STACK + 8: b"x"}))
    assert never_moved(arguments_of(known), states, memory) == [real, first]
    assert may_read(Used({"xmm0": 8}), real)
    assert not may_read(Used({"rsi": 4}), second)  # which is in the upper half
    assert may_read(Used(knows_registers=False), second)


def test_a_clones_parameters_are_what_its_body_reads() -> None:
    clone = Prototype(LONG, (), True, is_clone=True)
    used = Used({"rsi": 8, "rdx": 4, "xmm1": 4, "xmm0": 16}, unsure={"xmm0"})
    found = assumed(clone, used, Registers({"rsi": STACK + 8}), entry().image.pages)
    assert found is not None
    assert [kind.kind for _, kind in found.parameters] == ["integer", "pointer", "integer", "aggregate", "float"]
    places = passing(found)
    assert places is not None
    assert [part.place for part in places.parts] == ["rdi", "rsi", "rdx", "xmm0", "xmm1"]
    assert assumed(prototype(LONG), used, Registers(), PageSet(())) == prototype(LONG)
