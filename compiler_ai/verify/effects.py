"""What single instructions do to integers that are known from the code alone.

Source: Intel SDM volume 2.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from capstone import x86_const as x86

from compiler_ai.sandbox.state import GENERAL
from compiler_ai.verify.accesses import Decoder
from compiler_ai.verify.conditions import CARRY, OVERFLOW, PARITY, SIGN, STATUS, ZERO, Condition, code_of, flags_of
from compiler_ai.verify.integers import MASK, Value, added, difference, signed, symbol, times
from compiler_ai.verify.known import (
    ALIGNED,
    HOLDS_FRAME,
    STACK,
    WORD,
    Compared,
    Flags,
    KnownFlags,
    State,
    UnfollowedError,
    is_of_frame,
    place_of,
)
from compiler_ai.verify.operands import Operands, is_vector, register_of, sized

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
_TELLING_NOTHING = ("mov", "push", "pop", "leave", "cmp", "test")  # or nothing that a state does not know
_SETS_FLAGS = ("comis", "cmpistr", "cmpestr", "test")  # capstone does not list all that do
_OPERAND_SIZE = 0x66  # the prefix
_EXTENDED = {"cbw": (1, 2), "cwde": (2, 4), "cdqe": (4, 8)}


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
        self._with = Operands(instruction, decoder, relocated)
        self._instruction = instruction
        self._decoder = decoder
        self._condition = condition
        self._report = report
        self._name = instruction.mnemonic.rpartition(" ")[2]
        self._operands = instruction.operands

    def effect(self) -> Effect | None:
        """What it does, None when nothing."""
        effect, registers = self._effect(), self._may_tell()
        if not registers:
            return effect

        def telling(state: State) -> None:
            if any(is_of_frame(state.registers[register]) for register in registers):
                state.told = True
            if effect is not None:
                effect(state)

        return telling

    def _may_tell(self) -> list[int]:
        """The registers whose value, or an address that is computed with them, may be somewhere else or anywhere afterwards: else the
        frame's address is found where it was put."""
        found: list[int] = []
        decoded = self._decoder.decoded(self._instruction.address)
        writes = self._name == "lea" or decoded.unknown or any(one.writes for one in decoded.operands)
        for operand in self._operands:
            if operand.type == x86.X86_OP_REG:
                whole = self._name in _TELLING_NOTHING and operand.size == WORD
                found += [] if whole or self._moves_frame() else [self._register(operand.reg)]
            elif operand.type == x86.X86_OP_MEM and writes:
                whole = not operand.mem.index and self._instruction.reg_name(operand.mem.base) in GENERAL
                found += [] if whole else [self._register(operand.mem.base), self._register(operand.mem.index)]
        return [register for register in found if register in HOLDS_FRAME]

    def _register(self, register: int) -> int:
        return register_of(self._instruction.reg_name(register))[0] if register else -1

    def _moves_frame(self) -> bool:
        """Whether it adds a constant to a register that may hold the frame's address, or rounds it."""
        kinds = [operand.type for operand in self._operands]
        return (
            self._name in ("add", "sub", "and", "lea", "inc", "dec")
            and x86.X86_OP_MEM not in kinds[:1]
            and kinds[1:] != [x86.X86_OP_REG]
        )

    def _effect(self) -> Effect | None:
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
        if name.startswith("cmov") and code_of(name):
            return self._move_if()
        if name.startswith("set") and code_of(name):
            return self._set_if()
        return self._unknown()

    # Instructions ------------------------------------------------------------------------------------------------

    def _move(self) -> Effect:
        read, write = self._with.reader(self._operands[1]), self._with.writer(self._operands[0])
        return lambda state: write(state, read(state))

    def _move_signed(self) -> Effect:
        read, write = self._with.reader(self._operands[1]), self._with.writer(self._operands[0])
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
        memory, write = (
            self._with.address_of(self._with.memory(self._operands[1])),
            self._with.writer(self._operands[0]),
        )
        mask = (1 << 8 * self._operands[0].size) - 1

        def load_address(state: State) -> None:
            value = memory(state)
            write(state, value & mask if type(value) is int else value)

        return load_address

    def _push(self) -> Effect:
        read = self._with.reader(self._operands[0])
        is_word = self._operands[0].size == WORD or self._operands[0].type == x86.X86_OP_IMM
        if not is_word or _OPERAND_SIZE in self._instruction.prefix:
            raise UnfollowedError("push")
        immediate = self._with.immediate(self._operands[0]) if self._operands[0].type == x86.X86_OP_IMM else None
        is_immediate = self._operands[0].type == x86.X86_OP_IMM

        def push(state: State) -> None:
            value = immediate if is_immediate else read(state)
            stack = added(state.registers[STACK], MASK - WORD + 1)
            state.set(STACK, stack)
            state.store(stack, WORD, value)

        return push

    def _pop(self) -> Effect:
        write = self._with.writer(self._operands[0])
        if self._operands[0].size != WORD:
            raise UnfollowedError("pop")

        def pop(state: State) -> None:
            stack = state.registers[STACK]
            value = state.load(stack, WORD)
            state.set(STACK, added(stack, WORD))
            write(state, value)

        return pop

    def _leave(self) -> Effect:
        frame = GENERAL.index("rbp")

        def leave(state: State) -> None:
            stack = state.registers[frame]
            state.set(STACK, added(stack, WORD))
            state.set(frame, state.load(stack, WORD))

        return leave

    def _not(self) -> Effect:
        read, write, size = self._changed()
        mask = (1 << 8 * size) - 1

        def invert(state: State) -> None:
            value = read(state)
            write(state, value ^ mask if type(value) is int else None)

        return invert

    def _negate(self) -> Effect:
        read, write, size = self._changed()

        def negate(state: State) -> None:
            value = read(state)
            state.flags = Compared(0, value, size)
            write(state, sized(times(value, MASK), size))

        return negate

    def _compare(self) -> Effect:
        first, second, size = *map(self._with.reader, self._operands), self._operands[0].size

        def compare(state: State) -> None:
            state.flags = Compared(first(state), second(state), size)

        return compare

    def _subtract(self) -> Effect:
        first, second, size = *map(self._with.reader, self._operands), self._operands[0].size
        write, is_zero = self._with.writer(self._operands[0]), self._is_of_itself()

        def subtract(state: State) -> None:
            values = (0, 0) if is_zero else (first(state), second(state))
            state.flags = Compared(*values, size)
            write(state, sized(difference(*values), size))

        return subtract

    def _add(self) -> Effect:
        first, second, size = *map(self._with.reader, self._operands), self._operands[0].size
        write = self._with.writer(self._operands[0])

        def add(state: State) -> None:
            values = first(state), second(state)
            total = sized(added(*values), size)
            state.flags = _flags_of_sum(values, total, size)
            write(state, total)

        return add

    def _step(self) -> Effect:
        read, write, size = self._changed()
        by = 1 if self._name == "inc" else MASK

        def step(state: State) -> None:
            value = read(state)
            total = sized(added(value, by), size)
            known = _flags_of_sum((value, by & (1 << 8 * size) - 1), total, size)
            # The carry stays as it was.
            state.flags = known._replace(which=STATUS & ~CARRY & ~OVERFLOW) if type(known) is KnownFlags else None
            write(state, total)

        return step

    def _logic(self) -> Effect:
        first, second, size = *map(self._with.reader, self._operands), self._operands[0].size
        name, is_itself = self._name, self._is_of_itself()
        write = None if name == "test" else self._with.writer(self._operands[0])
        rounding = name == "and" and size == WORD and self._operands[1].type == x86.X86_OP_IMM
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
            state.flags = KnownFlags(STATUS, flags_of(result, 0, size)) if type(result) is int else None
            if is_itself and type(result) is int:
                state.flags = Compared(result, 0, size)
            if write is not None:
                if rounding and is_stack:
                    result = _rounded(state, a, b)
                write(state, result)

        return combine

    def _shift(self) -> Effect | None:
        if len(self._operands) < 2 or self._operands[1].type != x86.X86_OP_IMM:
            return self._unknown()
        read, write, size = self._changed()
        count = self._operands[1].imm & (63 if size == WORD else 31)
        name, mask = self._name, (1 << 8 * size) - 1

        def shift(state: State) -> None:
            value = read(state)
            result: Value
            if name in ("shl", "sal"):
                result = sized(times(value, 1 << count), size)
            elif type(value) is int:
                result = (value if name == "shr" else signed(value, size)) >> count & mask
            else:
                result = None
            if count:
                state.flags = (
                    KnownFlags(ZERO | SIGN | PARITY, flags_of(result, 0, size)) if type(result) is int else None
                )
            write(state, result)

        return shift

    def _multiply(self) -> Effect | None:
        if len(self._operands) < 2:
            return self._unknown()
        first, second = (self._with.reader(operand) for operand in self._operands[-2:])
        size, write = self._operands[0].size, self._with.writer(self._operands[0])

        def multiply(state: State) -> None:
            a, b = first(state), second(state)
            result = times(a, b) if type(b) is int else times(b, a) if type(a) is int else None
            state.flags = None
            write(state, sized(result, size))

        return multiply

    def _move_if(self) -> Effect:
        read, write = self._with.reader(self._operands[1]), self._with.writer(self._operands[0])
        old, holds = self._with.reader(self._operands[0]), self._asked()

        def move_if(state: State) -> None:
            outcome = holds(state)
            new, before = read(state), old(state)
            write(state, new if outcome or (outcome is None and new == before) else None if outcome is None else before)

        return move_if

    def _set_if(self) -> Effect:
        write, holds = self._with.writer(self._operands[0]), self._asked()

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

    def _changed(self) -> tuple[Callable[[State], Value], Callable[[State, Value], None], int]:
        """How the first operand is read and written, and its size in bytes."""
        operand = self._operands[0]
        return self._with.reader(operand), self._with.writer(operand), operand.size

    def _is_of_itself(self) -> bool:
        both = self._operands
        return all(one.type == x86.X86_OP_REG for one in both) and both[0].reg == both[1].reg

    # Instructions that are not followed --------------------------------------------------------------------------

    def _vector(self) -> Effect | None:
        """One with vector or mask registers: what it does to others."""
        return self._losing(keeps_flags=not any(part in self._name for part in _SETS_FLAGS))

    def _unknown(self) -> Effect | None:
        plain = self._name[:-1] if self._name[:-1] in ("movs", "stos") else self._name
        # With its offset in a register a bit may lie far from the operand.
        is_far = self._name in ("bts", "btr", "btc") and self._operands[0].type == x86.X86_OP_MEM
        if plain not in _WRITES_KNOWN or is_far:
            raise UnfollowedError(self._name)
        return self._losing(keeps_flags=False)

    def _losing(self, keeps_flags: bool) -> Effect | None:
        """What it may write is unknown then."""
        instruction, at = self._instruction, self._instruction.address
        written = list(instruction.regs_access()[1])
        keeps_flags = keeps_flags and x86.X86_REG_EFLAGS not in written
        named = [operand.reg for operand in self._operands if operand.type == x86.X86_OP_REG]
        places = (register_of(instruction.reg_name(one)) for one in {*written, *named})
        registers = sorted({place[0] for place in places if place[0] >= 0})
        decoded = self._decoder.decoded(at)
        stores = [
            (self._with.address_of(one), one.size_bytes) for one in decoded.operands if one.writes and not one.segment
        ]
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
    place = place_of(stack)
    if place is None or place[0] != STACK or type(mask) is not int or state.aligned != (0, 0):
        raise UnfollowedError("the stack pointer")
    step = -signed(mask)
    if step <= 1 or step & step - 1:
        raise UnfollowedError("the stack pointer")
    state.aligned = place[1] - step + 1, place[1]
    return symbol(ALIGNED)


def _flags_of_sum(values: tuple[Value, Value], total: Value, size_bytes: int) -> Flags:
    if type(total) is not int or type(values[0]) is not int or type(values[1]) is not int:
        return None
    sign = 1 << 8 * size_bytes - 1
    bits = flags_of(total, 0, size_bytes) & (ZERO | SIGN | PARITY)
    bits |= CARRY if values[0] + values[1] >> 8 * size_bytes else 0
    bits |= OVERFLOW if (values[0] ^ total) & (values[1] ^ total) & sign else 0
    return KnownFlags(STATUS, bits, total, size_bytes)
