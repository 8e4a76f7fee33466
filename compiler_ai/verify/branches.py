"""What a traced run compared before its branches, and the values that would turn them or make both sides equal.

The idea of input-to-state correspondence (Aschermann et al., "REDQUEEN", NDSS 2019): a compared value often is a copy of
something in the input, so the input's copies of it are worth replacing by what it was compared with; where it is none, what
was loaded just before is worth changing by as much as is lacking.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import capstone
from capstone import x86_const as x86

from compiler_ai.sandbox.process import Trace
from compiler_ai.sandbox.state import GENERAL
from compiler_ai.verify.accesses import Decoder
from compiler_ai.verify.mutate import Wish

_COMPARISONS = ("cmp", "test")
_LOADS_BACK = 12  # instructions before a comparison among which its inputs are loaded
_LOADS = 3
_JUMPS = 6
_EXTENSIONS = ("movzx", "movsx")
_TABLE_LOOK_BACK = 8
_LARGEST_TABLE = 64
_MOST_TRIES = 4
_SIGNS = 3  # a difference in sign bits, where signed and unsigned numbers compare differently
_LOOK_BACK = 4  # instructions between a comparison and its branch
Pair = tuple[int, int, int]  # the two sides of a comparison, and their size in bytes
_NAMES = {
    **{name: (index, 8) for index, name in enumerate(GENERAL)},
    **{f"e{name[1:]}": (index, 4) for index, name in enumerate(GENERAL[:8])},
    **{name[1:]: (index, 2) for index, name in enumerate(GENERAL[:8])},
    **{f"{name[1]}l": (GENERAL.index(name), 1) for name in ("rax", "rbx", "rcx", "rdx")},
    **{f"{name[1:]}l": (GENERAL.index(name), 1) for name in ("rsi", "rdi", "rbp", "rsp")},
    **{f"r{n}{part}": (n, size) for n in range(8, 16) for part, size in (("d", 4), ("w", 2), ("b", 1))},
}


def comparisons(
    trace: Trace, sites: Iterable[int], decoder: Decoder, memory: Callable[[int, int], bytes]
) -> Iterator[tuple[int, int, Pair]]:
    """(site, index of the comparing step in the trace's words, what it compared), in the order of the run, for the conditions at
    the addresses `sites`."""
    wanted = set(sites)
    capstone_decoder = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
    capstone_decoder.detail = True
    view = memoryview(trace.data).cast("Q")
    for at in range(0, len(view), 18):
        if view[at] not in wanted:
            continue
        for back in range(1, _LOOK_BACK + 1):
            step = at - 18 * back
            if step < 0:
                break
            instruction = next(capstone_decoder.disasm(decoder.code(view[step]), view[step], 1), None)
            if instruction is not None and instruction.mnemonic in _COMPARISONS:
                pair = _compared(instruction, view[step + 2 : step + 18], memory)
                if pair is not None:
                    yield view[at], step, pair
                break


def wishes(
    trace: Trace,
    sites: Iterable[int],
    decoder: Decoder,
    memory: Callable[[int, int], bytes],
    seen: dict[int, set[int]],
    tried: dict[tuple[int, int], int],
    most: int = 50,
) -> Iterator[Wish]:
    """Values to look for in the input that would turn the conditional jumps at the addresses `sites`, or bring what they
    compare to equality or next to it, or give its sides different signs; at most `most`.

    `memory` gives the input's bytes. `seen` keeps, for each jump, by how much its operands differed so far (-1, 0 or 1, 2
    for anything else, and `_SIGNS` where only one of them had its sign bit set), and `tried` how often what was never seen was wished for: a few seeds' turn is enough.
    """
    made = 0
    view = memoryview(trace.data).cast("Q")
    found: dict[int, tuple[int, Pair]] = {}
    for site, step, pair in comparisons(trace, sites, decoder, memory):
        seen.setdefault(site, set()).update(_differences(*pair))
        found[site] = (step, pair)  # the last one in the run
    for site, (step, (first, second, size)) in found.items():
        for change in (0, 1, -1, _SIGNS):
            if change in seen[site] or made >= most or tried.get((site, change), 0) >= _MOST_TRIES:
                continue
            tried[site, change] = tried.get((site, change), 0) + 1
            made += 1
            near = tuple(_loads(view, step, decoder))
            if change == _SIGNS:
                yield Wish(first, first ^ (1 << 8 * size - 1), size, near)
                yield Wish(second, second ^ (1 << 8 * size - 1), size, near)
            else:
                yield Wish(first, second + change, size, near)
                yield Wish(second, first - change, size)


class Extensions:
    """What runs of one body widened from 8 and 16 bits to more."""

    def __init__(self, decoder: Decoder) -> None:
        self._code = decoder
        self._capstone = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
        self._capstone.detail = True
        self._known: dict[int, Any] = {}  # the instruction at an address, None for any other than an extension
        self._wanted: dict[int, set[bool]] = {}  # the signs that were neither seen nor wished for yet

    def wishes(self, trace: Trace, memory: Callable[[int, int], bytes]) -> Iterator[Wish]:
        """Values of the other sign for numbers that had the same one so far: a body that widens them the other way is wrong
        for no others. `memory` gives the input's bytes."""
        view = memoryview(trace.data).cast("Q")
        found: dict[int, tuple[int, int, int]] = {}
        for step in range(0, len(view), 18):
            instruction = self._extension(view[step])
            if instruction is None:
                continue
            value = _value(instruction, instruction.operands[1], view[step + 2 : step + 18], memory)
            if value is not None:
                top = 1 << 8 * instruction.operands[1].size - 1
                self._wanted.setdefault(view[step], {False, True}).discard(bool(value & top))
                found[view[step]] = step, value, instruction.operands[1].size
        for address, (step, value, size) in found.items():
            if self._wanted[address]:
                self._wanted[address].clear()
                yield Wish(value, value ^ 1 << 8 * size - 1, size, tuple(_loads(view, step, self._code)))

    def _extension(self, address: int) -> Any:
        if address not in self._known:
            found = next(self._capstone.disasm(self._code.code(address), address, 1), None)
            self._known[address] = found if found is not None and found.mnemonic in _EXTENSIONS else None
        return self._known[address]


def table_wishes(
    trace: Trace, sites: Iterable[int], decoder: Decoder, memory: Callable[[int, int], bytes]
) -> Iterator[Wish]:
    """For jumps through tables at the addresses `sites`: every index that their bounds check lets through, in place of the one
    that the run had, at the first and last few of them."""
    wanted = set(sites)
    capstone_decoder = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
    capstone_decoder.detail = True
    view = memoryview(trace.data).cast("Q")
    jumps = [at for at in range(0, len(view), 18) if view[at] in wanted]
    for at in sorted({*jumps[:_JUMPS], *jumps[-_JUMPS:]}, reverse=True):
        for step in range(at - 18, max(-18, at - 18 * _TABLE_LOOK_BACK), -18):
            instruction = next(capstone_decoder.disasm(decoder.code(view[step]), view[step], 1), None)
            if instruction is None or instruction.mnemonic != "cmp":
                continue
            pair = _compared(instruction, view[step + 2 : step + 18], memory)
            if pair is not None and pair[1] <= _LARGEST_TABLE:
                near = tuple(_loads(view, step, decoder))[:1]
                for index in range(pair[1] + 1):
                    yield Wish(pair[0], index, pair[2], near)
            break


def _differences(first: int, second: int, size: int) -> set[int]:
    signed = (first - second) & ((1 << 8 * size) - 1)
    found = {{0: 0, 1: 1, (1 << 8 * size) - 1: -1}.get(signed, 2)}
    return found | {_SIGNS} if (first ^ second) >> (8 * size - 1) else found


def _loads(view: Any, step: int, decoder: Decoder) -> Iterator[tuple[int, int]]:
    """The last few spans read at or before a step, nearest first."""
    count = 0
    for at in range(step, max(-18, step - 18 * _LOADS_BACK), -18):
        for operand in decoder.decoded(view[at]).operands:
            if operand.reads and operand.size_bytes <= 8:
                start = decoder.address(operand, view[at + 2 : at + 18])
                yield start, start + operand.size_bytes
                count += 1
        if count >= _LOADS:
            return


def _compared(instruction: Any, general: Any, memory: Callable[[int, int], bytes]) -> Pair | None:
    """What an instruction compares, and their size in bytes; the value with 0 where it is one value's sign or zeroness."""
    values = [_value(instruction, operand, general, memory) for operand in instruction.operands]
    size = max((operand.size for operand in instruction.operands), default=8)
    first = values[0] if values else None
    second = values[1] if len(values) == 2 else 0
    if first is None or second is None or size > 8:
        return None
    if instruction.mnemonic == "cmp":
        return first, second, size
    return first & second if instruction.mnemonic == "test" else first, 0, size


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
