"""The files in which a compile leaves GCC's dumps for the shim: in memory, so there is nothing to delete. On the compile path.

The shim needs them to tell functions apart that differ in their C types alone, and units that keep variables in registers
(asm.trees). The paths are the same in every compile, since a compiler cache in between hashes its arguments.
"""

from __future__ import annotations

import os

from compiler_ai.driver.response import expanded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping, Sequence

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_VARIABLE = "AICC_SHIM_TREES"
DUMPS = ("-fdump-ipa-visibility=", "-fdump-tree-optimized-alias=")  # in the order in which `read` gives them
_FIRST_DESCRIPTOR = 97  # make, ninja and shells hand on lower ones


def offer(
    command: Sequence[str],
    compiler: Sequence[str],
    arguments: Sequence[str],
    environment: MutableMapping[str, str],
    searched: str,
) -> list[str]:
    """The arguments that make this compile write its dumps; none when it cannot, and then no rewrite applies.

    `command` is what will be executed, `compiler` what is behind launchers in it, `arguments` the options, response files expanded, `searched` the user's own COMPILER_PATH. A compile must not fail for our option, so it is
    given to GCC's own executable only, which nothing stands before that may run it elsewhere or without our descriptor.
    Raises OSError.
    """
    if not _inherits(command, compiler, arguments, environment, searched) or not is_gcc(compiler[0]):
        return []
    opened = []
    for _ in DUMPS:
        memory = os.memfd_create("aicc-trees", 0)
        opened.append(os.dup2(memory, _free_descriptor()))
        os.close(memory)
    paths = [f"/proc/self/fd/{descriptor}" for descriptor in opened]
    if not all(os.access(path, os.W_OK) for path in paths):
        for descriptor in opened:
            os.close(descriptor)
        return []
    environment[_VARIABLE] = " ".join(map(str, opened))
    if command[0] != compiler[0]:
        environment["CCACHE_PREFIX"] = _PACKAGE + "/prefixexec/with-trees"  # ccache caches nothing when it sees -fdump-
        return []
    return [option + path for option, path in zip(DUMPS, paths, strict=True)]


def _free_descriptor() -> int:
    number = _FIRST_DESCRIPTOR
    while True:
        try:
            os.fstat(number)
        except OSError:
            return number
        number += 1


def descriptors(environment: Mapping[str, str]) -> list[int]:
    """What a child needs to inherit to read the dumps."""
    return [int(word) for word in environment.get(_VARIABLE, "").split() if word.isdigit()]


def read(environment: Mapping[str, str]) -> str:
    """The dumps of the unit that was compiled last; "" when there are none. Raises OSError."""
    chunks = []
    for descriptor in descriptors(environment):
        at = 0
        while chunk := os.pread(descriptor, 1 << 20, at):
            chunks.append(chunk)
            at += len(chunk)
    return b"".join(chunks).decode(errors="surrogateescape")


def forget(environment: Mapping[str, str]) -> None:
    """Empty the dumps: the next input of this command may be assembly, which comes without. Raises OSError."""
    for descriptor in descriptors(environment):
        os.ftruncate(descriptor, 0)


def _inherits(
    command: Sequence[str],
    compiler: Sequence[str],
    arguments: Sequence[str],
    environment: Mapping[str, str],
    searched: str,
) -> bool:
    """Whether the compiler proper gets our descriptor, and its dump is nobody else's."""
    if command[0] != compiler[0] and (
        os.path.basename(os.path.realpath(command[0])) != "ccache" or environment.get("CCACHE_PREFIX")
    ):
        return False  # distcc and the like compile on other machines
    # The user's own dumps; a program in between; objects that hold the options they were compiled with.
    words = [*expanded(compiler[1:]), *arguments]
    if any(word.startswith(("-fdump-", "-wrapper", "-flto")) or ",-fdump-" in word for word in words):
        return False
    prefixes = [word[2:] for word in words if word.startswith("-B")] + searched.split(":")
    if "-B" in words or environment.get("GCC_EXEC_PREFIX") or any(map(_may_hold_cc1, prefixes)):
        return False  # a script there may close our descriptor
    specs = [word.partition("=") for word in words if word.startswith(("-specs", "--specs"))]
    return not any(_may_dump(path) for _, _, path in specs)


def _may_hold_cc1(directory: str) -> bool:
    """Whether GCC may find its compiler proper there, or further down (GCC manual, "Directory Options")."""
    try:
        names = os.listdir(directory) if directory else []
    except OSError:
        return bool(directory)  # it may be the beginning of a file's name
    return any(name.startswith("cc1") or os.path.isdir(f"{directory}/{name}") for name in names)


def _may_dump(specs: str) -> bool:
    """Whether a specs file may add dumps of its own; one that GCC finds elsewhere may."""
    try:
        with open(specs, "rb") as file:
            return b"-fdump" in file.read()
    except OSError:
        return True


def is_gcc(path: str) -> bool:
    """Whether a file is GCC's driver by its name (`cc` is often a link) and an executable: scripts may close descriptors."""
    real = os.path.realpath(path)
    name = os.path.basename(real)
    if "gcc" not in name and "g++" not in name:
        return False
    with open(real, "rb") as file:
        return file.read(4) == b"\x7fELF"
