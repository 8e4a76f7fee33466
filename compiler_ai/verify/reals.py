"""The floating-point constants of a body: what comparisons have on one side is worth passing on the other."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable

import capstone
from capstone import x86_const as x86

from compiler_ai.verify.code import OwnCode

_LETTERS = {4: "f", 8: "d"}
_SIZES = {"ss": 4, "ps": 4, "sd": 8, "pd": 8}


def reals(own: OwnCode, constant: Callable[[int, int], bytes]) -> tuple[float, ...]:
    """The finite numbers that floating-point instructions of the code have as constants in memory, in ascending order; `constant` gives so
    many bytes at an address that nobody can write, b"" for anything else."""
    decoder = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
    decoder.detail = True
    found: set[float] = set()
    for start, end in own.ranges:
        at = start
        while at < end and (instruction := next(decoder.disasm(own.code(at), at, 1), None)) is not None:
            at += instruction.size
            size = _SIZES.get(instruction.mnemonic[-2:], 0)
            for operand in instruction.operands if size else ():
                if operand.type == x86.X86_OP_MEM and operand.mem.base == x86.X86_REG_RIP:
                    data = constant(at + operand.mem.disp, size)
                    if len(data) == size:
                        found.add(struct.unpack_from(f"<{_LETTERS[size]}", data)[0])
    return tuple(sorted(value for value in found if math.isfinite(value)))
