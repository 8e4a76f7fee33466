"""The program that a gmon.out or a gcov file tells of: the one that is named, or the one that lies beside the file."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path

from compiler_ai.profile.errors import ProfileError
from compiler_ai.profile.symbols import ModuleSymbols

_ELF_MAGIC = b"\x7fELF"
_MOST_FILES = 2000


def find(profile: Path, named: Path | None, fits: Callable[[ModuleSymbols], bool]) -> ModuleSymbols:
    """The module `named`, else the one program that `fits`, beside the file `profile` or in that directory. Raises ProfileError."""
    if named is not None:
        if not named.exists():
            raise ProfileError(f"{named}: no such module: --module names the program that {profile.name} is of")
        module = ModuleSymbols(str(named.resolve()))
        if not module.is_elf:
            raise ProfileError(f"{named}: not a program or library: --module names the one that {profile.name} is of")
        if not module.functions:
            raise ProfileError(f"{named}: it has no symbol table: name the program as it was linked, not stripped")
        if not fits(module):
            raise ProfileError(f"{named}: {profile.name} is not of this program: name the right one with --module")
        return module
    directory = profile.resolve() if profile.is_dir() else profile.resolve().parent
    found = [module for module in map(ModuleSymbols, _programs(directory)) if fits(module)]
    if len(found) == 1:
        return found[0]
    if not found:
        raise ProfileError(f"{profile}: no program beside it that it is of: name the program with --module")
    names = ", ".join(Path(module.path).name for module in found[:4])
    raise ProfileError(f"{profile}: it may be of several programs ({names}): name the right one with --module")


def _programs(directory: Path) -> list[str]:
    """Executable ELF files of a directory."""
    found = []
    for path in sorted(directory.iterdir())[:_MOST_FILES]:
        try:
            status = path.stat()
            if not stat.S_ISREG(status.st_mode) or not status.st_mode & 0o111 or path.is_symlink():
                continue
            with path.open("rb") as file:
                if file.read(4) == _ELF_MAGIC:
                    found.append(str(path))
        except OSError:
            continue
    return found
