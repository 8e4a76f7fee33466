"""The cached runner is the one that was built, or is built anew."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from compiler_ai.sandbox.process import Sandbox
from compiler_ai.sandbox.runner import runner_path


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AICC_CACHE", str(tmp_path))
    return runner_path()


def test_an_intact_runner_is_kept(built: Path) -> None:
    inode = built.stat().st_ino
    assert runner_path() == built
    assert built.stat().st_ino == inode


@pytest.mark.parametrize("damage", ["empty", "cut", "another program", "not executable", "no checksum", "bad checksum"])
def test_a_damaged_one_is_built_anew(built: Path, damage: str) -> None:
    whole, checksum = built.read_bytes(), built.with_name("runner.sha256")
    if damage == "not executable":
        os.chmod(built, 0o644)
    elif damage == "no checksum":
        checksum.unlink()
    elif damage == "bad checksum":
        checksum.write_bytes(b"\xff")
    else:
        content = {"empty": b"", "cut": whole[:4096], "another program": b"#!/bin/sh\nexit 0\n"}[damage]
        built.write_bytes(content)
    with Sandbox() as sandbox:
        assert sandbox.layout is not None
    assert built.read_bytes() == whole
    assert subprocess.run(["sh", "-c", f"test -x {built}"], check=False).returncode == 0
