"""When two values of memory are the same to a caller although their bytes differ."""

from __future__ import annotations

import struct

import pytest

from compiler_ai.verify.equivalence import is_same_nan

QUIET, NEGATIVE_QUIET = bytes.fromhex("000000000000f87f"), bytes.fromhex("000000000000f8ff")
SIGNALLING = bytes.fromhex("010000000000f07f")


def test_what_arithmetic_gives_for_no_number_may_have_either_sign() -> None:
    assert is_same_nan(QUIET, NEGATIVE_QUIET)
    assert is_same_nan(bytes.fromhex("0000c07f"), bytes.fromhex("0000c0ff"))


def test_whole_numbers_that_look_like_nans_are_other_numbers() -> None:
    assert not is_same_nan((-1 & 0xFFFFFFFF).to_bytes(4, "little"), (-2 & 0xFFFFFFFF).to_bytes(4, "little"))


@pytest.mark.parametrize(
    "other", [SIGNALLING, struct.pack("<d", 1.0), struct.pack("<d", float("inf")), struct.pack("<d", -0.0)]
)
def test_nothing_else_is_a_quiet_nan(other: bytes) -> None:
    assert not is_same_nan(QUIET, other)
    assert not is_same_nan(other, QUIET)


def test_numbers_are_compared_by_their_bits() -> None:
    assert not is_same_nan(struct.pack("<d", 0.0), struct.pack("<d", -0.0))
