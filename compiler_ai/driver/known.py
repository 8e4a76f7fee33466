"""What the launcher needs to do a command again without an interpreter: one small file an object, `.aicc/cache/known/`.

bin/aicc asks for it (AICC_KNOWN_KEY, AICC_KNOWN_FILE): the key is the command with all of the environment that decides what
becomes of it, and bin/aicc uses the file only while the key is the same, and so are the files that decide the rest, by device,
inode, size and times: the launcher, the compiler, the unit's record and the store's lock.toml. An interpreter takes 26 million
instructions to start, more than everything else that the driver does. On the compile path.
"""

from __future__ import annotations

import os
import time

from compiler_ai.replacing import replace_file
from compiler_ai.store.index import LOCK_NAME

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from compiler_ai.driver.shimming import Request

_APPLIED = "AICC_SHIM_APPLIED"
# In the order in which bin/aicc reads them; the others are the same for every command (AICC_ACTIVE), or are the project and cwd.
_VARIABLES = (
    "COMPILER_PATH", "AICC_SHIM_COMPILER", "AICC_SHIM_SOURCES", "AICC_SHIM_ARGUMENTS", "AICC_SHIM_OUTPUT", "AICC_SHIM_LINKS",
    "AICC_SHIM_AS", "AICC_SHIM_NAMES", _APPLIED, "AICC_SHIM_PYTHON",
)  # fmt: skip
_LONGEST_BYTES = 16_384  # the shell reads byte by byte
_TICK_NS = 100_000_000  # files may change twice within the kernel's tick and look the same
_SHELLS = ("dash", "bash")  # known to hand on descriptors that `exec` opened


class Note:
    """A command as it is before anything is added to it: what decides about it, by name and state."""

    def __init__(self, asked: tuple[str, str, str], request: Request, records: Sequence[str]) -> None:
        """`asked`: the file to write, the key that is to be in it, and the launcher."""
        self._path, self._key, program = asked
        self._request = request
        lock = f"{request.project}/store/{LOCK_NAME}"
        self._lock = lock if os.path.lexists(lock) else ""
        self._record = records[0] if records else ""
        self._files = [program, request.compiler[0], *records, *([self._lock] if self._lock else [])]
        self._state = self._states()

    def add_to(self, variables: dict[str, str]) -> None:
        """Name the empty file by which the shim says that a rewrite went into this object: it need not be looked for next time."""
        if "AICC_SHIM_NAMES" in variables:
            variables[_APPLIED] = self._path.removesuffix(".known") + ".applied"

    def keep(self, variables: Mapping[str, str], trees: bool) -> None:
        """Write it down, with the variables for the shim (none: no shim is needed) and whether the compile leaves its tree dump.

        Never raises; what cannot be written, or told to a shell line by line, is not kept.
        """
        request = self._request
        shell = os.path.basename(os.path.realpath("/bin/sh"))
        if shell not in _SHELLS or request.ours.flags or not self._state or self._is_fresh():
            return
        lines = [self._key, request.project or "", request.cwd, request.compiler[0], self._record, self._lock]
        lines += [self._state, "1" if trees else "", "1" if variables else ""]
        lines += [variables.get(name, "") for name in _VARIABLES] if variables else []
        content = "".join(f"{line}\n" for line in [*lines, "end"]).encode(errors="surrogateescape")
        changed = self._states() != self._state  # while we read it
        if changed or len(content) > _LONGEST_BYTES or content.count(b"\n") != len(lines) + 1:
            return
        try:
            replace_file(self._path, content)
        except OSError:
            pass

    def _is_fresh(self) -> bool:
        """Whether the store may be changing just now."""
        try:
            return bool(self._lock) and time.time_ns() - os.stat(self._lock).st_ctime_ns < _TICK_NS
        except OSError:
            return True

    def _states(self) -> str:
        """As `stat -L --printf='%d %i %s %.9Y %.9Z;'` prints them; empty when one cannot be had."""
        states = []
        for path in self._files:
            try:
                one = os.stat(path)
            except OSError:
                return ""
            states.append(f"{one.st_dev} {one.st_ino} {one.st_size} {_time(one.st_mtime_ns)} {_time(one.st_ctime_ns)};")
        return "".join(states)


def _time(time_ns: int) -> str:
    return f"{time_ns // 10**9}.{time_ns % 10**9:09d}"
