"""Which member of a structure each call through a pointer is of, as far as the code around it says: at what displacement the pointer was
loaded."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import capstone
from capstone import x86_const as x86

from compiler_ai.verify.code import Range
from compiler_ai.verify.frames import written

_KEPT = ("rbx", "rbp", "r12", "r13", "r14", "r15")  # by callees (System V ABI AMD64, figure 3.4)
_NO_BASES = (0, x86.X86_REG_RSP, x86.X86_REG_RIP)


def called_members(code: Callable[[int], bytes], ranges: Sequence[Range], joins: Collection[int]) -> dict[int, int]:
    """Where a call comes back to -> displacement of the member that it calls. `code` gives up to 16 bytes at an address, `ranges` are a
    body's half-open ranges, `joins` the addresses that control also comes to by a jump: what was loaded before is not known there."""
    decoder = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
    decoder.detail = True
    found: dict[int, int] = {}
    for start, end in ranges:
        at, loaded = start, dict[str, int]()
        while at < end and (instruction := next(decoder.disasm(code(at), at, 1), None)) is not None:
            if at in joins:
                loaded = {}
            at += instruction.size
            operands = instruction.operands
            if instruction.mnemonic == "call":
                member = _displacement(operands[0])
                if operands[0].type == x86.X86_OP_REG:
                    member = loaded.get(instruction.reg_name(operands[0].reg))
                if member is not None:
                    found[at] = member
                loaded = {name: value for name, value in loaded.items() if name in _KEPT}
            elif instruction.mnemonic == "jmp" or instruction.mnemonic.startswith("ret"):
                loaded = {}
            else:
                _note_load(instruction, loaded)
    return found


def _note_load(instruction: Any, loaded: dict[str, int]) -> None:
    for name in written(instruction):
        loaded.pop(name, None)
    operands = instruction.operands
    if instruction.mnemonic == "mov" and operands[0].type == x86.X86_OP_REG and operands[0].size == 8:
        member = _displacement(operands[1])
        if member is not None:
            loaded[instruction.reg_name(operands[0].reg)] = member


def _displacement(operand: Any) -> int | None:
    """That of a member of what a register points to."""
    if operand.type != x86.X86_OP_MEM or operand.mem.index or operand.mem.base in _NO_BASES or operand.mem.segment:
        return None
    return int(operand.mem.disp)
