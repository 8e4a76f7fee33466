"""Calls out of a body, as a single-stepped run shows them.

What only computes a result or changes memory is no call that others could tell from inlined code: `TRANSPARENT`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from compiler_ai.sandbox.events import CallEvent
from compiler_ai.sandbox.footprint import Callee
from compiler_ai.sandbox.process import Trace
from compiler_ai.sandbox.state import GENERAL
from compiler_ai.verify.passing import GENERAL_ARGUMENTS, VECTOR_ARGUMENTS
from compiler_ai.verify.prototype import Prototype

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


@dataclass(frozen=True)
class Callees:
    """What is known of addresses outside: their names and prototypes; `pointed` are those that pointers to functions have, `methods` those
    of pointers that are members, by offset."""

    names: Mapping[int, str]
    prototypes: Mapping[str, Prototype]
    pointed: Sequence[Prototype] = ()
    methods: Mapping[int, Sequence[Prototype]] = field(default_factory=dict)

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
        # One general register may be for what is returned.
        in_registers = vectors <= len(VECTOR_ARGUMENTS) and len(kinds) - vectors < len(GENERAL_ARGUMENTS)
        return prototype.variadic or not in_registers or not {*kinds} <= {"float", "integer", "pointer"}


def made_calls(trace: Trace, callees: Callees) -> tuple[CallEvent, ...]:
    """The calls out of the body that a trace saw being made, in order; transparent ones left out."""
    return tuple(event for event in trace.outcome.events if not callees.is_transparent(event.target))


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
