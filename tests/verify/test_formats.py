"""What printf and scanf formats take."""

from __future__ import annotations

import pytest

from compiler_ai.verify.formats import conversions

CASES = [
    ("printf", b"%d%%%s", ["integer 4", "pointer 8"], True),
    ("printf", b"%*.*f %Lg", ["integer 4", "integer 4", "float 8", "float 16"], True),
    ("printf", b"%lu %zx %lc %hhd", ["integer 8", "integer 8", "integer 4", "integer 4"], True),
    ("printf", b"plain", [], True),
    ("report", b"plain", [], False),
    ("report", b"%d", ["integer 4"], True),
    ("printf", b"%d %k %d", ["integer 4"], False),
    ("sscanf", b"%d %*d %[^]x] %ms %5lf", ["pointer 8"] * 4, True),
]


@pytest.mark.parametrize(("name", "text", "kinds", "is_whole"), CASES)
def test_conversions(name: str, text: bytes, kinds: list[str], is_whole: bool) -> None:
    found, whole = conversions(name, text)
    assert [f"{kind.kind} {kind.size_bytes}" for kind in found] == kinds
    assert whole is is_whole
