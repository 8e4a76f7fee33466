from __future__ import annotations

from collections.abc import Iterator

import pytest

from compiler_ai.sandbox.process import Sandbox


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as opened:
        yield opened
