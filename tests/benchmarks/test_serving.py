"""Weights are served by the server that was begun for them, or not at all."""

from __future__ import annotations

import importlib
import socket
from pathlib import Path
from typing import Any

import pytest

MODELS = Path(__file__).resolve().parents[2] / "benchmarks" / "models"


@pytest.fixture
def serving(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module, with weights that need not be fetched."""
    monkeypatch.syspath_prepend(str(MODELS))
    module = importlib.import_module("serving")
    monkeypatch.setattr(module, "fetched", lambda _weights, _directory: tmp_path / "weights.gguf")
    return module


def test_a_port_where_something_else_answers_is_refused(serving: Any, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with (
            pytest.raises(serving.ServingError, match=f"port {port}"),
            serving.serving("small", tmp_path, port, "true"),
        ):
            pass


def test_a_server_that_ends_is_no_server(serving: Any, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
    with (
        pytest.raises(serving.ServingError, match="ended with 0"),
        serving.serving("small", tmp_path, port, "true"),
    ):
        pass
