"""`aicc-tool toolchain`: what build systems want besides a compiler's name."""

from __future__ import annotations

import argparse
import os
import re
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

import compiler_ai
from compiler_ai.errors import AiccError

_FILES = {"cmake": "aicc.cmake", "meson": "aicc.ini"}
# What builds call GCC by: cc, gcc, g++, c++, c89 and c99, with a target in front (x86_64-linux-gnu-) or a version behind (-12).
_COMPILER = re.compile(r"(?:[\w.]+-)*?(?:cc|gcc|c89|c99)(?:-\d[\w.]*)?|(?:[\w.]+-)*?(?P<cxx>c\+\+|g\+\+)(?:-\d[\w.]*)?")


class ToolchainError(AiccError):
    """The directory cannot be filled; the message is one line for the user."""


def configure(parser: argparse.ArgumentParser) -> None:
    kinds = parser.add_subparsers(dest="kind", metavar="KIND", required=True)
    kinds.add_parser("cmake", help="print the path of a toolchain file for CMake")
    kinds.add_parser("meson", help="print the path of a native file for Meson")
    masquerade = kinds.add_parser(
        "masquerade", help="make a directory with aicc under the names of the GCCs on PATH, to be put in front of PATH"
    )
    masquerade.add_argument(
        "directory", type=Path, help="where the links go; must be new, empty, or made by this command"
    )


def run(arguments: argparse.Namespace) -> int:
    if arguments.kind == "masquerade":
        names = masquerade(arguments.directory, os.environ.get("PATH", os.defpath), _launcher())
        print(
            f'{len(names)} names of compilers. Switch a build over with: PATH="{arguments.directory.absolute()}:$PATH"'
        )
        return 0
    package = Path(compiler_ai.__file__).resolve().parent
    for directory in (package / "toolchains", package.parent / "toolchains"):  # installed, or in a source tree
        if (directory / _FILES[arguments.kind]).is_file():
            print(directory / _FILES[arguments.kind])
            return 0
    raise ToolchainError(f"{_FILES[arguments.kind]} is not beside this package: install aicc anew")


def masquerade(directory: Path, search_path: str, launcher: Path) -> list[str]:
    """Fill `directory` with links to aicc, one for each GCC of `search_path`, and return their names.

    aicc called by such a name drives the next program of that name on PATH. Raises ToolchainError and OSError.
    """
    cxx = launcher.with_name("aic++")
    for path in directory.iterdir() if directory.is_dir() else ():
        if not (path.is_symlink() and path.resolve() in (launcher.resolve(), cxx.resolve())):
            raise ToolchainError(f"{path} is not a link to aicc: name a directory of its own")
    directory.mkdir(parents=True, exist_ok=True)
    names = sorted(_compilers(search_path, {launcher.resolve(), cxx.resolve()}))
    if not names:
        raise ToolchainError("no GCC is on PATH: install one (apt-get install gcc)")
    for path in directory.iterdir():
        path.unlink()
    for name in names:
        match = _COMPILER.fullmatch(name)
        (directory / name).symlink_to(cxx if match and match["cxx"] else launcher)
    return names


def _compilers(search_path: str, ours: set[Path]) -> Iterable[str]:
    found: dict[str, bool] = {}
    for directory in map(Path, search_path.split(":")):
        for path in directory.iterdir() if directory.is_dir() else ():
            if path.name not in found and _COMPILER.fullmatch(path.name) and os.access(path, os.X_OK):
                real = path.resolve()
                if real not in ours:
                    found[path.name] = bool(re.search(r"(gcc|g\+\+)", real.name))
    return [name for name, is_gcc in found.items() if is_gcc]


def _launcher() -> Path:
    """The `aicc` that belongs to this aicc-tool, by the path that does not change with versions."""
    beside = Path(sys.argv[0]).absolute().with_name("aicc")
    found = str(beside) if beside.is_file() else shutil.which("aicc")
    if not found:
        raise ToolchainError("aicc itself is neither beside aicc-tool nor on PATH")
    return Path(os.path.abspath(found))
