"""The C type of a function, from DWARF: what its return registers are and what kinds of arguments inputs are made for.

Source: DWARF 5, sections 3.3 (subroutines) and 5 (types); System V ABI AMD64, 3.2.3 (parameter passing).
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from elftools.common.exceptions import DWARFError, ELFError
from elftools.elf.elffile import ELFFile

_ENCODING_FLOAT, _ENCODING_BOOL, _ENCODING_COMPLEX = 4, 2, 3
_SIGNED = frozenset({5, 6})
_INTEGERS = frozenset({2, 5, 6, 7, 8, 16})  # boolean, signed and unsigned, characters, UTF
_PEELED = frozenset(
    {"DW_TAG_typedef", "DW_TAG_const_type", "DW_TAG_volatile_type", "DW_TAG_restrict_type", "DW_TAG_atomic_type"}
)


@dataclass(frozen=True)
class Type:
    """A C type as far as registers and test inputs go.

    `kind`: "void", "integer", "float", "complex", "pointer", "aggregate" or "unknown"; `size_bytes` its size; for a pointer
    `target_bytes` the size of what it points to (1 for void, an element's for an array), `target_kind` its kind, `target_const` its constness and
    `target_signed` its signedness. A `boolean` is 0 or 1. `largest` is an enumeration's largest value.
    """

    kind: str
    size_bytes: int = 0
    signed: bool = False
    target_bytes: int = 0
    target_kind: str = ""
    target_const: bool = False
    boolean: bool = False
    target_signed: bool = False
    largest: int = 0

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

    `callees` are the prototypes that the unit declares or defines, by name, for judging calls.
    """

    returns: Type
    parameters: tuple[tuple[str, Type], ...]
    variadic: bool = False
    never_returns: bool = False
    callees: Mapping[str, Prototype] = field(default_factory=dict, compare=False, repr=False)


def from_object(object_bytes: bytes, function: str) -> Prototype | None:
    """The prototype of the function whose assembled name is `function` (a clone's name stands for its source function's
    return type only: its parameters are unknown). None when the object has no such debug information."""
    plain = function.partition(".")[0]
    try:
        elf = ELFFile(io.BytesIO(object_bytes))
        if not elf.has_dwarf_info():
            return None
        known: dict[str, Prototype] = {}
        found: Prototype | None = None
        for unit in elf.get_dwarf_info().iter_CUs():
            for entry in unit.get_top_DIE().iter_children():
                if entry.tag == "DW_TAG_subprogram" and _name(entry):
                    described = _prototype(entry)
                    known[_name(entry)] = described
                    if found is None and _name(entry) == plain:
                        found = described if plain == function else Prototype(described.returns, (), True)
        return replace(found, callees=known) if found is not None else None
    except (ELFError, DWARFError, KeyError, ValueError, AttributeError, TypeError):
        return None


def _prototype(entry: Any) -> Prototype:
    parameters, variadic = [], False
    for child in entry.iter_children():
        if child.tag == "DW_TAG_formal_parameter":
            parameters.append((_name(child), _type(child)))
        elif child.tag == "DW_TAG_unspecified_parameters":
            variadic = True
    return Prototype(_type(entry), tuple(parameters), variadic, "DW_AT_noreturn" in entry.attributes)


def _type(entry: Any) -> Type:
    if "DW_AT_type" not in entry.attributes:
        return Type("void")
    return _described(entry.get_DIE_from_attribute("DW_AT_type"))[0]


def _described(entry: Any) -> tuple[Type, bool]:
    """The type behind typedefs and qualifiers, and whether it is const."""
    const = False
    while entry.tag in _PEELED:
        const = const or entry.tag == "DW_TAG_const_type"
        if "DW_AT_type" not in entry.attributes:
            return Type("void"), const
        entry = entry.get_DIE_from_attribute("DW_AT_type")
    size = entry.attributes["DW_AT_byte_size"].value if "DW_AT_byte_size" in entry.attributes else 0
    if entry.tag == "DW_TAG_base_type":
        encoding = entry.attributes["DW_AT_encoding"].value
        if encoding == _ENCODING_FLOAT:
            return Type("float", size), const
        if encoding == _ENCODING_COMPLEX:
            return Type("complex", size), const
        if encoding not in _INTEGERS:
            return Type("unknown", size), const  # decimal and fixed-point types
        return Type("integer", size, encoding in _SIGNED, boolean=encoding == _ENCODING_BOOL), const
    if entry.tag == "DW_TAG_enumeration_type":
        return Type("integer", size or 4, largest=_largest(entry)), const
    if entry.tag == "DW_TAG_pointer_type":
        if "DW_AT_type" not in entry.attributes:
            return Type("pointer", 8, target_bytes=1, target_kind="void"), const
        target, target_const = _described(_element(entry.get_DIE_from_attribute("DW_AT_type")))
        return (
            Type(
                "pointer", 8, False, max(1, target.size_bytes), target.kind, target_const, target_signed=target.signed
            ),
            const,
        )
    if entry.tag == "DW_TAG_array_type":
        return Type("unknown", size or _array_bytes(entry)), const  # as a parameter or result only a vector type is one
    if entry.tag in ("DW_TAG_structure_type", "DW_TAG_union_type"):
        return Type("aggregate", size), const
    if entry.tag == "DW_TAG_subroutine_type":
        return Type("function", 1), const
    return Type("unknown", size), const


def _largest(entry: Any) -> int:
    return max((int(one.attributes["DW_AT_const_value"].value) for one in entry.iter_children()), default=0)


def _array_bytes(entry: Any) -> int:
    """The size of an array whose bounds are constants, else 0."""
    size = _described(entry.get_DIE_from_attribute("DW_AT_type"))[0].size_bytes
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
    inner = entry
    while inner.tag in _PEELED and "DW_AT_type" in inner.attributes:
        inner = inner.get_DIE_from_attribute("DW_AT_type")
    if inner.tag == "DW_TAG_array_type" and "DW_AT_GNU_vector" not in inner.attributes:
        return _element(inner.get_DIE_from_attribute("DW_AT_type"))
    return entry


def _name(entry: Any) -> str:
    if "DW_AT_name" not in entry.attributes:
        if "DW_AT_abstract_origin" in entry.attributes:
            return _name(entry.get_DIE_from_attribute("DW_AT_abstract_origin"))
        return ""
    return str(entry.attributes["DW_AT_name"].value.decode(errors="replace"))
