"""What one call passes: every scalar of every argument, wherever it lies, as far as its type, its format or its callee's code says.

Where that is uncertain (variadic arguments without a format, callees whose code cannot be followed), whatever may be an argument is
given as such: what differs there decides nothing.
Source: System V ABI AMD64, 3.2.3 (parameter passing), 3.5.7 (variable arguments).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass, replace

from compiler_ai.sandbox.events import CallEvent
from compiler_ai.verify.answering import prototype_of
from compiler_ai.verify.argumentuse import ArgumentUse, Place
from compiler_ai.verify.calls import Callees
from compiler_ai.verify.callsites import CallSites
from compiler_ai.verify.formats import conversions, format_position, most_arguments
from compiler_ai.verify.passing import GENERAL_ARGUMENTS, VECTOR_ARGUMENTS, Passing, passing
from compiler_ai.verify.prototype import Member, Prototype, Type

TEXT_BYTES = 4096
_FIRST_ON_STACK_BYTES = 8
_STACKED_BYTES = 512
_X87_BYTES = 10  # of the 16 that a long double takes
_EXTENDED_BYTES = 4  # what GCC and Clang extend narrow integers to, and Clang's callees rely on
_WORD = Type("integer", 8)
_RESULT = Type("pointer", 8, target_bytes=1, target_kind="void")

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

    def __init__(self, callees: Callees, uses: ArgumentUse, sites: CallSites | None = None) -> None:
        self.callees = callees
        self.sites = sites
        self._uses = uses
        self._fixed: dict[tuple[int, int | None], tuple[Argument, ...]] = {}

    def of(self, event: CallEvent, constants: Constants) -> tuple[Argument, ...]:
        """All that the baseline's call of `event` may pass, in the order of the parameters."""
        target, member = event.target, None
        if self.sites is not None:
            target, member = self.sites.stands_for(event), self.sites.members.get(event.return_to)
        key = target, member
        if key in self._fixed:
            return self._fixed[key]
        name, prototype = self.callees.names.get(target, ""), self._prototype(target, member)
        known = _known(prototype) if prototype is not None else None
        if prototype is not None and known is not None and prototype.variadic:
            return tuple(_variadic(event, name, prototype, known, constants))
        found = tuple(_named(known) if known is not None else self._by_use(target))
        taken = {one.place for one in found}
        if known is not None and not name:  # it may have been called as something else
            read = self._uses.of(target).places
            found += tuple(Argument(place, 0, _word(place, read[place]), False) for place in read if place not in taken)
        elif not name:  # what it does not read, a callee of the same kind may
            found += tuple(one for one in self._of_any_kind(taken) if one.place not in taken)
        self._fixed[key] = found
        return found

    def _of_any_kind(self, used: Set[Place]) -> Iterator[Argument]:
        """The arguments of all kinds of functions that pointers lead to and that have arguments in all places that are used."""
        for prototype in self.callees.pointed:
            known = _known(prototype)
            arguments = tuple(_named(known)) if known is not None and not prototype.variadic else ()
            if used <= {one.place for one in arguments}:
                yield from (replace(one, is_certain=False) for one in arguments)

    def _prototype(self, target: int, member: int | None = None) -> Prototype | None:
        """What has no name is called through a pointer, which tells its kind where it is the only member at its offset."""
        name = self.callees.names.get(target, "")
        kinds = self.callees.methods.get(member, ()) if member is not None and not name else ()
        if len(kinds) == 1:
            return kinds[0]
        if not name and len(self.callees.pointed) == 1:
            return self.callees.pointed[0]
        return prototype_of(name, self.callees.prototypes)

    def _by_use(self, target: int) -> Iterator[Argument]:
        used = self._uses.of(target)
        for place, size_bytes in used.places.items():
            yield Argument(place, 0, _word(place, size_bytes), place not in used.unsure)
        possible = None if target in self.callees.names else self._pointed()
        names = (*GENERAL_ARGUMENTS, *VECTOR_ARGUMENTS)
        if not used.knows_registers:
            yield from _registers([name for name in names if possible is None or name in possible], set(used.places))
        if not used.knows_stack and possible is None:
            yield from _stacked(0, set(used.places))
        elif not used.knows_stack:
            stacked = [place for place in possible or () if isinstance(place, int) and place not in used.places]
            yield from (Argument(place, 0, _WORD, False) for place in sorted(stacked))

    def _pointed(self) -> set[Place] | None:
        """Where arguments of what the unit's pointers to functions lead to may lie; None when that is not known."""
        found: set[Place] = set()
        for prototype in self.callees.pointed:
            known = _known(prototype)
            if known is None or prototype.variadic:
                return None
            for part in known.parts:
                words = range(0, part.size_bytes, 8)
                found |= {part.place} if isinstance(part.place, str) else {part.place + at for at in words}
            found |= {GENERAL_ARGUMENTS[0]} if known.result_in_memory else set()
        return found if self.callees.pointed else None

    def is_variadic(self, target: int) -> bool:
        """Whether al says in how many vector registers arguments are passed at most."""
        prototype = self._prototype(target)
        return prototype is not None and prototype.variadic and bool(prototype.parameters)


def _word(place: Place, size_bytes: int) -> Type:
    """What a callee reads so much of."""
    kind = "integer" if place not in VECTOR_ARGUMENTS else "float" if size_bytes < 16 else "vector"
    return Type(kind, size_bytes)


def _known(prototype: Prototype) -> Passing | None:
    """Where its parameters lie; None when that is not known: `int f();` says nothing of them."""
    return None if prototype.variadic and not prototype.parameters else passing(prototype)


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
        yield from _registers((*GENERAL_ARGUMENTS, *VECTOR_ARGUMENTS[:vectors]), taken, vector_bytes=8)  # doubles
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


def _registers(names: Sequence[str], taken: set[Place], vector_bytes: int = 16) -> Iterator[Argument]:
    """Those that may hold arguments besides those that are `taken`, vectors so large ones."""
    for name in names:
        if name not in taken:
            yield Argument(name, 0, _word(name, 8 if name in GENERAL_ARGUMENTS else vector_bytes), False)


def _stacked(from_bytes: int, taken: set[Place]) -> Iterator[Argument]:
    """The words of the stack that may hold arguments."""
    for place in range(_FIRST_ON_STACK_BYTES + from_bytes, _FIRST_ON_STACK_BYTES + _STACKED_BYTES, 8):
        if place not in taken:
            yield Argument(place, 0, _WORD, False)
