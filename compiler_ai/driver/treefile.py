"""The file in which a compile leaves GCC's tree dump for the shim: in memory, so there is nothing to delete. On the compile path.

The shim needs the dump to tell functions apart that differ in their C types alone (asm.trees). The path is the same in every
compile, since a compiler cache in between hashes its arguments.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping, Sequence

_VARIABLE = "AICC_SHIM_TREES"
_FIRST_DESCRIPTOR = 97  # make, ninja and shells hand on lower ones


def offer(compiler: Sequence[str], arguments: Sequence[str], environment: MutableMapping[str, str]) -> list[str]:
    """The arguments that make this compile write its dump; none when it cannot, and then no rewrite applies.

    Only GCC knows the option; a user's own dumps keep their places; link-time optimisation compiles elsewhere.
    Raises OSError.
    """
    if not _is_gcc(compiler) or any(word.startswith(("-fdump-", "-flto")) for word in arguments):
        return []
    import fcntl

    memory = os.memfd_create("aicc-trees", 0)
    descriptor = fcntl.fcntl(memory, fcntl.F_DUPFD, _FIRST_DESCRIPTOR)
    os.close(memory)
    path = f"/proc/self/fd/{descriptor}"
    if not os.access(path, os.W_OK):
        os.close(descriptor)
        return []
    environment[_VARIABLE] = str(descriptor)
    return [f"-fdump-tree-optimized={path}"]


def descriptors(environment: Mapping[str, str]) -> list[int]:
    """What a child needs to inherit to read the dump."""
    value = environment.get(_VARIABLE, "")
    return [int(value)] if value.isdigit() else []


def read(environment: Mapping[str, str]) -> str:
    """The dump of the unit that was compiled last; "" when there is none. Raises OSError."""
    chunks = []
    for descriptor in descriptors(environment):
        at = 0
        while chunk := os.pread(descriptor, 1 << 20, at):
            chunks.append(chunk)
            at += len(chunk)
    return b"".join(chunks).decode(errors="surrogateescape")


def _is_gcc(compiler: Sequence[str]) -> bool:
    """Whether the compiler, behind launchers such as ccache, is GCC by its file's name (`cc` is often a link)."""
    names = [os.path.basename(os.path.realpath(word)) if "/" in word else word for word in compiler if word[:1] != "-"]
    return bool(names) and any(part in names[-1] for part in ("gcc", "g++"))
