"""What a traced run compared before its branches, and the values that would turn them or make both sides equal.

The idea of input-to-state correspondence (Aschermann et al., "REDQUEEN", NDSS 2019): a compared value often is a copy of
something in the input, so the input's copies of it are worth replacing by what it was compared with; where it is none, what
was loaded just before is worth changing by as much as is lacking.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

import capstone
from capstone import x86_const as x86

from compiler_ai.sandbox.process import Trace
from compiler_ai.sandbox.state import GENERAL
from compiler_ai.verify.accesses import Decoder
from compiler_ai.verify.mutate import Lookup, Wish

_COMPARING = ("cmp", "sub", "xor")  # the result is zero when both operands are equal
_COUNTING = {"dec": 1, "inc": -1}  # what the operand is when the result is zero
_LOADS_BACK = 12  # instructions before a comparison among which its inputs are loaded
_LOADS = 3
_JUMPS = 6
_OF_RAX = {"cbw": 1, "cwde": 2, "cdqe": 4}  # how many of its bytes they extend
_TIMES_OUTSIDE_LOOPS = 2  # a condition is executed in one run
_WISHES_FOR_A_SIGN = 3  # not every run has room for a negative index
_EXTENSIONS = ("movzx", "movsx", "movsxd", *_OF_RAX)
_TABLE_LOOK_BACK = 8
_LARGEST_TABLE = 255
_BYTES = 256
SIGNS = 3  # a difference in sign bits, where signed and unsigned numbers compare differently
_LOOK_BACK = 4  # instructions between a comparison and its branch
Span = tuple[int, int]
Pair = tuple[int, int, int]  # the two sides of a comparison, and their size in bytes
IsTurned = Callable[[int, int, int, int], bool]  # (site, first side, second side, their size in bytes)
NAMES = {  # of general registers and their parts: an index into GENERAL, and how many of its lowest bytes
    **{name: (index, 8) for index, name in enumerate(GENERAL)},
    **{f"e{name[1:]}": (index, 4) for index, name in enumerate(GENERAL[:8])},
    **{name[1:]: (index, 2) for index, name in enumerate(GENERAL[:8])},
    **{f"{name[1]}l": (GENERAL.index(name), 1) for name in ("rax", "rbx", "rcx", "rdx")},
    **{f"{name[1:]}l": (GENERAL.index(name), 1) for name in ("rsi", "rdi", "rbp", "rsp")},
    **{f"r{n}{part}": (n, size) for n in range(8, 16) for part, size in (("d", 4), ("w", 2), ("b", 1))},
}


def by_any_sides(_site: int, _first: int, _second: int, _size_bytes: int) -> bool:
    """The `IsTurned` for which no sides of a comparison are better than others."""
    return True


def comparisons(
    trace: Trace, sites: Iterable[int], decoder: Decoder, memory: Callable[[int, int], bytes]
) -> Iterator[tuple[int, int, Pair]]:
    """(site, index of the comparing step in the trace's words, what it compared), in the order of the run, for the conditions at
    the addresses `sites`."""
    wanted = set(sites)
    comparing = _Instructions(decoder, _sets_flags)
    view = memoryview(trace.data).cast("Q")
    for at in range(0, len(view), 18):
        if view[at] not in wanted:
            continue
        for step in range(at - 18, max(-18, at - 18 * (_LOOK_BACK + 1)), -18):
            instruction = comparing.at(view[step])
            if instruction is not None:
                pair = _compared(instruction, view[step + 2 : step + 18], memory)
                if pair is not None:
                    yield view[at], step, pair
                break


class _Instructions:
    """The instructions of a body that are of interest, each decoded once."""

    def __init__(self, decoder: Decoder, is_wanted: Callable[[Any], bool]) -> None:
        self._code = decoder
        self._is_wanted = is_wanted
        self._capstone = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
        self._capstone.detail = True
        self._known: dict[int, Any] = {}

    def at(self, address: int) -> Any:
        """The instruction at an address, None when it is not of interest."""
        if address not in self._known:
            found = next(self._capstone.disasm(self._code.code(address), address, 1), None)
            self._known[address] = found if found is not None and self._is_wanted(found) else None
        return self._known[address]


def _sets_flags(instruction: Any) -> bool:
    return x86.X86_REG_EFLAGS in instruction.regs_access()[1]


@dataclass
class Compared:
    """What one condition compared in a run: where it did so first, when a counter still is what it was loaded or passed as, and
    last; how often; and by how much the sides differed (-1, 0 or 1, 2 for anything else, and `SIGNS` where only one of them had
    its sign bit set)."""

    first: tuple[int, Pair]
    last: tuple[int, Pair]
    times: int
    differences: set[int]


def compared(
    trace: Trace, sites: Iterable[int], decoder: Decoder, memory: Callable[[int, int], bytes]
) -> dict[int, Compared]:
    """By address, what the conditions at `sites` compared in a run. `memory` gives the input's bytes."""
    found: dict[int, Compared] = {}
    for site, step, pair in comparisons(trace, sites, decoder, memory):
        one = found.setdefault(site, Compared((step, pair), (step, pair), 0, set()))
        one.last = step, pair
        one.times += 1
        one.differences |= _differences(*pair)
    return found


def wishes(
    trace: Trace,
    found: Mapping[int, Compared],
    decoder: Decoder,
    memory: Callable[[int, int], bytes],
    seen: Mapping[int, Container[int]],
    most: int = 100,
    is_turned: IsTurned = by_any_sides,
) -> Iterator[tuple[tuple[int, int], Wish]]:
    """Values to look for in the input that would turn the conditions in `found`, or bring what they compare to equality or next
    to it, or give its sides different signs, each with its address and the difference; not the differences `seen` there already.
    `memory` gives the input's bytes; `is_turned(site, first, second, size)` whether sides like these are of any use."""
    view = memoryview(trace.data).cast("Q")
    for site, one in found.items():
        for step, (first, second, size) in dict.fromkeys((one.last, one.first)):
            near = tuple(_loads(view, step, decoder))
            lookups = tuple(_lookups(view, step, decoder, memory))
            for change in (0, 1, -1, SIGNS):
                if change in seen.get(site, ()) or change in _differences(first, second, size) or most <= 0:
                    continue
                sign = 1 << 8 * size - 1
                mine, theirs = (first ^ sign, second ^ sign) if change == SIGNS else (second + change, first - change)
                if is_turned(site, mine, second, size):
                    most -= 1
                    yield (site, change), Wish(first, mine, size, near, () if change == SIGNS else lookups)
                if is_turned(site, first, theirs, size):
                    yield (site, change), Wish(second, theirs, size, near if change == SIGNS else ())


def alike_in_low_bits(
    trace: Trace, found: Mapping[int, Compared], decoder: Decoder, memory: Callable[[int, int], bytes]
) -> Iterator[tuple[int, Wish]]:
    """By address, values that would make the conditions in `found` compare what differs in one high bit only: a body that compares
    less than the whole is wrong for no others. None for conditions of loops, which would go on too long."""
    view = memoryview(trace.data).cast("Q")
    for site, one in found.items():
        step, (first, second, size) = one.last
        if one.times <= _TIMES_OUTSIDE_LOOPS:
            near, lookups = tuple(_loads(view, step, decoder)), tuple(_lookups(view, step, decoder, memory))
            bit = 1 << min(8 * size - 2, 32)
            yield site, Wish(first, second ^ bit, size, near, lookups)
            yield site, Wish(second, first ^ bit, size)


def loaded(
    trace: Trace, found: Mapping[int, Compared], decoder: Decoder, memory: Callable[[int, int], bytes]
) -> Iterator[tuple[int, Span, Span | int]]:
    """(site, span, with what) of the conditions in `found` that last compared what had been loaded with what had been loaded from
    another place, or with a value that no load just before gave."""
    view = memoryview(trace.data).cast("Q")
    for site, one in found.items():
        step, (first, second, _) = one.last
        near = list(islice(_loads(view, step, decoder), 2))
        values = [int.from_bytes(memory(start, end - start), "little") for start, end in near]
        if values in ([first, second], [second, first]) and len({end - start for start, end in near}) == 1:
            yield site, near[1], near[0]
        elif values and values[0] in (first, second):
            yield site, near[0], second if values[0] == first else first


def nearest_bytes(trace: Trace, found: Mapping[int, Compared], decoder: Decoder) -> Iterator[tuple[int, int]]:
    """(site, where) of the conditions in `found` before which a single byte was the last thing that was loaded."""
    view = memoryview(trace.data).cast("Q")
    for site, one in found.items():
        start, end = next(_loads(view, one.last[0], decoder), (0, 0))
        if end - start == 1:
            yield site, start


class Extensions:
    """What runs of one body widened from 8, 16 and 32 bits to more."""

    def __init__(self, decoder: Decoder) -> None:
        self._code = decoder
        self._extensions = _Instructions(decoder, lambda instruction: instruction.mnemonic in _EXTENSIONS)
        self._unseen: dict[int, set[bool]] = {}  # the signs that no run had yet
        self._wishes_left: dict[int, int] = {}

    def wishes(self, trace: Trace, memory: Callable[[int, int], bytes]) -> Iterator[tuple[int, Wish]]:
        """By the instruction's address, values of the other sign for numbers that had the same one so far: a body that widens them
        the other way is wrong for no others. `memory` gives the input's bytes."""
        view = memoryview(trace.data).cast("Q")
        found: dict[int, tuple[int, int, int]] = {}
        for step in range(0, len(view), 18):
            instruction = self._extensions.at(view[step])
            if instruction is None:
                continue
            value, size = _extended(instruction, view[step + 2 : step + 18], memory)
            if value is not None:
                self._unseen.setdefault(view[step], {False, True}).discard(_is_negative(value, size))
                found[view[step]] = step, value, size
        for address, (step, value, size) in found.items():
            left = self._wishes_left.setdefault(address, _WISHES_FOR_A_SIGN)
            if left and self._unseen[address]:
                self._wishes_left[address] = left - 1
                near = sorted(_loads(view, step, self._code), key=lambda span: span[1] - span[0] != size)
                yield address, Wish(value, _of_the_other_sign(value, size), size, tuple(near))


def _extended(instruction: Any, general: Any, memory: Callable[[int, int], bytes]) -> tuple[int | None, int]:
    """What an instruction widens, and its size in bytes."""
    if instruction.mnemonic in _OF_RAX:
        size = _OF_RAX[instruction.mnemonic]
        return int(general[GENERAL.index("rax")]) & (1 << 8 * size) - 1, size
    operand = instruction.operands[1]
    return _value(instruction, operand, general, memory), operand.size


def _is_negative(value: int, size: int) -> bool:
    return bool(value >> 8 * size - 1)


def _of_the_other_sign(value: int, size: int) -> int:
    """A number of this many bytes: of 4, a small one, for what is far from all else leads out of every array."""
    if size < 4:
        return value ^ 1 << 8 * size - 1
    return 1 if _is_negative(value, size) else (1 << 8 * size) - 1


@dataclass(frozen=True)
class Dispatch:
    """A jump through a table in a run, at the address `site` and at `step` of the trace's words: the index that its bounds check compared with the last one
    that there is, and what was loaded just before: the index, and what the code that the jump before led to may have loaded; `targets` are
    where each index leads, none when no table was found."""

    site: int
    step: int
    index: int
    last_index: int
    size_bytes: int
    near: tuple[tuple[int, int], ...]
    lookups: tuple[Lookup, ...] = ()
    first: int = 0  # what the number that was loaded is where the index is 0
    targets: tuple[int, ...] = ()

    def wish(self, index: int) -> Wish:
        """For another index."""
        return Wish(self.index + self.first, index + self.first, self.size_bytes, self.near[:1], self.lookups)

    def wishes(self) -> Iterator[Wish]:
        """Every index that the bounds check lets through, in place of the one that the run had."""
        return map(self.wish, range(self.last_index + 1))


def dispatches(
    trace: Trace,
    sites: Iterable[int],
    decoder: Decoder,
    memory: Callable[[int, int], bytes],
    constants: Callable[[int, int], bytes] = lambda _address, _size_bytes: b"",
) -> list[Dispatch]:
    """The first and last few jumps through tables at the addresses `sites`, and the last at each, in the order of the run; `constants` gives so many bytes
    of the body's own data, where its tables are."""
    wanted = set(sites)
    comparing = _Instructions(decoder, _sets_flags)
    view = memoryview(trace.data).cast("Q")
    jumps = [at for at in range(0, len(view), 18) if view[at] in wanted]
    found = []
    last = {view[at]: at for at in jumps}
    for at in sorted({*jumps[:_JUMPS], *jumps[-_JUMPS:], *last.values()}):
        for step in range(at - 18, max(-18, at - 18 * _TABLE_LOOK_BACK), -18):
            instruction = comparing.at(view[step])
            if instruction is None or instruction.mnemonic != "cmp":
                continue
            pair = _compared(instruction, view[step + 2 : step + 18], memory)
            if pair is not None and pair[1] <= _LARGEST_TABLE:
                near, lookups = tuple(_loads(view, step, decoder)), tuple(_lookups(view, step, decoder, memory))
                held = int.from_bytes(memory(near[0][0], near[0][1] - near[0][0]), "little") if near else pair[0]
                first = held - pair[0] if 0 < held - pair[0] < _BYTES else 0
                targets = _targets(view, at, decoder, *pair[:2], constants)
                found.append(Dispatch(view[at], at, *pair, near, lookups, first, targets))
            break
    return found


def _targets(
    view: Any,
    jump: int,
    decoder: Decoder,
    index: int,
    last_index: int,
    constants: Callable[[int, int], bytes],
) -> tuple[int, ...]:
    """Where the jump at this step leads for every index: its table has addresses (8 bytes each), or distances from one address
    (4 bytes each). () when what was loaded before it is no such table."""
    if jump + 18 >= len(view) or index > last_index:
        return ()
    for step in range(jump, max(-18, jump - 18 * _TABLE_LOOK_BACK), -18):
        for operand in decoder.decoded(view[step]).operands:
            size = operand.size_bytes
            if not operand.reads or size not in (4, 8):
                continue
            address = decoder.address(operand, view[step + 2 : step + 18])
            data = constants(address - size * index, size * (last_index + 1))
            if len(data) < size * (last_index + 1):
                continue
            entries = [int.from_bytes(data[at : at + size], "little", signed=True) for at in range(0, len(data), size)]
            base = view[jump + 18] - entries[index]
            if size == 4 or base == 0:
                return tuple(base + entry for entry in entries)
    return ()


def _differences(first: int, second: int, size: int) -> set[int]:
    signed = (first - second) & ((1 << 8 * size) - 1)
    found = {{0: 0, 1: 1, (1 << 8 * size) - 1: -1}.get(signed, 2)}
    return found | {SIGNS} if (first ^ second) >> (8 * size - 1) else found


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


def _lookups(view: Any, step: int, decoder: Decoder, memory: Callable[[int, int], bytes]) -> Iterator[Lookup]:
    """What was loaded at or before a step from an index that was a byte loaded before it, nearest first."""
    first = max(-18, step - 18 * _LOADS_BACK)
    for at in range(step, first, -18):
        for operand in decoder.decoded(view[at]).operands:
            if not operand.reads or operand.size_bytes > 8:
                continue
            address = decoder.address(operand, view[at + 2 : at + 18])
            for register, scale in ((operand.index, operand.scale), (operand.base, 1)):
                value = view[at + 2 + register] if register >= 0 else -1
                index = _loaded_byte(view, range(at - 18, first, -18), decoder, memory, value)
                if index >= 0:
                    size, start = operand.size_bytes, address - value * scale
                    table = memory(start, _BYTES * scale + size)
                    entries = (int.from_bytes(table[n * scale : n * scale + size], "little") for n in range(_BYTES))
                    places: dict[int, list[int]] = {}
                    for n, entry in enumerate(entries):
                        places.setdefault(entry, []).append(n)
                    middle = {entry: found[len(found) // 2] for entry, found in places.items()}
                    entry = int.from_bytes(table[value * scale : value * scale + size], "little")
                    yield Lookup(entry, size, index, middle)
                    break


def _loaded_byte(view: Any, steps: range, decoder: Decoder, memory: Callable[[int, int], bytes], value: int) -> int:
    """Where a byte with this value was loaded alone, latest first; -1 where none was."""
    if not 0 <= value < _BYTES:
        return -1
    for at in steps:
        for operand in decoder.decoded(view[at]).operands:
            if operand.reads and operand.size_bytes == 1:
                address = decoder.address(operand, view[at + 2 : at + 18])
                if memory(address, 1)[0] == value:
                    return address
    return -1


def _compared(instruction: Any, general: Any, memory: Callable[[int, int], bytes]) -> Pair | None:
    """What an instruction compares, and their size in bytes: its operands where it subtracts them or sets the flags as if it did, and
    else what is known of its result with 0."""
    values = [_value(instruction, operand, general, memory) for operand in instruction.operands]
    size = max((operand.size for operand in instruction.operands), default=8)
    first, second = [*values, 0, 0][:2]
    if not 1 <= len(values) <= 2 or size > 8 or first is None or second is None:
        return None
    mask, name = (1 << 8 * size) - 1, instruction.mnemonic.rpartition(" ")[2]
    if name in _COMPARING:
        return first, second, size
    if name in _COUNTING:
        return first, _COUNTING[name] & mask, size
    if name == "add":
        return first, -second & mask, size
    results = {"test": first & second, "and": first & second, "or": first | second}
    return results.get(name, first), 0, size


def _value(instruction: Any, operand: Any, general: Any, memory: Callable[[int, int], bytes]) -> int | None:
    mask = (1 << 8 * operand.size) - 1
    if operand.type == x86.X86_OP_IMM:
        return int(operand.imm & mask)
    if operand.type == x86.X86_OP_REG:
        place = NAMES.get(instruction.reg_name(operand.reg))
        return None if place is None else int(general[place[0]] & ((1 << 8 * place[1]) - 1))
    base = NAMES.get(instruction.reg_name(operand.mem.base)) if operand.mem.base else None
    index = NAMES.get(instruction.reg_name(operand.mem.index)) if operand.mem.index else None
    if (operand.mem.base and base is None) or (operand.mem.index and index is None) or operand.mem.segment:
        return None
    address: int = operand.mem.disp + (general[base[0]] if base else 0)
    address += general[index[0]] * operand.mem.scale if index else 0
    return int.from_bytes(memory(address & ((1 << 64) - 1), operand.size), "little")
