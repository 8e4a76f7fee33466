"""Calls out of a body, as a single-stepped run shows them: their order and their arguments.

What only computes a result or changes memory is no call that others could tell from inlined code: `TRANSPARENT`. Of all other
callees, the arguments are those that their prototypes name; without a prototype, those that the callee's own instructions
read in that run.
Source: System V ABI AMD64, 3.2.3 (parameter passing).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import capstone

from compiler_ai.sandbox.footprint import Callee
from compiler_ai.sandbox.process import Trace
from compiler_ai.sandbox.state import GENERAL
from compiler_ai.verify.equivalence import is_dead
from compiler_ai.verify.prototype import Prototype
from compiler_ai.verify.state import integer_places

# ISO C11, 7.12: what depends on its arguments alone, and changes nothing but errno.
_OF_NUMBERS = (
    *("sqrt", "cbrt", "hypot", "pow", "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "fabs", "fmod", "fma", "fdim"),
    *("sin", "cos", "tan", "asin", "acos", "atan", "atan2", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "erf", "erfc"),
    *("floor", "ceil", "trunc", "round", "rint", "nearbyint", "fmin", "fmax", "copysign", "lround", "lrint", "llround", "llrint"),
)  # fmt: skip
MATHEMATICAL = frozenset(name + kind for name in _OF_NUMBERS for kind in ("", "f"))
TRANSPARENT = frozenset(
    {
        *("memcpy", "memmove", "memset", "memcmp", "bcmp", "memchr", "mempcpy"),
        *("__errno_location", "__ctype_b_loc", "__ctype_tolower_loc", "__ctype_toupper_loc"),
        *("strlen", "strnlen", "strcmp", "strncmp", "strchr", "strrchr", "strcpy", "strncpy", "stpcpy", "strcat"),
    }
)
# Those whose accesses follow from their arguments (ISO C11, 7.24): a run that calls them need not be single-stepped.
SPECIFIED = {
    **dict.fromkeys(("memcpy", "memmove", "mempcpy"), Callee.COPIES),
    "memset": Callee.FILLS,
    **dict.fromkeys(("memcmp", "bcmp"), Callee.COMPARES),
}
_STEP = 18  # words of a trace
_VECTORS = 8  # arguments in vector registers
_ARGUMENTS = ("rdi", "rsi", "rdx", "rcx", "r8", "r9")
PARTS = {  # of the argument registers in order: how many of the lowest bytes each part has (dh: of edx's lowest two)
    "rdi": {"rdi": 8, "edi": 4, "di": 2, "dil": 1},
    "rsi": {"rsi": 8, "esi": 4, "si": 2, "sil": 1},
    "rdx": {"rdx": 8, "edx": 4, "dx": 2, "dl": 1, "dh": 2},
    "rcx": {"rcx": 8, "ecx": 4, "cx": 2, "cl": 1, "ch": 2},
    "r8": {"r8": 8, "r8d": 4, "r8w": 2, "r8b": 1},
    "r9": {"r9": 8, "r9d": 4, "r9w": 2, "r9b": 1},
}


@dataclass(frozen=True)
class Call:
    """A call of `target` with the argument registers' values; `used` maps those the callee reads to how many bytes of them."""

    target: int
    arguments: Mapping[str, int]
    used: Mapping[str, int]


@dataclass(frozen=True)
class Callees:
    """What is known of addresses outside: their names and prototypes."""

    names: Mapping[int, str]
    prototypes: Mapping[str, Prototype]

    def specified(self) -> dict[int, Callee]:
        """Addresses of the callees whose accesses follow from their arguments."""
        plain = {address: name.partition("@")[0] for address, name in self.names.items()}
        computing = {address: Callee.COMPUTES for address, name in plain.items() if self._is_mathematical(name)}
        return computing | {address: SPECIFIED[name] for address, name in plain.items() if name in SPECIFIED}

    def is_transparent(self, target: int) -> bool:
        name = self.names.get(target, "").partition("@")[0]
        return name in TRANSPARENT or self._is_mathematical(name)

    def _is_mathematical(self, name: str) -> bool:
        """Programs have functions of their own named log or round: those of the C library take numbers and nothing else."""
        prototype = self.prototypes.get(name)
        return name in MATHEMATICAL and (
            prototype is None
            or (bool(prototype.parameters) and all(kind.kind == "float" for _, kind in prototype.parameters))
        )

    def may_have_stack_arguments(self, name: str) -> bool:
        """Whether a function may get arguments on the stack, which are the callee's to change."""
        plain, prototype = name.partition("@")[0], self.prototypes.get(name)
        if prototype is None:
            return plain not in SPECIFIED and not self._is_mathematical(plain)
        kinds = [kind.kind if kind.size_bytes <= 8 else "" for _, kind in prototype.parameters]
        vectors = kinds.count("float")
        in_registers = vectors <= _VECTORS and len(kinds) - vectors < len(_ARGUMENTS)  # one may be for what is returned
        return prototype.variadic or not in_registers or not {*kinds} <= {"float", "integer", "pointer"}

    def sizes(self, call: Call) -> Mapping[str, int]:
        """How many bytes of which argument registers count."""
        prototype = self.prototypes.get(self.names.get(call.target, ""))
        places = integer_places(prototype) if prototype is not None else None
        if prototype is None or places is None:
            return call.used
        return {**dict(places), **(call.used if prototype.variadic else {})}


def outside_calls(
    trace: Trace, inside: Sequence[tuple[int, int]], code: Callable[[int], bytes], callees: Callees
) -> list[Call]:
    """The calls, in order, that leave the half-open address ranges `inside`; transparent ones left out."""
    view = memoryview(trace.data).cast("Q")
    reads = _RegisterReads(code)
    found: list[Call] = []
    for at, stop in _outside(view, inside):
        if not callees.is_transparent(view[at]):
            arguments = {name: view[at + 2 + GENERAL.index(name)] for name in _ARGUMENTS}
            steps = (view[step] for step in range(at, stop, _STEP))
            found.append(Call(view[at], arguments, reads.before_written(steps)))
    return found


def returned(trace: Trace, inside: Sequence[tuple[int, int]], callees: Callees) -> list[int]:
    """What was in rax after each such call that came back, in order."""
    view = memoryview(trace.data).cast("Q")
    return [
        view[stop + 2 + GENERAL.index("rax")]
        for at, stop in _outside(view, inside)
        if stop < len(view) and not callees.is_transparent(view[at])
    ]


def _outside(view: Any, inside: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """The stretches of a trace's words, from one to the next, that are outside of the half-open address ranges `inside`."""
    start = -1
    for at in range(0, len(view), _STEP):
        is_inside = any(low <= view[at] < high for low, high in inside)
        if start >= 0 and is_inside:
            yield start, at
            start = -1
        elif start < 0 and not is_inside:
            start = at
    if start >= 0:
        yield start, len(view)


def calls_differ(baseline: Sequence[Call], candidate: Sequence[Call], callees: Callees, stack_pointer: int) -> str:
    """The first difference in order, targets or arguments, or ""."""
    for number, (theirs, mine) in enumerate(zip(baseline, candidate, strict=False), 1):
        if theirs.target != mine.target:
            return f"call {number} is of {_name(mine, callees)} instead of {_name(theirs, callees)}"
        for name, size in callees.sizes(theirs).items():
            mask = (1 << 8 * size) - 1
            a, b = theirs.arguments.get(name, 0), mine.arguments.get(name, 0)
            if (a ^ b) & mask and not (size == 8 and is_dead(a, stack_pointer) and is_dead(b, stack_pointer)):
                return (
                    f"call {number}, of {_name(mine, callees)}, passes {b & mask:#x} in {name} instead of {a & mask:#x}"
                )
    if len(baseline) != len(candidate):
        return f"it makes {len(candidate)} calls instead of {len(baseline)}"
    return ""


def _name(call: Call, callees: Callees) -> str:
    return callees.names.get(call.target, f"{call.target:#x}")


class _RegisterReads:
    """Which argument registers a stretch of executed code reads before it writes them."""

    def __init__(self, code: Callable[[int], bytes]) -> None:
        self._code = code
        self._capstone = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
        self._capstone.detail = True
        self._known: dict[int, tuple[dict[str, int], frozenset[str]]] = {}

    def before_written(self, addresses: Iterable[int]) -> dict[str, int]:
        open_registers, used = set(_ARGUMENTS), dict[str, int]()
        for address in addresses:
            if not open_registers:
                break
            read, written = self._effects(address)
            for name, size in read.items():
                if name in open_registers:
                    used[name] = max(size, used.get(name, 0))
            open_registers -= written
        return used

    def _effects(self, address: int) -> tuple[dict[str, int], frozenset[str]]:
        if address not in self._known:
            instruction = next(self._capstone.disasm(self._code(address), address, 1), None)
            if instruction is None:
                self._known[address] = ({}, frozenset())
            else:
                read, written = ({instruction.reg_name(r) for r in group} for group in instruction.regs_access())
                operands = [instruction.reg_name(o.reg) for o in instruction.operands if o.type == capstone.CS_OP_REG]
                if instruction.mnemonic in ("xor", "sub", "pxor") and len(set(operands)) == 1:
                    read = set()  # sets to zero, whatever was there
                sizes = {
                    name: max(parts[part] for part in read if part in parts)
                    for name, parts in PARTS.items()
                    if read & parts.keys()
                }
                gone = frozenset(
                    name for name, parts in PARTS.items() if any(parts.get(part, 0) >= 4 for part in written)
                )
                self._known[address] = (sizes, gone)
        return self._known[address]
