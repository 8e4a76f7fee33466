"""Starts a command under ptrace(2), as a child that differs from an untraced one in nothing that it could rely on."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from compiler_ai.capture import ptrace
from compiler_ai.capture.errors import CaptureError, PtraceDeniedError

# glibc's allocator (mallopt(3), environment variables): take memory from the kernel in large steps and keep it, so that calls
# which allocate seldom make a system call and can be replayed. Nothing that is not touched is resident.
_ALLOCATOR = (
    ("MALLOC_TOP_PAD_", str(64 << 20)),
    ("MALLOC_MMAP_THRESHOLD_", str(32 << 20)),  # the largest that is accepted
    ("MALLOC_TRIM_THRESHOLD_", str(1 << 30)),
)


@dataclass(frozen=True)
class Started:
    """The seized child; `failure` is a file descriptor that says why it could not become the command."""

    process: int
    failure: int

    def check(self, status: int) -> None:
        """To be called once, with the command's exit status. Raises CaptureError when the command never began."""
        said = os.read(self.failure, 200).decode(errors="replace") if status == 127 else ""
        os.close(self.failure)
        if said:
            raise CaptureError(f"the command cannot be run: {said}")


def start(
    command: Sequence[str],
    cwd: Path | None,
    environment: Mapping[str, str] | None,
    options: int,
    unblocked: Collection[int],
) -> Started:
    """The command with address space randomisation off and LD_BIND_NOW; `unblocked` are signals that this thread blocks and the
    command must not. Raises PtraceDeniedError, CaptureError."""
    try:
        go_reader, go_writer = os.pipe()
        failure_reader, failure_writer = os.pipe()
        child = os.fork()
    except OSError as error:
        raise CaptureError(f"the command cannot be started: {error.strerror}") from error
    if child == 0:
        os.close(go_writer)
        _become(command, cwd, environment, go_reader, failure_writer, unblocked)
    os.close(go_reader)
    os.close(failure_writer)
    try:
        ptrace.request(ptrace.SEIZE, child, 0, options)
    except OSError as error:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(go_writer)
        os.close(failure_reader)
        raise PtraceDeniedError(f"ptrace is not permitted ({error.strerror}): see 'aicc-tool doctor'") from error
    os.write(go_writer, b"g")
    os.close(go_writer)
    return Started(child, failure_reader)


def _become(
    command: Sequence[str],
    cwd: Path | None,
    environment: Mapping[str, str] | None,
    go: int,
    failed: int,
    unblocked: Collection[int],
) -> None:
    try:
        if os.read(go, 1) == b"g":
            ptrace.disable_randomisation()
            for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores these, and exec keeps that
                signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, unblocked)
            if cwd is not None:
                os.chdir(cwd)
            os.execvpe(command[0], list(command), _traced(environment or os.environ))
    except OSError as error:
        os.write(failed, (error.strerror or "error").encode())
    except ValueError as error:
        os.write(failed, str(error).encode())
    finally:
        os._exit(127)


def _traced(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment of the traced command; with limited memory its allocator is left alone."""
    unlimited = all(
        resource.getrlimit(kind)[0] == resource.RLIM_INFINITY for kind in (resource.RLIMIT_AS, resource.RLIMIT_DATA)
    )
    allocator = dict(_ALLOCATOR) if unlimited and not _counts_untouched_memory() else {}
    return {**allocator, **environment, "LD_BIND_NOW": "1"}


def _counts_untouched_memory() -> bool:
    """proc(5), overcommit_memory: 2 is strict accounting."""
    try:
        return Path("/proc/sys/vm/overcommit_memory").read_text(encoding="ascii").strip() == "2"
    except OSError:
        return True
