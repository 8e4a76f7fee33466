"""What a condition was seen to decide on: both of its outcomes count, and what it may tell apart is worth searching for."""

from __future__ import annotations

import ctypes
import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler_ai.verify.conditions import STATUS, Condition, code_of, flags_of

_CARRY, _PARITY, _ZERO, _SIGN, _OVERFLOW = 0x1, 0x4, 0x40, 0x80, 0x800
CODES = ("e", "ne", "l", "ge", "g", "le", "b", "ae", "a", "be", "s", "ns", "o", "no", "p", "np")


def test_conditional_jumps_moves_and_sets_have_a_condition_and_nothing_else_has() -> None:
    assert [code_of(name) for name in ("jne", "cmovle", "seta", "jnp", "jb")] == ["ne", "le", "a", "np", "b"]
    assert [code_of(name) for name in ("jmp", "jrcxz", "je.", "sete ", "sub", "mov", "call")] == [""] * 7


def test_conditions_hold_as_the_processor_has_it(tmp_path: Path) -> None:
    """Every condition on every combination of the five status flags, against set<condition> behind popfq."""
    lines = [f'__asm__("push %1\\n\\tpopfq\\n\\tset{code} %0" : "=r"(result) : "r"(flags) : "cc");'
             f" out[{number}] = result;" for number, code in enumerate(CODES)]  # fmt: skip
    flags = [
        sum(flag for bit, flag in enumerate((_CARRY, _PARITY, _ZERO, _SIGN, _OVERFLOW)) if n >> bit & 1)
        for n in range(32)
    ]
    source = tmp_path / "holds.c"
    source.write_text(
        "#include <unistd.h>\nint main(void) { static const unsigned long all[] = {"
        + ", ".join(str(value) for value in flags)
        + "}; for (int i = 0; i < 32; i++) { unsigned long flags = all[i] | 2; unsigned char result, out[16];\n"
        + "\n".join(lines)
        + "\nif (write(1, out, 16) != 16) return 1; } return 0; }\n"
    )
    subprocess.run(["gcc", "-O1", "-mno-red-zone", "-o", tmp_path / "holds", source], check=True)
    output = subprocess.run([tmp_path / "holds"], check=True, capture_output=True).stdout
    for value, results in zip(flags, struct.iter_unpack("16B", output), strict=True):
        assert [Condition(code, "").holds(value) for code in CODES] == [bool(result) for result in results], hex(value)


def compared(first: int, second: int, bits: int = 32) -> int:
    """The status flags of a comparison."""
    mask, top = (1 << bits) - 1, 1 << (bits - 1)
    result = (first - second) & mask
    overflow = ((first ^ second) & (first ^ result)) & top
    return (
        (_CARRY if (first & mask) < (second & mask) else 0)
        | (0 if result else _ZERO)
        | (_SIGN if result & top else 0)
        | (_OVERFLOW if overflow else 0)
    )


@pytest.mark.parametrize(
    ("code", "pairs", "complete"),
    [
        ("e", [(1, 1)], False),
        ("e", [(1, 1), (2, 1)], False),  # "equal" or "not greater"?
        ("e", [(1, 1), (2, 1), (-3, 1)], True),
        ("l", [(1, 1), (2, 1)], False),  # it holds for neither
        ("l", [(0, 1), (2, 1)], False),  # "less" or "less or equal"?
        ("l", [(0, 1), (1, 1), (2, 1)], True),
        ("be", [(-1, 1), (1, 1)], False),  # -1 is a large number
        ("be", [(-1, 1), (1, 1), (0, 1)], True),
        ("s", [(0, 1), (1, 0)], True),
    ],
)
def test_a_condition_is_complete_once_it_decided_on_all_that_it_tells_apart(code, pairs, complete) -> None:
    assert Condition(code, "").is_complete(compared(*pair) for pair in pairs) is complete


@pytest.mark.parametrize(
    ("asked", "constant"),
    [
        ("cmp 1 $0xc9", True),
        ("xor 4 $0xc9", True),
        ("cmp 4 $0x0", False),
        ("cmp 4 4", False),
        ("test 1 $0x1", False),
        ("shr 8 $0x39", False),
    ],
)
def test_what_asks_for_a_constant_is_told(asked: str, constant: bool) -> None:
    assert Condition("e", asked).asks_for_a_constant is constant


def test_the_order_of_signed_and_of_unsigned_numbers_is_worth_telling_apart() -> None:
    condition = Condition("l", "cmp 4 4")
    assert condition.kinds([compared(1, 2)]) == condition.kinds([compared(3, 9)])
    assert condition.kinds([compared(1, 2)]) != condition.kinds([compared(-1, 2)])


def unordered_compare(first: float, second: float) -> int:
    """The status flags that ucomisd leaves (Intel SDM volume 2)."""
    if first != first or second != second:
        return _ZERO | _PARITY | _CARRY
    return _CARRY if first < second else _ZERO if first == second else 0


def test_of_floating_point_numbers_either_may_stand_first() -> None:
    pairs = [(4.0, 0.0), (2.5, 0.0), (0.0, 0.0)]
    forward = [unordered_compare(first, second) for first, second in pairs]
    backward = [unordered_compare(second, first) for first, second in pairs]
    less, greater = Condition("b", "ucomisd 16 16"), Condition("a", "ucomisd 16 16")
    assert less.found(forward) == greater.found(backward) == Condition("ae", "vucomisd 16 8").found(forward) is not None
    assert Condition("be", "comisd 16 16").found(backward) == ("comisd", frozenset({1}))
    assert less.found(forward) != greater.found(forward), "the same question would be another one"
    assert less.found(forward) != less.found(backward)
    nan = unordered_compare(float("nan"), 0.0)
    assert less.holds(nan) and not greater.holds(nan)  # noqa: PT018
    assert less.found([*forward, nan]) == greater.found([*backward, nan]) == less.found(forward)
    assert less.found([_ZERO]) is greater.found([_ZERO]) is None, "equal numbers do not tell which was asked about"
    assert Condition("b", "cmp 8 8").found(forward) is Condition("e", "ucomisd 16 16").found(forward) is None


_COMPARE = """
#include <stdint.h>
#define COMPARING(bits) \\
    uint64_t compare##bits(uint##bits##_t first, uint##bits##_t second) \\
    { uint64_t flags; \\
      __asm__ volatile("cmp %2, %1; pushfq; popq %0" : "=r"(flags) : "r"(first), "r"(second) : "cc"); \\
      return flags; }
COMPARING(8) COMPARING(16) COMPARING(32) COMPARING(64)
"""


@pytest.fixture(scope="module")
def comparing(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    directory = tmp_path_factory.mktemp("compare")
    (directory / "compare.c").write_text(_COMPARE)
    words = ["gcc", "-O1", "-mno-red-zone", "-shared", "-fPIC", "-o", "compare.so", "compare.c"]
    subprocess.run(words, cwd=directory, check=True)
    return ctypes.CDLL(str(directory / "compare.so"))


@given(st.sampled_from([1, 2, 4, 8]), st.integers(0, 2**64 - 1), st.integers(-3, 3) | st.integers(0, 2**64 - 1))
def test_a_comparisons_flags_are_the_processors(comparing: ctypes.CDLL, size: int, first: int, other: int) -> None:
    mask = (1 << 8 * size) - 1
    first, second = first & mask, (first + other) & mask
    function = getattr(comparing, f"compare{8 * size}")
    number = getattr(ctypes, f"c_uint{8 * size}")
    function.argtypes, function.restype = [number, number], ctypes.c_uint64
    assert flags_of(first, second, size) == function(first, second) & STATUS
