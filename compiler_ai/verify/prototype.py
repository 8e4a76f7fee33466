"""The C type of a function, from DWARF: what its return registers are and what kinds of arguments inputs are made for.

Source: DWARF 5, sections 3.3 (subroutines) and 5 (types); where arguments lie is `passing`'s.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import islice
from typing import Any, NamedTuple

from elftools.common.exceptions import DWARFError, ELFError
from elftools.elf.elffile import ELFFile

from compiler_ai.debug_information import with_known_relocations

_ENCODING_FLOAT, _ENCODING_BOOL, _ENCODING_COMPLEX = 4, 2, 3
_SIGNED = frozenset({5, 6})
_INTEGERS = frozenset({2, 5, 6, 7, 8, 16})  # boolean, signed and unsigned, characters, UTF
_X87, _X87_COMPLEX = frozenset({"long double", "_Float64x"}), frozenset({"complex long double", "complex _Float64x"})
_MOST_BYTES_TO_CLASSIFY = 64  # larger ones are in memory, whatever is in them
MOST_MEMBERS = 256  # of an aggregate that are told, nested ones and elements of arrays counted
_PEELED = frozenset(
    {"DW_TAG_typedef", "DW_TAG_const_type", "DW_TAG_volatile_type", "DW_TAG_restrict_type", "DW_TAG_atomic_type"}
)


class Member(NamedTuple):
    """A scalar in something larger, or whole."""

    offset_bytes: int
    type: Type


@dataclass(frozen=True)
class Type:
    """A C type as far as registers and test inputs go.

    `kind`: "void", "integer", "float", "complex", "vector", "pointer", "aggregate" or "unknown"; `size_bytes` its size; for a pointer
    `target_bytes` the size of what it points to (1 for void, an element's for an array), `target_kind` its kind, `target_const` its constness,
    `target_signed` its signedness, and it may be `restricted`. A `boolean` is 0 or 1. `largest` is an enumeration's largest value. A "float" of 16 bytes is x87's; one of IEEE's 128 bits is a "vector" without members.

    `members`: of an aggregate, a vector or a complex number all scalars in it, by offset, of unions every alternative's; what one points to
    has none, but `target_members` if the pointer is no member itself, and `target_parts`: the offsets of the structures and unions in it, and
    which ones these are. `target_structure`: which one a pointer leads to. `alignment_bytes`: of an aggregate; of a bit-field, of which no alignment is asked, 1; else 0 for its natural one.
    """

    kind: str
    size_bytes: int = 0
    signed: bool = False
    target_bytes: int = 0
    target_kind: str = ""
    target_const: bool = False
    boolean: bool = False
    target_signed: bool = False
    restricted: bool = False
    largest: int = 0
    alignment_bytes: int = 0
    members: tuple[Member, ...] = field(default=(), hash=False)  # there may be many
    target_members: tuple[Member, ...] = field(default=(), hash=False)
    target_structure: str = field(default="", compare=False)
    target_parts: tuple[tuple[int, str], ...] = field(default=(), compare=False)

    @property
    def leads_to_code(self) -> bool:
        """A pointer to a function, or to an aggregate that holds one."""
        return self.target_kind == "function" or any(
            member.type.target_kind == "function" for member in self.target_members
        )

    @property
    def own_alignment_bytes(self) -> int:
        """How it is aligned itself (System V ABI AMD64, 3.1.2)."""
        natural = self.size_bytes // 2 if self.kind == "complex" else self.size_bytes
        return self.alignment_bytes or natural or 1

    @property
    def target_alignment_bytes(self) -> int:
        """How what a pointer points to is aligned (System V ABI AMD64, 3.1.2); of aggregates, as if they held pointers."""
        size = self.target_bytes
        if self.target_kind in ("integer", "float") or (self.target_kind == "unknown" and size > 1):
            return size & -size or 1
        return {"void": 1, "function": 1, "complex": max(1, size // 2)}.get(self.target_kind, 8)


@dataclass(frozen=True)
class Prototype:
    """A function's return type and parameters, in order; `variadic` when it ends in `...`, `never_returns` when it is declared so.
    Of a clone (of a function that is not variadic) only the return type is known: it `is_clone`, and counts as variadic. `is_assumed`: parameters
    are what the body reads.

    `callees` are the prototypes that the unit declares or defines, by name, for judging calls, `pointed` those that its pointers to functions
    have, `methods` those of pointers that are members of structures, by offset.
    """

    returns: Type
    parameters: tuple[tuple[str, Type], ...]
    variadic: bool = False
    never_returns: bool = False
    is_clone: bool = False
    is_assumed: bool = False
    callees: Mapping[str, Prototype] = field(default_factory=dict, compare=False, repr=False)
    pointed: tuple[Prototype, ...] = field(default=(), compare=False, repr=False)
    methods: Mapping[int, tuple[Prototype, ...]] = field(default_factory=dict, compare=False, repr=False)


def from_object(object_bytes: bytes, function: str) -> Prototype | None:
    """The prototype of the function whose assembled name is `function` (a clone's name stands for its source function's
    return type only: its parameters are unknown). None when the object has no such debug information."""
    plain = function.partition(".")[0]
    try:
        elf = ELFFile(io.BytesIO(with_known_relocations(object_bytes)))
        if not elf.has_dwarf_info():
            return None
        known: dict[str, Prototype] = {}
        pointed: dict[Prototype, None] = {}
        methods: dict[int, dict[Prototype, None]] = {}
        found: Prototype | None = None
        for unit in elf.get_dwarf_info().iter_CUs():
            for entry in unit.get_top_DIE().iter_children():
                if entry.tag == "DW_TAG_subroutine_type":
                    pointed[_prototype(entry, with_names=False)] = None
                if entry.tag == "DW_TAG_structure_type":
                    for offset, method in _methods(entry, 0):
                        methods.setdefault(offset, {})[method] = None
                if entry.tag == "DW_TAG_subprogram" and _name(entry):
                    described = _prototype(entry)
                    known[_name(entry)] = described
                    if found is None and _name(entry) == plain:
                        found = described if plain == function else _of_clone(described)
        by_offset = {offset: tuple(kinds) for offset, kinds in methods.items()}
        return replace(found, callees=known, pointed=tuple(pointed), methods=by_offset) if found is not None else None
    except (ELFError, DWARFError, KeyError, ValueError, AttributeError, TypeError):
        return None


def _of_clone(described: Prototype) -> Prototype:
    return Prototype(described.returns, (), True, described.never_returns, is_clone=not described.variadic)


def _prototype(entry: Any, with_names: bool = True) -> Prototype:
    parameters, variadic = [], False
    is_prototyped = "DW_AT_prototyped" in entry.attributes
    for child in entry.iter_children():
        if child.tag == "DW_TAG_formal_parameter":
            kind = _type(child)
            if not is_prototyped and kind == Type("float", 4):
                kind = Type("float", 8)  # what a definition in the old style gets is promoted
            parameters.append((_name(child) if with_names else "", kind))
        elif child.tag == "DW_TAG_unspecified_parameters":
            variadic = True
    return Prototype(_type(entry), tuple(parameters), variadic, "DW_AT_noreturn" in entry.attributes)


def _type(entry: Any) -> Type:
    if "DW_AT_type" not in entry.attributes:
        return Type("void")
    return _described(entry.get_DIE_from_attribute("DW_AT_type"), with_target=True)[0]


def _described(entry: Any, with_members: bool = True, with_target: bool = False) -> tuple[Type, bool]:
    """The type behind typedefs and qualifiers, and whether it is const; of a pointer, `with_target` the members of what it points to."""
    const = restricted = False
    while entry.tag in _PEELED:
        const = const or entry.tag == "DW_TAG_const_type"
        restricted = restricted or entry.tag == "DW_TAG_restrict_type"
        if "DW_AT_type" not in entry.attributes:
            return Type("void"), const
        entry = entry.get_DIE_from_attribute("DW_AT_type")
    size = _value(entry, "DW_AT_byte_size")
    if entry.tag == "DW_TAG_base_type":
        return _base(entry, size), const
    if entry.tag == "DW_TAG_enumeration_type":
        return Type("integer", size or 4, largest=_largest(entry)), const
    if entry.tag == "DW_TAG_pointer_type":
        if "DW_AT_type" not in entry.attributes:
            return Type("pointer", 8, target_bytes=1, target_kind="void", restricted=restricted), const
        # Without its members: a structure may lead to itself.
        element = _element(entry.get_DIE_from_attribute("DW_AT_type"))
        target, target_const = _described(element, False)
        pointer = Type(
            "pointer", 8, False, max(1, target.size_bytes), target.kind, target_const, target_signed=target.signed,
            restricted=restricted,
        )  # fmt: skip
        if target.kind == "aggregate":
            structure = _peeled(element)
            pointer = replace(pointer, target_structure=_which(structure))
            if with_target:
                members, parts = _target_members(structure), tuple(islice(_parts(structure, 0), MOST_MEMBERS))
                pointer = replace(pointer, target_members=members, target_parts=parts)
        return pointer, const
    if entry.tag == "DW_TAG_array_type":
        is_vector = "DW_AT_GNU_vector" in entry.attributes
        size = size or _array_bytes(entry)
        if not is_vector or not with_members:
            return Type("unknown", size), const
        element = _described(entry.get_DIE_from_attribute("DW_AT_type"))[0]
        count = size // max(1, element.size_bytes)
        return Type("vector", size, members=tuple(Member(n * element.size_bytes, element) for n in range(count))), const
    if entry.tag in ("DW_TAG_structure_type", "DW_TAG_union_type") and "DW_AT_declaration" not in entry.attributes:
        return _aggregate(entry, size) if with_members else Type("aggregate", size), const
    if entry.tag == "DW_TAG_subroutine_type":
        return Type("function", 1), const
    return Type("unknown", size), const


def _largest(entry: Any) -> int:
    return max((int(one.attributes["DW_AT_const_value"].value) for one in entry.iter_children()), default=0)


def _base(entry: Any, size: int) -> Type:
    encoding = entry.attributes["DW_AT_encoding"].value
    if encoding == _ENCODING_FLOAT:
        is_quad = size == 16 and _name(entry) not in _X87
        return Type("vector" if is_quad else "float", size)
    if encoding == _ENCODING_COMPLEX:
        if size == 32 and _name(entry) not in _X87_COMPLEX:
            return Type("unknown", size)
        return Type("complex", size, members=tuple(Member(at, Type("float", size // 2)) for at in (0, size // 2)))
    if encoding not in _INTEGERS:
        return Type("unknown", size)  # decimal and fixed-point types
    return Type("integer", size, encoding in _SIGNED, boolean=encoding == _ENCODING_BOOL)


def _aggregate(entry: Any, size: int) -> Type:
    found = tuple(islice(_flattened(entry, 0), MOST_MEMBERS + 1))
    if len(found) > MOST_MEMBERS:
        few = () if size > _MOST_BYTES_TO_CLASSIFY else (Member(0, Type("unknown")),)
        found = (*found[:MOST_MEMBERS], *few)
    given = max((_value(each, "DW_AT_alignment") for each in (entry, *entry.iter_children())), default=0)
    natural = max((member.type.own_alignment_bytes for member in found), default=1)
    if not given and size % natural:
        natural = 1  # it is packed
    return Type("aggregate", size, alignment_bytes=max(given, natural), members=found)


@lru_cache(maxsize=1024)  # many functions take pointers to the same
def _target_members(entry: Any) -> tuple[Member, ...]:
    return _aggregate(entry, _value(entry, "DW_AT_byte_size")).members


def _peeled(entry: Any) -> Any:
    while entry.tag in _PEELED and "DW_AT_type" in entry.attributes:
        entry = entry.get_DIE_from_attribute("DW_AT_type")
    return entry


def _flattened(entry: Any, base: int) -> Iterator[Member]:
    """The scalars in a structure or union that begins at offset `base`."""
    for child in entry.iter_children():
        if child.tag != "DW_TAG_member":
            continue
        if "DW_AT_bit_size" in child.attributes:
            yield from _bit_field(child, base)
            continue
        yield from _scalars(
            child.get_DIE_from_attribute("DW_AT_type"), base + _value(child, "DW_AT_data_member_location")
        )


def _parts(entry: Any, base: int) -> Iterator[tuple[int, str]]:
    """The structures and unions that are members, and members of those, of one at offset `base`."""
    for child in entry.iter_children():
        if child.tag == "DW_TAG_member" and "DW_AT_type" in child.attributes:
            kind = _peeled(child.get_DIE_from_attribute("DW_AT_type"))
            if kind.tag in ("DW_TAG_structure_type", "DW_TAG_union_type"):
                offset = base + _value(child, "DW_AT_data_member_location")
                yield offset, _which(kind)
                yield from _parts(kind, offset)


def _which(entry: Any) -> str:
    """What tells a structure or union from the unit's others."""
    return _name(entry) or f"at {entry.offset:#x}"


def _methods(entry: Any, base: int) -> Iterator[tuple[int, Prototype]]:
    """The offsets of the pointers to functions in a structure or union that begins at offset `base`, and of what kind these are."""
    for child in entry.iter_children():
        if child.tag != "DW_TAG_member" or "DW_AT_type" not in child.attributes or "DW_AT_bit_size" in child.attributes:
            continue
        kind = _peeled(child.get_DIE_from_attribute("DW_AT_type"))
        offset = base + _value(child, "DW_AT_data_member_location")
        if kind.tag in ("DW_TAG_structure_type", "DW_TAG_union_type"):
            yield from _methods(kind, offset)
        elif kind.tag == "DW_TAG_pointer_type" and "DW_AT_type" in kind.attributes:
            target = _peeled(kind.get_DIE_from_attribute("DW_AT_type"))
            if target.tag == "DW_TAG_subroutine_type":
                yield offset, _prototype(target, with_names=False)


def _scalars(entry: Any, base: int) -> Iterator[Member]:
    entry = _peeled(entry)
    if entry.tag in ("DW_TAG_structure_type", "DW_TAG_union_type"):
        yield from _flattened(entry, base)
    elif entry.tag == "DW_TAG_array_type" and "DW_AT_GNU_vector" not in entry.attributes:
        inner = _element(entry)
        size = _described(inner, False)[0].size_bytes
        total = _array_bytes(entry)
        if not size or not total:
            yield Member(base, Type("unknown"))  # it has no fixed size
            return
        for at in range(base, base + total, size):
            yield from _scalars(inner, at)
    else:
        kind = _described(entry)[0]
        halves = kind.members if kind.kind == "complex" else (Member(0, kind),)
        yield from (Member(base + at, scalar) for at, scalar in halves)


def _bit_field(entry: Any, base: int) -> Iterator[Member]:
    """The bytes that it has a part in, those of two eightbytes apart."""
    if "DW_AT_bit_offset" in entry.attributes:
        yield Member(base, Type("unknown"))  # DWARF 3 counts from the other end
        return
    first = 8 * base + _value(entry, "DW_AT_data_bit_offset")
    last = first + _value(entry, "DW_AT_bit_size") - 1
    for start in range(first // 64 * 8, last // 8 + 1, 8):
        low, high = max(first // 8, start), min(last // 8 + 1, start + 8)
        yield Member(low, Type("integer", high - low, alignment_bytes=1))


def _value(entry: Any, name: str) -> int:
    """An attribute that is a constant; 0 when it is not there."""
    return int(entry.attributes[name].value) if name in entry.attributes else 0


def _array_bytes(entry: Any) -> int:
    """The size of an array whose bounds are constants, else 0."""
    size = _described(entry.get_DIE_from_attribute("DW_AT_type"), False)[0].size_bytes
    for child in entry.iter_children():
        if child.tag == "DW_TAG_subrange_type":
            if "DW_AT_count" in child.attributes:
                size *= child.attributes["DW_AT_count"].value
            elif "DW_AT_upper_bound" in child.attributes:
                size *= child.attributes["DW_AT_upper_bound"].value + 1
            else:
                return 0
    return int(size)


def _element(entry: Any) -> Any:
    """What the elements of an array, of whatever dimension, are; any other type itself."""
    inner = _peeled(entry)
    if inner.tag == "DW_TAG_array_type" and "DW_AT_GNU_vector" not in inner.attributes:
        return _element(inner.get_DIE_from_attribute("DW_AT_type"))
    return entry


def _name(entry: Any) -> str:
    if "DW_AT_name" not in entry.attributes:
        if "DW_AT_abstract_origin" in entry.attributes:
            return _name(entry.get_DIE_from_attribute("DW_AT_abstract_origin"))
        return ""
    return str(entry.attributes["DW_AT_name"].value.decode(errors="replace"))
