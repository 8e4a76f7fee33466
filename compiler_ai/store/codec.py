"""Dataclasses to JSON values and back, strictly: every field is written, and what is read must have exactly the fields.
A field whose metadata says that it was added is left out while it has its default, and need not be there.

Covers what `artifacts` is made of: str, int, float, bool, None, enums (by name), optional values, tuples, lists,
dictionaries with string keys, and dataclasses of these.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import math
import types
import typing
from collections.abc import Hashable
from typing import Any, TypeVar

from compiler_ai.errors import AiccError

Json = None | bool | int | float | str | list[Any] | dict[str, Any]
T = TypeVar("T")

_NOT_IN_JSON = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}  # RFC 8259 section 6 has no such numbers


class CodecError(AiccError):
    """A value does not fit its type; the message starts with the path of the offending field."""


def to_json(value: object) -> Json:
    """Return what `json.dumps` takes. Raises CodecError for a value of a kind that this module does not cover."""
    if isinstance(value, enum.Enum):
        return value.name
    if isinstance(value, float):
        return value if math.isfinite(value) else repr(value)
    if value is None or isinstance(value, bool | int | str):
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: to_json(getattr(value, field.name))
            for field in dataclasses.fields(value)
            if not (_is_added(field) and getattr(value, field.name) == field.default)
        }
    if isinstance(value, list | tuple):
        return [to_json(item) for item in value]
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {key: to_json(item) for key, item in value.items()}
    raise CodecError(f"{type(value).__name__}: not a kind of value that is stored")


def from_json(kind: type[T], value: Json) -> T:
    """Return `value` as an instance of `kind`. Raises CodecError on any difference in fields or types."""
    return typing.cast(T, _decode(kind, value, kind.__name__))


def _decode(kind: Any, value: Any, path: str) -> Any:
    origin = typing.get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        return _decode_optional(kind, value, path)
    if origin is tuple:
        return _decode_tuple(typing.get_args(kind), _expect(list, value, path), path)
    if origin is list:
        (item_kind,) = typing.get_args(kind)
        return [_decode(item_kind, item, f"{path}[{i}]") for i, item in enumerate(_expect(list, value, path))]
    if origin is dict:
        _, item_kind = typing.get_args(kind)
        return {key: _decode(item_kind, item, f"{path}.{key}") for key, item in _expect(dict, value, path).items()}
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        return _decode_dataclass(kind, _expect(dict, value, path), path)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        name = _expect(str, value, path)
        if name not in kind.__members__:
            raise CodecError(f"{path}: {name!r} is no {kind.__name__}")
        return kind[name]
    if kind is float:
        return _decode_float(value, path)
    if kind in (str, int, bool):
        return _expect(kind, value, path)
    raise CodecError(f"{path}: {kind!r} is not a kind of value that is stored")


def _expect(kind: type[Any], value: Any, path: str) -> Any:
    if type(value) is not kind:
        raise CodecError(f"{path}: expected {kind.__name__}, found {type(value).__name__}")
    return value


def _decode_float(value: Any, path: str) -> float:
    if type(value) in (int, float):
        return float(value)
    if type(value) is str and value in _NOT_IN_JSON:
        return _NOT_IN_JSON[value]
    raise CodecError(f"{path}: expected float, found {type(value).__name__}")


def _decode_optional(kind: Any, value: Any, path: str) -> Any:
    present = [option for option in typing.get_args(kind) if option is not type(None)]
    if len(present) != 1:
        raise CodecError(f"{path}: {kind!r} is not a kind of value that is stored")
    return None if value is None else _decode(present[0], value, path)


def _decode_tuple(kinds: tuple[Any, ...], items: list[Any], path: str) -> tuple[Any, ...]:
    if len(kinds) == 2 and kinds[1] is Ellipsis:
        kinds = (kinds[0],) * len(items)
    if len(kinds) != len(items):
        raise CodecError(f"{path}: expected {len(kinds)} items, found {len(items)}")
    return tuple(_decode(kind, item, f"{path}[{i}]") for i, (kind, item) in enumerate(zip(kinds, items, strict=True)))


@functools.cache
def _field_kinds(kind: Hashable) -> dict[str, Any]:
    cls = typing.cast(type[Any], kind)
    hints = typing.get_type_hints(cls)
    return {field.name: hints[field.name] for field in dataclasses.fields(cls)}


def _decode_dataclass(kind: type[Any], value: dict[str, Any], path: str) -> Any:
    kinds: dict[str, Any] = _field_kinds(kind)  # type: ignore[arg-type]  # mypy takes no class for hashable
    unknown, missing = sorted(value.keys() - kinds.keys()), sorted(_needed(kind) - value.keys())
    if unknown or missing:
        wrong = [f"unknown field {name!r}" for name in unknown] + [f"missing field {name!r}" for name in missing]
        raise CodecError(f"{path}: {', '.join(wrong)}")
    return kind(**{name: _decode(kinds[name], value[name], f"{path}.{name}") for name in kinds if name in value})


def _is_added(field: dataclasses.Field[Any]) -> bool:
    return bool(field.metadata.get("added"))


def _needed(kind: type[Any]) -> set[str]:
    return {field.name for field in dataclasses.fields(kind) if not _is_added(field)}
