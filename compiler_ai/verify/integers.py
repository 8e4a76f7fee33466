"""64-bit integers as far as code alone tells them: constants, and sums of a constant and multiples of what registers held at entry.

All arithmetic is modulo 2**64, so that what cancels out is gone. `None` is a number of which nothing is known.
"""

from __future__ import annotations

from typing import NamedTuple

MASK = 0xFFFFFFFFFFFFFFFF


class Sum(NamedTuple):
    """`constant` plus the `terms`: (symbol, factor), in the symbols' order, no factor 0."""

    terms: tuple[tuple[int, int], ...]
    constant: int


class Low(NamedTuple):
    """A number of which only the lowest byte is known."""

    value: int


Value = int | Sum | Low | None


def symbol(number: int) -> Sum:
    """What nothing is known of but that it is always the same."""
    return Sum(((number, 1),), 0)


def added(first: Value, second: Value) -> Value:
    if type(first) is int and type(second) is int:
        return first + second & MASK
    if type(first) is Sum and type(second) is int:
        return Sum(first.terms, first.constant + second & MASK)
    if type(first) is int and type(second) is Sum:
        return Sum(second.terms, first + second.constant & MASK)
    if type(first) is not Sum or type(second) is not Sum:
        return None
    factors = dict(first.terms)
    for name, factor in second.terms:
        factors[name] = factors.get(name, 0) + factor & MASK
    terms = tuple(sorted((name, factor) for name, factor in factors.items() if factor))
    constant = first.constant + second.constant & MASK
    return Sum(terms, constant) if terms else constant


def times(value: Value, factor: int) -> Value:
    if type(value) is int:
        return value * factor & MASK
    if type(value) is not Sum:
        return None
    terms = tuple((name, one * factor & MASK) for name, one in value.terms if one * factor & MASK)
    constant = value.constant * factor & MASK
    return Sum(terms, constant) if terms else constant


def difference(first: Value, second: Value) -> Value:
    return added(first, times(second, MASK))


def signed(value: int, size_bytes: int = 8) -> int:
    bits = 8 * size_bytes
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> bits - 1 else value
