"""The basic blocks of a loaded body, so that evidence can say which of them its tests executed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import capstone
from capstone import x86_const as x86

_ENDS = ("jmp", "ret", "ud2", "hlt", "int3")


class UnknownTargetError(Exception):
    """Control may go where no table tells."""


def block_starts(code: bytes, address: int, table_targets: Sequence[int] = ()) -> frozenset[int]:
    """The addresses of the basic blocks of the function whose `code` starts at `address`.

    `table_targets` are further addresses that control can reach (jump tables). Padding that nothing reaches is no block.
    Raises UnknownTargetError for an indirect jump when there is no table.
    """
    decoder = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
    decoder.detail = True
    end = address + len(code)
    leaders: set[int] = set()
    waiting = [address, *(target for target in table_targets if address <= target < end)]
    seen: set[int] = set()
    while waiting:
        start = waiting.pop()
        if start in leaders or not address <= start < end:
            continue
        leaders.add(start)
        at = start
        while address <= at < end:
            if at in seen and at != start:
                break
            seen.add(at)
            instruction = next(decoder.disasm(code[at - address : at - address + 16], at, 1), None)
            if instruction is None:
                break
            following = at + instruction.size
            if instruction.group(x86.X86_GRP_JUMP):
                operand = instruction.operands[0]
                if operand.type == x86.X86_OP_IMM and address <= operand.imm < end:
                    waiting.append(operand.imm)
                through_got = operand.type == x86.X86_OP_MEM and operand.mem.base == x86.X86_REG_RIP  # a tail call
                if operand.type != x86.X86_OP_IMM and not through_got and not table_targets:
                    raise UnknownTargetError(f"the indirect jump at +{at - address:#x}")
                if instruction.mnemonic.rpartition(" ")[2] != "jmp":
                    waiting.append(following)
                break
            if instruction.mnemonic.rpartition(" ")[2] in _ENDS:
                break
            at = following
    return frozenset(leaders)


def reader(pages: Sequence[object]) -> Callable[[int], bytes]:
    """Up to 16 bytes of code at an address, from page sets (files behind regions included)."""
    files: dict[str, bytes] = {}

    def read(address: int) -> bytes:
        for page_set in pages:
            region = page_set.find(address)  # type: ignore[attr-defined]
            if region is None:
                continue
            if not region.path:
                return bytes(region.data[address - region.address : address - region.address + 16])
            if region.path not in files:
                with open(region.path, "rb") as file:
                    files[region.path] = file.read()
            at = region.offset + address - region.address
            return files[region.path][at : at + 16]
        return b""

    return read
