"""Run a command with some files replaced, for that command alone: a private mount namespace with bind mounts.

Source: mount_namespaces(7), user_namespaces(7). Both sides of a comparison run this way, so both pay the same.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from compiler_ai.errors import AiccError

_CLONE_NEWNS, _CLONE_NEWUSER = 0x00020000, 0x10000000
_MS_REC, _MS_PRIVATE, _MS_BIND = 0x4000, 0x40000, 0x1000
_SETUP_FAILED = 120


class RunError(AiccError):
    """The command could not be started; the message is one line for the user."""


@dataclass(frozen=True)
class Finished:
    """One run: exit status (negative: the signal that ended it), what it wrote, wall and CPU time in seconds."""

    status: int
    stdout: bytes
    stderr: bytes
    wall_s: float
    cpu_s: float


def run(command: Sequence[str], replacements: Mapping[Path, Path], timeout_s: float = 3600.0) -> Finished:
    """Run `command` seeing `replacements` (path -> file that stands in for it). Raises RunError."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        start_s = time.perf_counter()
        process = os.fork()
        if process == 0:
            _child(command, replacements, out.fileno(), err.fileno())
        _, status, usage = _wait(process, timeout_s)
        wall_s = time.perf_counter() - start_s
        out.seek(0)
        err.seek(0)
        stdout, stderr = out.read(), err.read()
    code = os.waitstatus_to_exitcode(status)
    if code == _SETUP_FAILED and stderr.startswith(b"aicc: "):
        raise RunError(stderr.decode(errors="replace").strip().removeprefix("aicc: "))
    return Finished(code, stdout, stderr, wall_s, usage.ru_utime + usage.ru_stime)


def _wait(process: int, timeout_s: float) -> tuple[int, int, resource.struct_rusage]:
    def expired(_signal: int, _frame: object) -> None:
        os.kill(process, signal.SIGKILL)

    previous = signal.signal(signal.SIGALRM, expired)
    signal.setitimer(signal.ITIMER_REAL, timeout_s)
    try:
        return os.wait4(process, 0)
    except KeyboardInterrupt:
        os.kill(process, signal.SIGKILL)
        os.wait4(process, 0)
        raise
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


def _child(command: Sequence[str], replacements: Mapping[Path, Path], out: int, err: int) -> None:
    try:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(out, 1)
        os.dup2(err, 2)
        if replacements:
            _enter_namespace()
            for path, copy in replacements.items():
                _mount(str(copy), str(path), _MS_BIND)
        os.execvp(command[0], list(command))
    except OSError as error:
        os.write(2, f"aicc: cannot run {command[0]}: {error.strerror}\n".encode())
    os._exit(_SETUP_FAILED)


def _enter_namespace() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    user, group = os.getuid(), os.getgid()
    flags = _CLONE_NEWNS if user == 0 else _CLONE_NEWNS | _CLONE_NEWUSER
    if libc.unshare(flags) != 0:
        raise OSError(
            ctypes.get_errno(), "private mount namespaces are not permitted here; name the old program with --before"
        )
    if flags & _CLONE_NEWUSER:
        Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1", encoding="ascii")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1", encoding="ascii")
    _mount("none", "/", _MS_REC | _MS_PRIVATE)


def _mount(source: str, target: str, flags: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(os.fsencode(source), os.fsencode(target), None, flags, None) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"cannot put {source} in place of {target}: {os.strerror(number)}")
