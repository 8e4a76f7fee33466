"""`aicc-tool init`."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from compiler_ai.driver.project import DIRECTORY

_IGNORED = "# Only store/ is meant to be committed.\n/*\n!/.gitignore\n!/store/\n"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("directory", nargs="?", default=".", help="the project's directory (default: this one)")


def run(arguments: argparse.Namespace) -> int:
    named = os.environ.get("AICC_DIR")
    directory = Path(named) if named else Path(arguments.directory, DIRECTORY)
    existed = directory.is_dir()
    directory.mkdir(parents=True, exist_ok=True)
    ignore = directory / ".gitignore"
    if not ignore.exists():
        ignore.write_text(_IGNORED, encoding="utf-8")
    print(f"{directory.resolve()} {'was there already' if existed else 'created'}")
    print("Next: build with CC=aicc, then 'aicc-tool profile -- COMMAND'.")
    return 0
