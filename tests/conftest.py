"""Fixtures that all tests share."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import settings

# A slow machine is no failure.
settings.register_profile("aicc", deadline=None)
settings.load_profile("aicc")


@pytest.fixture(scope="session")
def aicc() -> str:
    """The installed `aicc`; `make test` puts it on PATH."""
    found = shutil.which("aicc")
    assert found, "aicc is not installed: run the tests with 'make test'"
    return found


@pytest.fixture(scope="session")
def aicc_tool() -> str:
    found = shutil.which("aicc-tool")
    assert found, "aicc-tool is not installed: run the tests with 'make test'"
    return found


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No AICC_* variable of the person who runs the tests reaches them, and their cache is not touched."""
    for name in list(os.environ):
        if name.startswith("AICC_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AICC_CACHE", os.environ.get("AICC_TEST_CACHE", str(_cache(tmp_path_factory))))


def _cache(factory: pytest.TempPathFactory) -> Path:
    return factory.getbasetemp() / "cache"
