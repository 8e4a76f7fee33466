"""What one call passes: every scalar of every argument, wherever it lies, as far as its type, its format or its callee's code says.

Where that is uncertain (variadic arguments without a format, callees whose code cannot be followed), whatever may be an argument is
given as such: what differs there decides nothing.
Source: System V ABI AMD64, 3.2.3 (parameter passing), 3.5.7 (variable arguments).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from compiler_ai.sandbox.events import CallEvent
from compiler_ai.verify.answering import prototype_of
from compiler_ai.verify.argumentuse import ArgumentUse, Used
from compiler_ai.verify.calls import Callees
from compiler_ai.verify.formats import conversions, format_position, most_arguments
from compiler_ai.verify.passing import GENERAL_ARGUMENTS, VECTOR_ARGUMENTS, Passing, passing
from compiler_ai.verify.prototype import Member, Prototype, Type

TEXT_BYTES = 4096
_FIRST_ON_STACK_BYTES = 8
_STACKED_BYTES = 512
_X87_BYTES = 10  # of the 16 that a long double takes
_EXTENDED_BYTES = 4  # what GCC and Clang extend narrow integers to, and Clang's callees rely on
_WORD = Type("integer", 8)
_VECTOR = Type("vector", 16)
_RESULT = Type("pointer", 8, target_bytes=1, target_kind="void")

Place = str | int  # a register, or an offset from the stack pointer at the callee's entry
Constants = Callable[
    [int, int], bytes
]  # up to so many bytes at an address that nobody can write, b"" for anything else


@dataclass(frozen=True)
class Argument:
    """A scalar that lies `offset_bytes` into a place. `is_certain` when it is an argument for sure: else it may be what was left there."""

    place: Place
    offset_bytes: int
    type: Type
    is_certain: bool = True

    @property
    def where(self) -> str:
        """The place in words."""
        if isinstance(self.place, str):
            return self.place if not self.offset_bytes else f"byte {self.offset_bytes} of {self.place}"
        return f"the stack, {self.place + self.offset_bytes - _FIRST_ON_STACK_BYTES} above the return address"

    def value(self, event: CallEvent) -> bytes | None:
        """Its bytes in a call; None where what was noted of the stack does not reach so far."""
        is_x87 = self.type.kind == "float" and self.type.size_bytes == 16
        size = _X87_BYTES if is_x87 else self.type.size_bytes
        if isinstance(self.place, int):
            return event.in_frame(event.stack_pointer + self.place + self.offset_bytes, size)
        if self.place in VECTOR_ARGUMENTS:
            whole = event.vectors[VECTOR_ARGUMENTS.index(self.place)]
        else:
            whole = _general(event, self.place).to_bytes(8, "little")
        return whole[self.offset_bytes : self.offset_bytes + size]


def _general(event: CallEvent, name: str) -> int:
    return event.rax if name == "rax" else event.arguments[GENERAL_ARGUMENTS.index(name)]


class Arguments:
    """What calls pass by all that is known of the callees."""

    def __init__(self, callees: Callees, uses: ArgumentUse) -> None:
        self.callees = callees
        self._uses = uses
        self._fixed: dict[int, tuple[Argument, ...]] = {}

    def of(self, event: CallEvent, constants: Constants) -> tuple[Argument, ...]:
        """All that the call of `event` may pass, in the order of the parameters."""
        if event.target in self._fixed:
            return self._fixed[event.target]
        name = self.callees.names.get(event.target, "")
        prototype = prototype_of(name, self.callees.prototypes)
        is_open = prototype is not None and prototype.variadic and not prototype.parameters  # `int f();` says nothing
        known = passing(prototype) if prototype is not None and not is_open else None
        if prototype is not None and known is not None and prototype.variadic:
            return tuple(_variadic(event, name, prototype, known, constants))
        found = tuple(_by_use(self._uses.of(event.target)) if known is None else _named(known))
        self._fixed[event.target] = found
        return found

    def is_variadic(self, target: int) -> bool:
        """Whether al says in how many vector registers arguments are passed at most."""
        prototype = prototype_of(self.callees.names.get(target, ""), self.callees.prototypes)
        return prototype is not None and prototype.variadic and bool(prototype.parameters)


def _named(known: Passing) -> Iterator[Argument]:
    if known.result_in_memory:
        yield Argument(GENERAL_ARGUMENTS[0], 0, _RESULT)
    for parameter in known.parameters:
        for part in parameter.parts:
            for member in part.members:
                kind, is_certain = member.type, not _may_be_garbage(member, part.members)
                if parameter.type is kind and kind.kind == "integer" and kind.size_bytes < _EXTENDED_BYTES:
                    kind = Type("integer", _EXTENDED_BYTES)
                yield Argument(part.place, member.offset_bytes, kind, is_certain)


def _may_be_garbage(member: Member, members: Sequence[Member]) -> bool:
    """Bits beside a bit-field, and what another alternative of a union has."""
    start, end = member.offset_bytes, member.offset_bytes + member.type.size_bytes
    return member.type.alignment_bytes == 1 or any(
        other is not member and other.offset_bytes < end and start < other.offset_bytes + other.type.size_bytes
        for other in members
    )


def _variadic(
    event: CallEvent, name: str, prototype: Prototype, named: Passing, constants: Constants
) -> Iterator[Argument]:
    kinds, is_whole = _by_format(event, name, prototype, named, constants)
    more = passing(replace(prototype, parameters=(*prototype.parameters, *(("", kind) for kind in kinds))))
    known = more or named
    yield from _named(known)
    taken: set[Place] = {part.place for part in known.parts}
    if known.result_in_memory:
        taken.add(GENERAL_ARGUMENTS[0])
    most = most_arguments(name)
    if most is not None:
        yield from _registers(GENERAL_ARGUMENTS[:most], taken)
    elif not is_whole:
        vectors = min(event.rax & 0xFF, len(VECTOR_ARGUMENTS))  # at most so many (3.5.7)
        yield from _registers((*GENERAL_ARGUMENTS, *VECTOR_ARGUMENTS[:vectors]), taken)
        yield from _stacked(known.stack_bytes, taken)


def _by_format(
    event: CallEvent, name: str, prototype: Prototype, named: Passing, constants: Constants
) -> tuple[list[Type], bool]:
    """The types of what follows the named arguments by the format, and whether nothing else does."""
    at = format_of(name, prototype)
    if at is None or at >= len(named.parameters):
        return [], False
    (part,) = named.parameters[at].parts
    pointer = Argument(part.place, 0, part.members[0].type).value(event)
    text, end, _ = constants(int.from_bytes(pointer or b"", "little"), TEXT_BYTES).partition(b"\0")
    return conversions(name, text) if end else ([], False)


def format_of(name: str, prototype: Prototype) -> int | None:
    """Which argument is a format: of a program's own variadic function, its last named one when that is a text."""
    known = format_position(name)
    if known is not None or not prototype.parameters:
        return known
    last = prototype.parameters[-1][1]
    is_text = last.kind == "pointer" and last.target_kind == "integer" and last.target_bytes == 1
    return len(prototype.parameters) - 1 if is_text else None


def _by_use(used: Used) -> Iterator[Argument]:
    for place, size_bytes in used.places.items():
        kind = "integer" if place not in VECTOR_ARGUMENTS else "float" if size_bytes < 16 else "vector"
        yield Argument(place, 0, Type(kind, size_bytes), place not in used.unsure)
    if not used.knows_registers:
        yield from _registers((*GENERAL_ARGUMENTS, *VECTOR_ARGUMENTS), set(used.places))
    if not used.knows_stack:
        yield from _stacked(0, set(used.places))


def _registers(names: Sequence[str], taken: set[Place]) -> Iterator[Argument]:
    """Those that may hold arguments besides those that are `taken`."""
    for name in names:
        if name not in taken:
            yield Argument(name, 0, _WORD if name in GENERAL_ARGUMENTS else _VECTOR, False)


def _stacked(from_bytes: int, taken: set[Place]) -> Iterator[Argument]:
    """The words of the stack that may hold arguments."""
    for place in range(_FIRST_ON_STACK_BYTES + from_bytes, _FIRST_ON_STACK_BYTES + _STACKED_BYTES, 8):
        if place not in taken:
            yield Argument(place, 0, _WORD, False)
