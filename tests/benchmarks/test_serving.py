"""Weights are served by the server that was begun for them, or not at all."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

MODELS = Path(__file__).resolve().parents[2] / "benchmarks" / "models"


def test_a_port_where_something_else_answers_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(MODELS))
    import serving

    monkeypatch.setattr(serving, "fetched", lambda _weights, _directory: tmp_path / "weights.gguf")
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with (
            pytest.raises(serving.ServingError, match=f"port {port}"),
            serving.serving("small", tmp_path, port, "true"),
        ):
            pass


def test_a_server_that_ends_is_no_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(MODELS))
    import serving

    monkeypatch.setattr(serving, "fetched", lambda _weights, _directory: tmp_path / "weights.gguf")
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
    with (
        pytest.raises(serving.ServingError, match="ended with 0"),
        serving.serving("small", tmp_path, port, "true"),
    ):
        pass
