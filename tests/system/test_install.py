"""`make install` puts aicc where it works by itself, and `make uninstall` takes all of it away."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.full, pytest.mark.timeout(3600)]


def make(*words: str) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "MAKEFLAGS"}
    done = subprocess.run(["make", *words], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_installed_below_a_prefix_and_gone_again(tmp_path: Path) -> None:
    prefix, project = tmp_path / "prefix", tmp_path / "project"
    project.mkdir()
    (project / "a.c").write_text("int f(int n) { return n * 3; }\n")
    (prefix / "bin").mkdir(parents=True)
    (prefix / "bin" / "aicc-nm").write_text("somebody else's, replaced")
    make("install", f"PREFIX={prefix}")
    environment = {"PATH": f"{prefix}/bin:/usr/bin:/bin", "HOME": str(tmp_path)}
    for words in (
        ["aicc-tool", "init"],
        ["aicc", "-O2", "-c", "a.c"],
        ["aic++", "--version"],
        ["aicc-ar", "--version"],
    ):
        subprocess.run(words, cwd=project, env=environment, stdout=subprocess.DEVNULL, check=True)
    assert list((project / ".aicc" / "units").glob("a.o.*.unit"))
    (prefix / "bin" / "aicc-ar").unlink()
    (prefix / "bin" / "aicc-ar").write_text("somebody else's, left alone")
    make("uninstall", f"PREFIX={prefix}")
    assert sorted(str(one.relative_to(prefix)) for one in prefix.rglob("*")) == ["bin", "bin/aicc-ar", "lib"]


def test_setup_says_how_aicc_is_used_from_the_checkout() -> None:
    assert make("-n", "setup").splitlines()[-1].endswith(f'export PATH="{ROOT}/.venv/bin:$PATH"\'')
    assert "export PATH" not in make("-n", "lint")
