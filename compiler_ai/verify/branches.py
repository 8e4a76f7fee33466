"""What a traced run compared before a branch that no run has taken the other way, and the values that would turn it.

The idea of input-to-state correspondence (Aschermann et al., "REDQUEEN", NDSS 2019): a compared value often is a copy of
something in the input, so the input's copies of it are worth replacing by what it was compared with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import capstone
from capstone import x86_const as x86

from compiler_ai.sandbox.process import Trace
from compiler_ai.sandbox.state import GENERAL
from compiler_ai.verify.mutate import Wish

_LOOK_BACK = 4  # instructions between a comparison and its branch
_NAMES = {
    **{name: (index, 8) for index, name in enumerate(GENERAL)},
    **{f"e{name[1:]}": (index, 4) for index, name in enumerate(GENERAL[:8])},
    **{name[1:]: (index, 2) for index, name in enumerate(GENERAL[:8])},
    **{f"{name[1]}l": (GENERAL.index(name), 1) for name in ("rax", "rbx", "rcx", "rdx")},
    **{f"{name[1:]}l": (GENERAL.index(name), 1) for name in ("rsi", "rdi", "rbp", "rsp")},
    **{f"r{n}{part}": (n, size) for n in range(8, 16) for part, size in (("d", 4), ("w", 2), ("b", 1))},
}


def wishes(
    trace: Trace,
    branches: Mapping[int, tuple[int, int]],
    open_blocks: frozenset[int],
    code: Callable[[int], bytes],
    memory: Callable[[int, int], bytes],
    most: int = 24,
) -> Iterator[Wish]:
    """Values to look for in the input, for branches of this run with a side in `open_blocks`; at most `most`.

    `branches` maps a conditional jump's address to the blocks it chooses between; `memory` gives the input's bytes.
    """
    wanted = {at for at, sides in branches.items() if open_blocks & set(sides)}
    decoder = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
    decoder.detail = True
    view = memoryview(trace.data).cast("Q")
    seen: set[Wish] = set()
    for at in range(0, len(view), 18):
        if view[at] not in wanted:
            continue
        for back in range(1, _LOOK_BACK + 1):
            step = at - 18 * back
            if step < 0:
                break
            instruction = next(decoder.disasm(code(view[step]), view[step], 1), None)
            if instruction is None or instruction.mnemonic not in ("cmp", "test", "sub", "and", "dec"):
                continue
            for wish in _of(instruction, view[step + 2 : step + 18], memory):
                if wish not in seen:
                    seen.add(wish)
                    yield wish
            break
        if len(seen) >= most:
            return


def _of(instruction: Any, general: Any, memory: Callable[[int, int], bytes]) -> Iterator[Wish]:
    operands = [_value(instruction, operand, general, memory) for operand in instruction.operands]
    size = max((operand.size for operand in instruction.operands), default=8)
    values = [value for value in operands if value is not None]
    if len(values) != len(instruction.operands) or not values:
        return
    if instruction.mnemonic != "cmp" or len(values) == 1:
        flag = values[-1] if len(values) == 2 and values[0] != values[-1] else 1
        yield Wish(values[0], 0, size)
        yield Wish(values[0], values[0] | flag, size)
        yield Wish(values[0], values[0] & ~flag, size)
        return
    first, second = values
    for change in (0, 1, -1):
        yield Wish(first, second + change, size)
        yield Wish(second, first + change, size)


def _value(instruction: Any, operand: Any, general: Any, memory: Callable[[int, int], bytes]) -> int | None:
    mask = (1 << 8 * operand.size) - 1
    if operand.type == x86.X86_OP_IMM:
        return int(operand.imm & mask)
    if operand.type == x86.X86_OP_REG:
        place = _NAMES.get(instruction.reg_name(operand.reg))
        return None if place is None else int(general[place[0]] & ((1 << 8 * place[1]) - 1))
    base = _NAMES.get(instruction.reg_name(operand.mem.base)) if operand.mem.base else None
    index = _NAMES.get(instruction.reg_name(operand.mem.index)) if operand.mem.index else None
    if (operand.mem.base and base is None) or (operand.mem.index and index is None) or operand.mem.segment:
        return None
    address: int = operand.mem.disp + (general[base[0]] if base else 0)
    address += general[index[0]] * operand.mem.scale if index else 0
    return int.from_bytes(memory(address & ((1 << 64) - 1), operand.size), "little")
