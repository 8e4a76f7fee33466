"""`ccache aicc`: the outer ccache must store nothing, for it cannot see what stands behind aicc.

ccache hashes the compiler's file, its arguments, a few variables and the preprocessed source. On a direct hit it does not even run
the compiler, so neither a changed store nor a project that was begun later can be made known to it. What it is asked
to run therefore fails in a way that is not the user's: preprocessing ends with status 1, compiling with status 0 and no object. On
either, ccache stores nothing and executes the original command in its own process (ccache.cc: get_result_key_from_cpp,
to_cache, cache_compilation). There aicc runs ccache itself, *around the compiler*, where COMPILER_PATH, which ccache hashes,
names everything that the shim depends on (see shimming). On the compile path, only when CCACHE_DISABLE is set, as it is below ccache.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from compiler_ai.driver.command import Parsed

_GENERATIONS = 4  # ccache may run us through distcc and the like (CCACHE_PREFIX)


def running_ccache() -> int | None:
    """The process id of the ccache that is waiting for us, or None."""
    process = os.getpid()
    for _ in range(_GENERATIONS):
        process = _parent(process)
        if process <= 1:
            break
        if os.path.basename(_executable(process)).startswith("ccache"):
            return process
    return None


def refuse(ccache: int, parsed: Parsed, arguments: Sequence[str]) -> int | None:
    """Make `ccache` give up on this command and leave it a note; return our exit status, or None when it may go on."""
    preprocesses = "-E" in arguments
    if not preprocesses and not (parsed.output and ("-c" in arguments or "-S" in arguments)):
        return None  # nothing that ccache stores: a version, a syntax check
    _leave_note(ccache)
    if preprocesses:
        return 1
    if os.path.isfile(parsed.output):
        os.unlink(parsed.output)  # of an earlier compile; it must not pass for the result of this one
    return 0


def noted() -> str | None:
    """The ccache that this process was before it gave up and became aicc; the note is gone then."""
    path = _note(os.getpid())
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    with open(descriptor, "rb") as file:
        mine = os.fstat(descriptor).st_uid == os.geteuid()
        ccache = os.fsdecode(file.read())
    try:
        os.unlink(path)
    except OSError:
        return None
    return ccache if mine and os.access(ccache, os.X_OK) else None


def _leave_note(ccache: int) -> None:
    """Process ids are used again, so the note's name has the start of the process too: exec keeps both."""
    try:
        descriptor = os.open(_note(ccache), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError:
        return
    with open(descriptor, "wb") as file:
        file.write(os.fsencode(_executable(ccache)))


def _note(process: int) -> str:
    directory = os.environ.get("TMPDIR", "/tmp")
    return f"{directory}/aicc-{os.geteuid()}-{process}-{_fields(process)[19]}"


def _executable(process: int) -> str:
    try:
        return os.readlink(f"/proc/{process}/exe")
    except OSError:
        return ""


def _parent(process: int) -> int:
    return int(_fields(process)[1])


def _fields(process: int) -> list[str]:
    """The fields of /proc/PID/stat from the third on (proc(5)): 1 is the parent, 19 the start in clock ticks after boot."""
    try:
        with open(f"/proc/{process}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].decode().split()
    except OSError:
        return ["0"] * 20
