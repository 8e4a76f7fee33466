"""The Python side of the isolated executor: starts the C runner, sends page sets once, and runs bodies on them.

Every run happens in a fresh process that holds only the given pages, makes no system call, and is judged by its parent;
see runtime/child.c.
"""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import resource
import select
import subprocess
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import IO

from compiler_ai.sandbox import footprint, wire
from compiler_ai.sandbox.errors import OutOfTimeError, SandboxError
from compiler_ai.sandbox.events import Answers, Callee, pack_answers, pack_callees
from compiler_ai.sandbox.footprint import Footprint, LogPlan
from compiler_ai.sandbox.pages import PageSet
from compiler_ai.sandbox.runner import runner_path
from compiler_ai.sandbox.state import Registers, XStateLayout
from compiler_ai.sandbox.wire import Operation, Outcome, OutcomeKind, Ticks, TimedState

__all__ = ["Outcome", "OutcomeKind", "Sandbox", "Step", "Ticks", "TimedState", "Trace", "cpu_limit_ns"]

_MAX_LOADED_SETS = (
    1000  # MAX_SETS in sets.h; a function's tests should fit, since each candidate runs on all of them in turn
)
_FILES_A_SET = 4  # its own and those that it maps
_PIPE_BYTES = 1 << 20  # what pipe(7) lets every user have
_REPLY_GRACE_S = 150.0  # a child's start (START_NS in child.c) comes on top of its limit
DEFAULT_CPU_LIMIT_NS = 2_000_000_000
_STEP = 18 * 8


def _most_loaded_sets() -> int:
    _, most_files = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MAX_LOADED_SETS if most_files < 0 else max(16, min(_MAX_LOADED_SETS, most_files // _FILES_A_SET))


def _wall_limit_ns(cpu_limit_ns: int) -> int:
    """When a child is given up that does not use up its CPU time. It cannot sleep, so it waits for a processor: on a loaded
    machine for seconds, which must not count against it."""
    return 120_000_000_000 + 10 * cpu_limit_ns


def cpu_limit_ns(baseline_cpu_ns: int) -> int:
    """The time a candidate may take: 20 ms and 20 times the baseline's CPU time (a fixed limit misjudges)."""
    return 20_000_000 + 20 * baseline_cpu_ns


@dataclass(frozen=True)
class Step:
    """The state before one instruction; ``general`` is in the order of `state.GENERAL`."""

    rip: int
    rflags: int
    general: tuple[int, ...]


@dataclass(frozen=True)
class Trace:
    """A single-stepped run: its outcome, and the packed steps (rip, rflags, 16 general registers; 8 bytes each)."""

    outcome: Outcome
    data: bytes

    def __len__(self) -> int:
        return len(self.data) // _STEP

    def __iter__(self) -> Iterator[Step]:
        view = memoryview(self.data).cast("Q")
        for at in range(0, len(view), 18):
            yield Step(view[at], view[at + 1], tuple(view[at + 2 : at + 18]))


class Sandbox:
    """A runner process and what was loaded into it. Not for use by two threads at once; a context manager.

    A runner that died is started again at the next request; one that does not answer is killed and reported as
    SandboxError.
    """

    def __init__(self, compiler: str = "gcc") -> None:
        self._compiler = compiler
        self._process: subprocess.Popen[bytes] | None = None
        self._layout: XStateLayout | None = None
        self._loaded: OrderedDict[PageSet, int] = OrderedDict()
        self._free: list[int] = []
        self._lock = threading.Lock()
        self._digest_key = os.urandom(16)  # no body can know it
        self._deadline_s = float("inf")
        self._callees: tuple[Mapping[int, Callee], bytes] = ({}, b"")  # the same ones go with every run

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the runner and all it started."""
        process, self._process = self._process, None
        self._loaded.clear()
        self._free = list(range(_most_loaded_sets()))
        if process is None:
            return
        assert process.stdin is not None
        assert process.stdout is not None
        process.kill()  # its children die with it: PTRACE_O_EXITKILL and PR_SET_PDEATHSIG
        process.stdin.close()
        process.stdout.close()
        process.wait()

    @contextlib.contextmanager
    def until(self, deadline_s: float) -> Iterator[None]:
        """Within it, what is asked for after `deadline_s` (of time.monotonic) raises OutOfTimeError."""
        before, self._deadline_s = self._deadline_s, deadline_s
        try:
            yield
        finally:
            self._deadline_s = before

    @property
    def layout(self) -> XStateLayout:
        """Where this machine's extended state lies."""
        self._start()
        assert self._layout is not None
        return self._layout

    def run(
        self,
        image: Sequence[PageSet],
        registers: Registers,
        return_address: int,
        *,
        patches: Sequence[tuple[int, bytes]] = (),
        breakpoints: Sequence[int] = (),
        cpu_limit_ns: int = DEFAULT_CPU_LIMIT_NS,
        inside: tuple[int, int] = (0, 0),
        answers: Answers | None = None,
    ) -> Outcome:
        """Runs from ``registers`` on the union of the page sets until control reaches ``return_address``.

        ``patches`` are (address, bytes) written before the start, page protections notwithstanding; ``breakpoints`` are
        instruction addresses whose execution is recorded in `Outcome.covered`. Pages of the sets must not overlap.
        With ``answers``, calls that lead out of ``inside`` (the half-open address range of the body) to where nothing can be
        executed, or to a trap, are not made but answered, and noted in `Outcome.events`.
        Raises SandboxError when the run could not be made.
        """
        return self._run(image, registers, return_address, patches, breakpoints, cpu_limit_ns, "", 0, inside, answers)

    def trace(
        self,
        image: Sequence[PageSet],
        registers: Registers,
        return_address: int,
        *,
        patches: Sequence[tuple[int, bytes]] = (),
        max_steps: int = 200_000,
        cpu_limit_ns: int = 60_000_000_000,
        inside: tuple[int, int] = (0, 0),
        answers: Answers | None = None,
    ) -> Trace:
        """Like `run`, one instruction at a time; a run of more than ``max_steps`` ends as MAX_STEPS.

        ``inside`` is the half-open address range of the body: when a call out of it returns, all call-clobbered registers
        that cannot hold a result get other contents, as any callee may leave them (AMD64 ABI, 3.2.1). ``answers`` as for `run`.
        """
        descriptor = os.memfd_create("aicc-trace")
        try:
            path = f"/proc/{os.getpid()}/fd/{descriptor}"
            outcome = self._run(
                image, registers, return_address, patches, (), cpu_limit_ns, path, max_steps, inside, answers
            )
            size = os.fstat(descriptor).st_size
            if not size:
                return Trace(outcome, b"")
            with mmap.mmap(descriptor, size, prot=mmap.PROT_READ) as data:
                return Trace(outcome, data[:])
        finally:
            os.close(descriptor)

    def log(
        self,
        image: Sequence[PageSet],
        registers: Registers,
        return_address: int,
        plan: LogPlan,
        *,
        patches: Sequence[tuple[int, bytes]] = (),
        max_entries: int = 1_000_000,
        cpu_limit_ns: int = 60_000_000_000,
    ) -> tuple[Outcome, Footprint | None]:
        """Like `run`, of a body that logs its accesses as ``plan`` says; a run of more than ``max_entries`` log entries ends
        as MAX_STEPS. No footprint when the child died."""
        if plan.counter_address:
            patches = [*patches, (plan.counter_address, max_entries.to_bytes(8, "little"))]
        outcome, rest = self._run_for_all(
            image, registers, return_address, patches, (), cpu_limit_ns, log_plan=plan.pack(max_entries)
        )
        return outcome, footprint.unpack(rest, plan) if rest else None

    def time(
        self,
        image: Sequence[PageSet],
        entries: tuple[int, int],
        states: Sequence[TimedState],
        *,
        pair_count: int = 25,
        cold: bool = False,
        repeat: bool = False,
        flush: Sequence[tuple[int, int]] = (),
        block_ns: int = 10_000,
        cpu_limit_ns: int = 20_000_000_000,
        seed: int = 1,
    ) -> Ticks:
        """Times the bodies at ``entries`` against each other on the same image, in pairs of blocks in random order.

        ``states`` are run in turn; all share the image and the segment bases. ``repeat`` allows back-to-back calls and is
        right only for bodies with little to restore (`timing.time_bodies` decides that). ``cold`` evicts ``flush``
        (address, size in bytes) from the caches before every call; branch predictors and TLBs stay warm. Timed bodies have
        been screened and verified: in-process measurements could be forged by a hostile one.
        Raises SandboxError when a body does not return every time.
        """
        flags = (wire.TIME_COLD if cold else 0) | (wire.TIME_REPEAT if repeat and not cold else 0)
        wall_limit_ns = _wall_limit_ns(cpu_limit_ns)
        with self._lock:
            limits = (cpu_limit_ns, wall_limit_ns)
            sets = self._load(image)
            payload = wire.pack_time(sets, entries, states, flush, pair_count, flags, block_ns, limits, seed)
            reply = self._request(Operation.TIME, payload, wall_limit_ns / 1e9 + _REPLY_GRACE_S)
        return wire.unpack_time(reply)

    def _run(
        self,
        image: Sequence[PageSet],
        registers: Registers,
        return_address: int,
        patches: Sequence[tuple[int, bytes]],
        breakpoints: Sequence[int],
        limit_ns: int,
        trace_path: str,
        max_steps: int,
        inside: tuple[int, int] = (0, 0),
        answers: Answers | None = None,
    ) -> Outcome:
        outcome, rest = self._run_for_all(
            image, registers, return_address, patches, breakpoints, limit_ns, trace_path, max_steps, inside,
            answers=answers,
        )  # fmt: skip
        if rest:
            raise SandboxError("the runner's outcome has an unexpected length")
        return outcome

    def _run_for_all(
        self,
        image: Sequence[PageSet],
        registers: Registers,
        return_address: int,
        patches: Sequence[tuple[int, bytes]],
        breakpoints: Sequence[int],
        limit_ns: int,
        trace_path: str = "",
        max_steps: int = 0,
        inside: tuple[int, int] = (0, 0),
        log_plan: bytes = b"",
        answers: Answers | None = None,
    ) -> tuple[Outcome, bytes]:
        """The outcome, and what follows it in the reply."""
        marks = sorted(set(breakpoints))
        wall_limit_ns = _wall_limit_ns(limit_ns)
        with self._lock:
            payload = wire.pack_run(
                self._load(image),
                registers,
                return_address,
                patches,
                marks,
                limit_ns,
                wall_limit_ns,
                trace_path,
                max_steps,
                inside,
                log_plan,
                self._packed(answers) if answers is not None else b"",
            )
            reply = self._request(Operation.RUN, payload, wall_limit_ns / 1e9 + _REPLY_GRACE_S)
        return wire.unpack_outcome(reply, marks)

    def _packed(self, answers: Answers) -> bytes:
        if self._callees[0] is not answers.callees:
            self._callees = (answers.callees, pack_callees(answers.callees))
        return pack_answers(answers, self._digest_key, self._callees[1])

    def _load(self, image: Sequence[PageSet]) -> list[int]:
        """The numbers of the page sets in the runner, loading what it does not have."""
        self._start()
        for pages in image:
            if pages in self._loaded:
                self._loaded.move_to_end(pages)
        for pages in image:
            if pages in self._loaded:
                continue
            if not self._free:
                _, number = self._loaded.popitem(last=False)
                self._free.append(number)
                self._request(Operation.UNLOAD, wire.pack_unload(number), _REPLY_GRACE_S)
            number = self._free[-1]
            self._request(Operation.LOAD, wire.pack_load(number, pages), _REPLY_GRACE_S)
            self._free.pop()
            self._loaded[pages] = number
        return [self._loaded[pages] for pages in image]

    def _start(self) -> None:
        if self._process is not None and self._process.poll() is None:
            return
        self.close()
        path = runner_path(self._compiler)
        try:
            self._process = subprocess.Popen(
                [str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0, env={}, cwd="/", process_group=0
            )
        except OSError as error:
            raise SandboxError(f"cannot start the runner: {error}") from error
        for stream in (self._process.stdin, self._process.stdout):
            _widen(stream)
        self._layout = wire.unpack_hello(self._request(Operation.HELLO, b"", _REPLY_GRACE_S))

    def _request(self, operation: Operation, payload: bytes, timeout_s: float) -> bytes:
        if time.monotonic() > self._deadline_s:
            raise OutOfTimeError("there is no time left for more runs")
        process = self._process
        assert process is not None
        assert process.stdin is not None
        deadline_s = time.monotonic() + timeout_s
        try:
            _send(process.stdin.fileno(), wire.HEADER.pack(operation, 0, len(payload)) + payload, deadline_s)
            assert process.stdout is not None
            out = process.stdout.fileno()
            status, _, size = wire.HEADER.unpack(_receive(out, wire.HEADER.size, deadline_s))
            reply = _receive(out, size, deadline_s)
        except (OSError, EOFError, TimeoutError) as error:
            self.close()
            raise SandboxError(f"the runner failed during {operation.name}: {error or type(error).__name__}") from error
        except BaseException:
            self.close()  # an interrupted exchange cannot be resumed
            raise
        if status != 0:
            raise SandboxError(reply.decode(errors="replace"))
        return reply


def _widen(stream: IO[bytes] | None) -> None:
    """Room for a memory image in a pipe; where the user may have no more (pipe(7)), it takes more turns."""
    assert stream is not None
    with contextlib.suppress(OSError):
        fcntl.fcntl(stream, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)


def _send(descriptor: int, data: bytes, deadline_s: float) -> None:
    view = memoryview(data)
    os.set_blocking(descriptor, False)
    while view:
        try:
            view = view[os.write(descriptor, view) :]
        except BlockingIOError:
            _await(descriptor, select.POLLOUT, deadline_s)


def _receive(descriptor: int, size: int, deadline_s: float) -> bytes:
    parts = bytearray()
    while len(parts) < size:
        _await(descriptor, select.POLLIN, deadline_s)
        part = os.read(descriptor, min(size - len(parts), 1 << 20))
        if not part:
            raise EOFError("it ended")
        parts += part
    return bytes(parts)


def _await(descriptor: int, event: int, deadline_s: float) -> None:
    poller = select.poll()
    poller.register(descriptor, event)
    if not poller.poll(max(0.0, deadline_s - time.monotonic()) * 1000):
        raise TimeoutError("it did not answer in time")
