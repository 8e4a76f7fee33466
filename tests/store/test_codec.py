"""Every data class that flows between passes survives JSON, and nothing that differs from its fields is accepted."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compiler_ai import artifacts
from compiler_ai.store.codec import CodecError, from_json, to_json

CLASSES = [kind for kind in vars(artifacts).values() if isinstance(kind, type) and dataclasses.is_dataclass(kind)]


@pytest.mark.parametrize("kind", CLASSES)
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_every_artifact_survives_a_round_trip(kind: type[Any], data: st.DataObject) -> None:
    value = data.draw(st.from_type(kind))
    again = from_json(kind, json.loads(json.dumps(to_json(value), allow_nan=False)))
    assert repr(again) == repr(value)  # repr, since a NaN does not equal itself


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ratio": 1.0, "low": 1.0, "high": 1.0}, "missing field 'confidence'"),
        ({"ratio": 1.0, "low": 1.0, "high": 1.0, "confidence": 0.9, "more": 1}, "unknown field 'more'"),
        ({"ratio": "1.0", "low": 1.0, "high": 1.0, "confidence": 0.9}, r"Interval\.ratio: expected float"),
        ({"ratio": True, "low": 1.0, "high": 1.0, "confidence": 0.9}, r"Interval\.ratio: expected float"),
        ([], "expected dict"),
    ],
)
def test_anything_else_is_an_error_that_names_the_field(change: Any, message: str) -> None:
    with pytest.raises(CodecError, match=message):
        from_json(artifacts.Interval, change)


def test_an_unknown_grade_is_an_error() -> None:
    value = to_json(artifacts.Evidence(artifacts.Grade.TESTED))
    assert isinstance(value, dict)
    with pytest.raises(CodecError, match="'CERTAIN' is no Grade"):
        from_json(artifacts.Evidence, {**value, "grade": "CERTAIN"})


def test_a_kind_of_value_that_is_not_covered_is_refused() -> None:
    with pytest.raises(CodecError, match="bytes"):
        to_json(b"")
