"""What single instructions do to integers that are known from the code alone: registers, status flags and slots of the frame.

A frame's slots are followed as long as nobody else can reach them: a store through an address of which nothing is known, or a call that
may have been told where they are, or that gets arguments on the stack, makes all of them unknown.
Source: Intel SDM volume 2; System V ABI AMD64, 3.2 (which registers a call keeps, whose a call's stack arguments are).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from capstone import x86_const as x86

from compiler_ai.sandbox.state import GENERAL
from compiler_ai.verify.accesses import Decoder, Operand
from compiler_ai.verify.conditions import CARRY, OVERFLOW, PARITY, SIGN, STATUS, ZERO, Condition, code_of, flags_of
from compiler_ai.verify.integers import MASK, Low, Sum, Value, added, difference, signed, symbol, times

STACK = GENERAL.index("rsp")
_ALIGNED = len(GENERAL)  # the symbol of a stack pointer that was rounded down
_STATIC = len(GENERAL) + 1  # those of sections, by their index in the object; of text the first
_ARGUMENTS = 1 << 20  # those of arguments on the stack
_FRAME = frozenset({STACK, _ALIGNED})
_KEPT = frozenset(GENERAL.index(name) for name in ("rbx", "rbp", "rsp", "r12", "r13", "r14", "r15"))
_HOLDS_FRAME = frozenset({STACK, GENERAL.index("rbp")})
_WORD = 8
_NEAR_BYTES = 1 << 31  # of the stack pointer
_ASKS = {"e": ZERO, "s": SIGN, "o": OVERFLOW, "p": PARITY, "b": CARRY, "ae": CARRY, "be": CARRY | ZERO, "a": CARRY | ZERO,
         "l": SIGN | OVERFLOW, "ge": SIGN | OVERFLOW, "le": SIGN | OVERFLOW | ZERO, "g": SIGN | OVERFLOW | ZERO}  # fmt: skip
# Whose writes to general registers are all among its operands or listed by capstone, and that may change the flags.
_WRITES_KNOWN = frozenset({
    "popcnt", "lzcnt", "tzcnt", "bsf", "bsr", "mul", "imul", "div", "idiv", "mulx", "andn", "rorx", "shlx", "sarx",
    "shrx", "bextr", "blsr", "blsi", "blsmsk", "pdep", "pext", "bswap", "rol", "ror", "rcl", "rcr", "shld", "shrd",
    "adcx", "adox", "adc", "sbb", "crc32", "movbe", "xchg", "xadd", "cwd", "cdq", "cqo", "bt", "bts", "btr", "btc",
    "movs", "stos", "shl", "sal", "shr", "sar",
})  # fmt: skip
_WITHOUT_EFFECT = frozenset({
    "nop", "endbr64", "pause", "mfence", "lfence", "sfence", "vzeroupper", "vzeroall", "emms", "prefetcht0",
    "prefetcht1", "prefetcht2", "prefetchnta", "prefetchw", "cld",
})  # fmt: skip
_EXTENDED = {"cbw": (1, 2), "cwde": (2, 4), "cdqe": (4, 8)}


class UnfollowedError(Exception):
    """An instruction whose effect is not known. Which, in words."""


class Compared(NamedTuple):
    """The flags are those of `first - second`, numbers of so many bytes."""

    first: Value
    second: Value
    size_bytes: int


class KnownFlags(NamedTuple):
    """Of the status flags those in `which` are known to be `bits`; `result` is what an instruction of `size_bytes` left them for."""

    which: int
    bits: int
    result: int
    size_bytes: int


Flags = Compared | KnownFlags | None


@dataclass
class State:
    """`registers` in the order of GENERAL; `slots` by symbol and distance: their size in bytes and what they hold. `told`: the frame's
    address may be elsewhere than in the registers that are for it; `lost`: not even the arguments on the stack are known to be what
    they were; `aligned` are the least and greatest distance of the rounded stack pointer from that at entry."""

    registers: list[Value]
    flags: Flags
    slots: dict[tuple[int, int], tuple[int, Value]]
    told: bool = False
    lost: bool = False
    aligned: tuple[int, int] = (0, 0)

    @classmethod
    def at_entry(cls) -> State:
        return cls([symbol(number) for number in range(len(GENERAL))], None, {})

    def copy(self) -> State:
        return State(list(self.registers), self.flags, dict(self.slots), self.told, self.lost, self.aligned)

    def joined(self, other: State) -> State:
        """What is known when either may be the case."""
        return State(
            [mine if mine == theirs else None for mine, theirs in zip(self.registers, other.registers, strict=True)],
            self.flags if self.flags == other.flags else None,
            {at: one for at, one in self.slots.items() if other.slots.get(at) == one},
            self.told or other.told,
            self.lost or other.lost,
            (min(self.aligned[0], other.aligned[0]), max(self.aligned[1], other.aligned[1])),
        )

    def forget_slots(self) -> None:
        self.slots.clear()
        self.lost = True

    def load(self, address: Value, size_bytes: int) -> Value:
        place = _place(address)
        if place is None:
            return None
        found = self.slots.get(place)
        if found is not None and found[0] == size_bytes:
            return found[1]
        if found is not None and found[0] > size_bytes and type(found[1]) is int:
            return found[1] & (1 << 8 * size_bytes) - 1
        name, at = place
        if name != STACK or at < _WORD or at % _WORD or size_bytes != _WORD or self.lost:
            return None
        return None if self._near(name, at, at + _WORD) else symbol(_ARGUMENTS + at // _WORD - 1)

    def store(self, address: Value, size_bytes: int, value: Value) -> None:
        """Raises UnfollowedError when it may change the return address."""
        if _is_of_frame(value):
            self.told = True
        place = _place(address)
        if place is None:
            if _is_of_frame(address) or (type(address) is not int and type(address) is not Sum and self.told):
                self.forget_slots()
            return
        name, at = place
        lowest, highest = (0, 0) if name == STACK else self.aligned
        if at + lowest < _WORD and at + highest + size_bytes > 0:
            raise UnfollowedError("a store to the return address")
        for slot in self._near(name, at, at + size_bytes):
            del self.slots[slot]
        self.slots[place] = size_bytes, value

    def _near(self, name: int, start: int, end: int) -> list[tuple[int, int]]:
        """The slots that may have bytes in common with [start, end) from a symbol on."""
        least, greatest = self.aligned
        spans = {name: (start, end)}
        if name == STACK:
            spans[_ALIGNED] = start - greatest, end - least
        else:
            spans[STACK] = start + least, end + greatest
        return [
            slot
            for slot, (size, _) in self.slots.items()
            if slot[0] in spans and slot[1] < spans[slot[0]][1] and slot[1] + size > spans[slot[0]][0]
        ]

    def set(self, register: int, value: Value) -> None:
        if register not in _HOLDS_FRAME and _is_of_frame(value):
            self.told = True
        if register == STACK and _place(value) is None:
            raise UnfollowedError("the stack pointer")
        self.registers[register] = value

    def call(self, has_stack_arguments: bool) -> None:
        """A call that returns."""
        stack = _place(self.registers[STACK])
        if self.told or has_stack_arguments or stack is None:
            self.forget_slots()
        else:
            for slot in self._near(stack[0], -(1 << 62), stack[1]):
                del self.slots[slot]
        for register in range(len(GENERAL)):
            if register not in _KEPT:
                self.registers[register] = None
        self.flags = None

    def holds(self, condition: Condition) -> bool | None:
        """Whether a condition holds now; None where that depends on more than the code."""
        flags = self.flags
        if type(flags) is Compared:
            first, second, size = flags
            if type(first) is int and type(second) is int:
                return condition.holds(flags_of(first, second, size))
            return _compare(condition, first, second) if size == _WORD else None
        if type(flags) is KnownFlags:
            asked = _ASKS.get(condition.code, _ASKS.get(condition.code.removeprefix("n"), STATUS))
            return condition.holds(flags.bits) if asked & flags.which == asked else None
        return None


def _compare(condition: Condition, first: Value, second: Value) -> bool | None:
    """Of numbers that are not known, only whether they are the same is: the greater one may have wrapped, unless both are near the stack
    pointer."""
    apart, places = difference(first, second), (_place(first), _place(second))
    if type(apart) is not int:
        return None
    if condition.code.removeprefix("n") == "e":
        return (apart == 0) == (condition.code == "e")
    one, other = places
    if one is None or other is None or max(abs(one[1]), abs(other[1])) >= _NEAR_BYTES or condition.code[-1] in "sop":
        return None
    return condition.holds(flags_of(one[1] + _NEAR_BYTES, other[1] + _NEAR_BYTES, _WORD))


def _is_of_frame(value: Value) -> bool:
    return type(value) is Sum and any(name in _FRAME for name, _ in value.terms)


def _place(address: Value) -> tuple[int, int] | None:
    """The symbol and the distance of a place in the frame, None for any other address."""
    if type(address) is not Sum or len(address.terms) != 1:
        return None
    name, factor = address.terms[0]
    return (name, signed(address.constant)) if name in _FRAME and factor == 1 else None


Effect = Callable[[State], None]
Report = Callable[[int, "bool | None"], None]  # (address of a conditional move or set, whether its condition holds)


def effect_of(
    instruction: Any,
    decoder: Decoder,
    condition: Condition | None,
    report: Report,
    relocated: Mapping[int, int],
) -> Effect | None:
    """What an instruction that is no jump, call or return does; None when nothing that is followed. `condition` is that of a conditional
    one, and each time `report` is told how it came out; `relocated` maps the places of
    relocations in the code to the sections that they lead to, -1 for another object's. Raises UnfollowedError."""
    return _Described(instruction, decoder, condition, report, relocated).effect()


class _Described:
    def __init__(
        self,
        instruction: Any,
        decoder: Decoder,
        condition: Condition | None,
        report: Report,
        relocated: Mapping[int, int],
    ) -> None:
        self._relocated = relocated
        self._instruction = instruction
        self._decoder = decoder
        self._condition = condition
        self._report = report
        self._name = instruction.mnemonic.rpartition(" ")[2]
        self._operands = instruction.operands

    def effect(self) -> Effect | None:
        """What it does, None when nothing."""
        name, operands = self._name, self._operands
        if name in _WITHOUT_EFFECT:
            return None
        if any(is_vector(self._instruction, operand) for operand in operands):
            return self._vector()
        named: dict[str, Callable[[], Effect | None]] = {
            "mov": self._move, "movabs": self._move, "movzx": self._move, "movsx": self._move_signed, "movsxd": self._move_signed,
            "lea": self._address, "push": self._push, "pop": self._pop, "leave": self._leave, "not": self._not, "neg": self._negate,
            "cmp": self._compare, "sub": self._subtract, "add": self._add, "inc": self._step, "dec": self._step, "test": self._logic,
            "and": self._logic, "or": self._logic, "xor": self._logic, "shl": self._shift, "sal": self._shift, "shr": self._shift,
            "sar": self._shift, "imul": self._multiply, "cbw": self._extend, "cwde": self._extend, "cdqe": self._extend,
        }  # fmt: skip
        if name in named:
            return named[name]()
        if name.startswith("cmov"):
            return self._move_if()
        if name.startswith("set"):
            return self._set_if()
        return self._unknown()

    # Operands ----------------------------------------------------------------------------------------------------

    def _reader(self, operand: Any) -> Callable[[State], Value]:
        """An operand's value, zero-extended."""
        size = operand.size
        mask = (1 << 8 * size) - 1
        if operand.type == x86.X86_OP_IMM:
            value = self._immediate(operand)
            value = value & mask if type(value) is int else value if size >= 4 else None
            return lambda _state: value
        if operand.type == x86.X86_OP_MEM:
            address = self._address_of(self._memory(operand))
            return lambda state: state.load(address(state), size)
        register, shift = self._general(operand)

        def read(state: State) -> Value:
            held = state.registers[register]
            if size == _WORD:
                return None if type(held) is Low else held
            if type(held) is int:
                return int(held >> shift & mask)
            return held.value if type(held) is Low and size == 1 and not shift else None

        return read

    def _writer(self, operand: Any) -> Callable[[State, Value], None]:
        size = operand.size
        if operand.type == x86.X86_OP_MEM:
            address = self._address_of(self._memory(operand))

            def store(state: State, value: Value) -> None:
                state.store(address(state), size, value)

            return store
        register, shift = self._general(operand)
        mask = (1 << 8 * size) - 1 << shift

        def write(state: State, value: Value) -> None:
            if size >= 4:
                state.set(register, value if size == _WORD or type(value) is int else None)
                return
            old = state.registers[register]
            if type(old) is int and type(value) is int:
                state.set(register, old & ~mask | value << shift)
            elif shift:
                state.set(register, old if type(old) is Low else None)
            else:
                state.set(register, Low(value & 0xFF) if type(value) is int else None)

        return write

    def _general(self, operand: Any) -> tuple[int, int]:
        found = _register(self._instruction.reg_name(operand.reg))
        if found[0] < 0:
            raise UnfollowedError(self._name)
        return found

    def _memory(self, operand: Any) -> Operand | None:
        described = self._decoder.memory_operand(self._instruction, operand)
        return None if described is None or described.segment else described

    def _static(self, value: int, field: int, is_place: bool = False) -> Value:
        """A number in the instruction, so many bytes from its start: when a relocation changes it, or it `is_place` by itself, the address
        of something, which says nothing of how far that is from what is in other sections."""
        section = self._relocated.get(self._instruction.address + field) if field else None
        if section is None and not is_place:
            return value & MASK
        section = section or 0
        return added(symbol(_STATIC + section), value & MASK) if section >= 0 else None

    def _immediate(self, operand: Any) -> Value:
        return self._static(operand.imm, self._instruction.imm_offset)

    def _address_of(self, operand: Operand | None) -> Callable[[State], Value]:
        if operand is None:
            return lambda _state: None
        base, index, scale = operand.base, operand.index, operand.scale
        is_place = base < 0 and index < 0
        displacement = self._static(operand.displacement, self._instruction.disp_offset, is_place)

        def address(state: State) -> Value:
            registers = state.registers
            value = displacement
            if base >= 0:
                value = added(registers[base], value)
            if index >= 0:
                value = added(value, times(registers[index], scale))
            return value

        return address

    # Instructions ------------------------------------------------------------------------------------------------

    def _move(self) -> Effect:
        read, write = self._reader(self._operands[1]), self._writer(self._operands[0])
        return lambda state: write(state, read(state))

    def _move_signed(self) -> Effect:
        read, write = self._reader(self._operands[1]), self._writer(self._operands[0])
        return _widening(read, write, self._operands[1].size, self._operands[0].size)

    def _extend(self) -> Effect:
        narrow, wide = _EXTENDED[self._name]

        def extend(state: State) -> None:
            value = state.registers[0]
            if type(value) is not int:
                state.set(0, None)
                return
            extended = signed(value, narrow) & (1 << 8 * wide) - 1
            state.set(0, extended if wide >= 4 else value & ~0xFFFF | extended)

        return extend

    def _address(self) -> Effect:
        memory, write = self._address_of(self._memory(self._operands[1])), self._writer(self._operands[0])
        mask = (1 << 8 * self._operands[0].size) - 1

        def load_address(state: State) -> None:
            value = memory(state)
            write(state, value & mask if type(value) is int else value)

        return load_address

    def _push(self) -> Effect:
        read = self._reader(self._operands[0])
        if self._operands[0].size != _WORD and self._operands[0].type != x86.X86_OP_IMM:
            raise UnfollowedError("push")
        immediate = self._immediate(self._operands[0]) if self._operands[0].type == x86.X86_OP_IMM else None
        is_immediate = self._operands[0].type == x86.X86_OP_IMM

        def push(state: State) -> None:
            value = immediate if is_immediate else read(state)
            stack = added(state.registers[STACK], MASK - _WORD + 1)
            state.set(STACK, stack)
            state.store(stack, _WORD, value)

        return push

    def _pop(self) -> Effect:
        write = self._writer(self._operands[0])
        if self._operands[0].size != _WORD:
            raise UnfollowedError("pop")

        def pop(state: State) -> None:
            stack = state.registers[STACK]
            value = state.load(stack, _WORD)
            state.set(STACK, added(stack, _WORD))
            write(state, value)

        return pop

    def _leave(self) -> Effect:
        frame = GENERAL.index("rbp")

        def leave(state: State) -> None:
            stack = state.registers[frame]
            state.set(STACK, added(stack, _WORD))
            state.set(frame, state.load(stack, _WORD))

        return leave

    def _not(self) -> Effect:
        read, write = self._reader(self._operands[0]), self._writer(self._operands[0])
        mask = (1 << 8 * self._operands[0].size) - 1

        def invert(state: State) -> None:
            value = read(state)
            write(state, value ^ mask if type(value) is int else None)

        return invert

    def _negate(self) -> Effect:
        read, write, size = self._reader(self._operands[0]), self._writer(self._operands[0]), self._operands[0].size

        def negate(state: State) -> None:
            value = read(state)
            state.flags = Compared(0, value, size)
            write(state, _sized(times(value, MASK), size))

        return negate

    def _compare(self) -> Effect:
        first, second, size = *map(self._reader, self._operands), self._operands[0].size

        def compare(state: State) -> None:
            state.flags = Compared(first(state), second(state), size)

        return compare

    def _subtract(self) -> Effect:
        first, second, size = *map(self._reader, self._operands), self._operands[0].size
        write, is_zero = self._writer(self._operands[0]), self._is_of_itself()

        def subtract(state: State) -> None:
            values = (0, 0) if is_zero else (first(state), second(state))
            state.flags = Compared(*values, size)
            write(state, _sized(difference(*values), size))

        return subtract

    def _add(self) -> Effect:
        first, second, size = *map(self._reader, self._operands), self._operands[0].size
        write = self._writer(self._operands[0])

        def add(state: State) -> None:
            values = first(state), second(state)
            total = _sized(added(*values), size)
            state.flags = _flags_of_sum(values, total, size)
            write(state, total)

        return add

    def _step(self) -> Effect:
        read, write, size = self._reader(self._operands[0]), self._writer(self._operands[0]), self._operands[0].size
        by = 1 if self._name == "inc" else MASK

        def step(state: State) -> None:
            value = read(state)
            total = _sized(added(value, by), size)
            known = _flags_of_sum((value, by & (1 << 8 * size) - 1), total, size)
            # The carry stays as it was.
            state.flags = known._replace(which=STATUS & ~CARRY & ~OVERFLOW) if type(known) is KnownFlags else None
            write(state, total)

        return step

    def _logic(self) -> Effect:
        first, second, size = *map(self._reader, self._operands), self._operands[0].size
        name, is_itself = self._name, self._is_of_itself()
        write = None if name == "test" else self._writer(self._operands[0])
        rounding = name == "and" and size == _WORD and self._operands[1].type == x86.X86_OP_IMM
        is_stack = self._instruction.reg_name(self._operands[0].reg) == "rsp"

        def combine(state: State) -> None:
            a, b = first(state), second(state)
            result: Value = None
            if is_itself and name == "xor":
                result = 0
            elif is_itself and name in ("and", "or", "test"):
                result = a
            elif type(a) is int and type(b) is int:
                result = a & b if name in ("and", "test") else a | b if name == "or" else a ^ b
            elif name in ("and", "test") and 0 in (a, b):
                result = 0
            state.flags = Compared(result, 0, size) if type(result) is int else None
            if write is not None:
                if rounding and is_stack:
                    result = _rounded(state, a, b)
                write(state, result)

        return combine

    def _shift(self) -> Effect | None:
        if len(self._operands) < 2 or self._operands[1].type != x86.X86_OP_IMM:
            return self._unknown()
        read, write, size = self._reader(self._operands[0]), self._writer(self._operands[0]), self._operands[0].size
        count = self._operands[1].imm & (63 if size == _WORD else 31)
        name, mask = self._name, (1 << 8 * size) - 1

        def shift(state: State) -> None:
            value = read(state)
            result: Value
            if name in ("shl", "sal"):
                result = _sized(times(value, 1 << count), size)
            elif type(value) is int:
                result = (value if name == "shr" else signed(value, size)) >> count & mask
            else:
                result = None
            if count:
                state.flags = (
                    KnownFlags(ZERO | SIGN | PARITY, flags_of(result, 0, size), result, size)
                    if type(result) is int
                    else None
                )
            write(state, result)

        return shift

    def _multiply(self) -> Effect | None:
        if len(self._operands) < 2:
            return self._unknown()
        first, second = (self._reader(operand) for operand in self._operands[-2:])
        size, write = self._operands[0].size, self._writer(self._operands[0])

        def multiply(state: State) -> None:
            a, b = first(state), second(state)
            result = times(a, b) if type(b) is int else times(b, a) if type(a) is int else None
            state.flags = None
            write(state, _sized(result, size))

        return multiply

    def _move_if(self) -> Effect:
        read, write = self._reader(self._operands[1]), self._writer(self._operands[0])
        old, holds = self._reader(self._operands[0]), self._asked()

        def move_if(state: State) -> None:
            outcome = holds(state)
            new, before = read(state), old(state)
            write(state, new if outcome or (outcome is None and new == before) else None if outcome is None else before)

        return move_if

    def _set_if(self) -> Effect:
        write, holds = self._writer(self._operands[0]), self._asked()

        def set_if(state: State) -> None:
            outcome = holds(state)
            write(state, None if outcome is None else int(outcome))

        return set_if

    def _asked(self) -> Callable[[State], bool | None]:
        at, condition, report = self._instruction.address, self._condition, self._report

        def holds(state: State) -> bool | None:
            outcome = None if condition is None else state.holds(condition)
            report(at, outcome)
            return outcome

        return holds

    def _is_of_itself(self) -> bool:
        both = self._operands
        return all(one.type == x86.X86_OP_REG for one in both) and both[0].reg == both[1].reg

    # Instructions that are not followed --------------------------------------------------------------------------

    def _vector(self) -> Effect | None:
        """One with vector or mask registers: what it does to others."""
        return self._losing(keeps_flags=not self._name.startswith("ktest"))

    def _unknown(self) -> Effect | None:
        plain = self._name[:-1] if self._name[:-1] in ("movs", "stos") else self._name
        if plain not in _WRITES_KNOWN:
            raise UnfollowedError(self._name)
        return self._losing(keeps_flags=False)

    def _losing(self, keeps_flags: bool) -> Effect | None:
        """What it may write is unknown then."""
        instruction, at = self._instruction, self._instruction.address
        written = list(instruction.regs_access()[1])
        keeps_flags = keeps_flags and x86.X86_REG_EFLAGS not in written
        named = [operand.reg for operand in self._operands if operand.type == x86.X86_OP_REG]
        places = (_register(instruction.reg_name(one)) for one in {*written, *named})
        registers = sorted({place[0] for place in places if place[0] >= 0})
        decoded = self._decoder.decoded(at)
        stores = [(self._address_of(one), one.size_bytes) for one in decoded.operands if one.writes and not one.segment]
        anywhere = bool(decoded.string) or decoded.unknown or any(one.segment for one in decoded.operands if one.writes)
        asks = bool(code_of(self._name))
        if keeps_flags and not registers and not stores and not anywhere and not asks:
            return None

        def lose(state: State) -> None:
            addresses = [(address(state), size) for address, size in stores]
            if asks:
                self._report(at, None)
            for address, size in addresses:
                state.store(address, size, None)
            if anywhere:
                state.forget_slots()
            for register in registers:
                state.set(register, None)
            if not keeps_flags:
                state.flags = None

        return lose


def _widening(read: Callable[[State], Value], write: Callable[[State, Value], None], narrow: int, wide: int) -> Effect:
    mask = (1 << 8 * wide) - 1

    def widen(state: State) -> None:
        value = read(state)
        write(state, signed(value, narrow) & mask if type(value) is int else None)

    return widen


def _rounded(state: State, stack: Value, mask: Value) -> Value:
    """A stack pointer rounded down to a power of 2: how far down depends on the caller."""
    place = _place(stack)
    if place is None or place[0] != STACK or type(mask) is not int or state.aligned != (0, 0):
        raise UnfollowedError("the stack pointer")
    step = -signed(mask)
    if step <= 0 or step & step - 1:
        raise UnfollowedError("the stack pointer")
    state.aligned = place[1] - step + 1, place[1]
    return symbol(_ALIGNED)


def _sized(value: Value, size_bytes: int) -> Value:
    if type(value) is int:
        return value & (1 << 8 * size_bytes) - 1
    return value if size_bytes == _WORD else None


def _flags_of_sum(values: tuple[Value, Value], total: Value, size_bytes: int) -> Flags:
    if type(total) is not int or type(values[0]) is not int or type(values[1]) is not int:
        return None
    sign = 1 << 8 * size_bytes - 1
    bits = flags_of(total, 0, size_bytes) & (ZERO | SIGN | PARITY)
    bits |= CARRY if values[0] + values[1] >> 8 * size_bytes else 0
    bits |= OVERFLOW if (values[0] ^ total) & (values[1] ^ total) & sign else 0
    return KnownFlags(STATUS, bits, total, size_bytes)


_PARTS: dict[str, tuple[int, int]] = {
    **{name: (index, 0) for index, name in enumerate(GENERAL)},
    **{f"e{name[1:]}": (index, 0) for index, name in enumerate(GENERAL[:8])},
    **{name[1:]: (index, 0) for index, name in enumerate(GENERAL[:8])},
    **{f"{name[1]}l": (GENERAL.index(name), 0) for name in ("rax", "rbx", "rcx", "rdx")},
    **{f"{name[1]}h": (GENERAL.index(name), 8) for name in ("rax", "rbx", "rcx", "rdx")},
    **{f"{name[1:]}l": (GENERAL.index(name), 0) for name in ("rsi", "rdi", "rbp", "rsp")},
    **{f"r{n}{part}": (n, 0) for n in range(8, 16) for part in ("d", "w", "b")},
}


def _register(name: str | None) -> tuple[int, int]:
    """The general register that a name is a part of, as an index into GENERAL, and the part's first bit; -1 for others."""
    return _PARTS.get(name or "", (-1, 0))


def half_set(instruction: Any, name: str) -> list[int]:
    """The general register whose lower half an instruction sets, if it does."""
    operands = instruction.operands
    if name in ("cmp", "test") or not operands or operands[0].type != x86.X86_OP_REG or operands[0].size != 4:
        return []
    register = general(instruction, operands[0])
    return [register] if register >= 0 else []


def general(instruction: Any, operand: Any) -> int:
    """The general register that a register operand is a part of, as an index into GENERAL, -1 for others."""
    return _register(instruction.reg_name(operand.reg))[0]


def is_general(instruction: Any, operand: Any) -> bool:
    """Whether an operand is a general register."""
    return operand.type == x86.X86_OP_REG and general(instruction, operand) >= 0


def is_vector(instruction: Any, operand: Any) -> bool:
    """Whether an operand is no integer: a vector, mask or floating-point register."""
    name = instruction.reg_name(operand.reg) if operand.type == x86.X86_OP_REG else ""
    return bool(name) and name.startswith(("xmm", "ymm", "zmm", "mm", "st", "k"))
