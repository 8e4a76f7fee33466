"""Runs a command as it is, and captures calls of wanted functions, spread over the run.

The command runs under ptrace with address space randomisation off and LD_BIND_NOW. At sampled moments a one-byte
breakpoint is armed at each wanted entry; the call that hits it is captured in a copy of the process while the process itself
goes on with the original byte, so calls that are not sampled cost nothing.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from compiler_ai.capture import ptrace, snapshot
from compiler_ai.capture.errors import CaptureError, PtraceDeniedError
from compiler_ai.capture.format import Capture, save
from compiler_ai.capture.modules import ModuleFile, Target, entry_point, read_module

_BREAKPOINT = b"\xcc"
_TICK_S = 0.002
_OPTIONS = (
    ptrace.O_TRACEFORK | ptrace.O_TRACEVFORK | ptrace.O_TRACECLONE | ptrace.O_TRACEEXEC | ptrace.O_EXITKILL
)  # fmt: skip
_STOP_SIGNALS = frozenset({signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU})
_LEFTOVER_GRACE_S = 5.0


@dataclass(frozen=True)
class Limits:
    """How many captures of each function are kept, and bounds in bytes and seconds for all of them together."""

    per_function: int = 24
    total_bytes: int = 64 << 20
    time_s: float = 600.0
    snapshot: snapshot.SnapshotLimits = field(default_factory=snapshot.SnapshotLimits)


@dataclass
class FunctionSummary:
    """What came of one target: files kept, calls taken in all, impure ones, and why others were abandoned."""

    files: list[Path] = field(default_factory=list)
    taken: int = 0
    impure: int = 0
    reasons: dict[str, int] = field(default_factory=dict)

    def note(self, reason: str) -> None:
        self.reasons[reason] = self.reasons.get(reason, 0) + 1


@dataclass
class CaptureSummary:
    """The command's exit status (negative: a signal) and what was captured of each target."""

    status: int
    functions: dict[Target, FunctionSummary]
    bytes_written: int = 0


@dataclass
class _Process:
    """One traced process: its memory, the breakpoints in it, and where wanted modules are loaded."""

    memory: ptrace.Memory
    armed: dict[int, bytes] = field(default_factory=dict)
    places: dict[int, tuple[Target, ModuleFile, int]] = field(default_factory=dict)  # entry address -> target
    searched: set[str] = field(default_factory=set)
    start: int = 0  # the program's entry point while a breakpoint waits there
    next_search_s: float = 0.0


@dataclass
class _Schedule:
    """When a target is armed next: soon at first, ever more rarely later, so that captures spread over the run."""

    due_s: float = 0.0
    hits: int = 0

    def hit(self, now_s: float, chance: random.Random) -> None:
        self.hits += 1
        # Not at once: the thread that hit it has still to leave the entry.
        self.due_s = now_s + 2 * _TICK_S + chance.expovariate(1.0) * min(0.5, 0.001 * 1.3**self.hits)


def record(
    command: Sequence[str],
    targets: Sequence[Target],
    out_dir: Callable[[Target], Path],
    limits: Limits | None = None,
    *,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
    seed: int = 0,
) -> CaptureSummary:
    """Run `command` and capture calls of each target into the directory `out_dir(target)`. Standard streams and exit status are the command's own.

    Raises CaptureError when the command cannot be started or ptrace is not permitted.
    """
    for target in targets:
        out_dir(target).mkdir(parents=True, exist_ok=True)
    return _Tracer(targets, out_dir, limits or Limits(), seed).run(command, cwd, environment)


class _Tracer:
    def __init__(self, targets: Sequence[Target], out_dir: Callable[[Target], Path], limits: Limits, seed: int) -> None:
        self._files = {module: read_module(module) for module in {target.module for target in targets}}
        self._targets = tuple(targets)
        self._out_dir = out_dir
        self._limits = limits
        self._chance = random.Random(seed)
        self._schedules = {target: _Schedule() for target in targets}
        self._summary = CaptureSummary(0, {target: FunctionSummary() for target in targets})
        self._sizes: dict[Path, int] = {}
        self._processes: dict[int, _Process] = {}
        self._threads: dict[int, int] = {}  # thread -> process
        self._root = 0

    def run(self, command: Sequence[str], cwd: Path | None, environment: Mapping[str, str] | None) -> CaptureSummary:
        previous = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
        try:
            self._start(command, cwd, environment)
            self._loop(time.monotonic() + self._limits.time_s)
        finally:
            for process in self._processes.values():
                process.memory.close()
            signal.pthread_sigmask(signal.SIG_SETMASK, previous)
        return self._summary

    def _start(self, command: Sequence[str], cwd: Path | None, environment: Mapping[str, str] | None) -> None:
        reader, writer = os.pipe()
        failed_reader, failed_writer = os.pipe()
        child = os.fork()
        if child == 0:
            self._become(command, cwd, environment, reader, failed_writer)
        os.close(reader)
        os.close(failed_writer)
        try:
            ptrace.request(ptrace.SEIZE, child, 0, _OPTIONS)
        except OSError as error:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            raise PtraceDeniedError(f"ptrace is not permitted ({error.strerror}): see 'aicc-tool doctor'") from error
        self._root = child
        self._threads[child] = child
        os.write(writer, b"g")
        os.close(writer)
        self._failed = failed_reader

    def _become(
        self, command: Sequence[str], cwd: Path | None, environment: Mapping[str, str] | None, go: int, failed: int
    ) -> None:
        try:
            os.read(go, 1)
            ptrace.disable_randomisation()
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
            for number in (signal.SIGPIPE, signal.SIGXFSZ):
                signal.signal(number, signal.SIG_DFL)
            if cwd is not None:
                os.chdir(cwd)
            os.execvpe(command[0], list(command), {**(environment or os.environ), "LD_BIND_NOW": "1"})
        except OSError as error:
            os.write(failed, (error.strerror or "error").encode())
        os._exit(127)

    def _loop(self, deadline_s: float) -> None:
        leftovers_s = float("inf")
        while self._threads:
            signal.sigtimedwait({signal.SIGCHLD}, _TICK_S)
            while True:
                try:
                    thread, status = os.waitpid(-1, ptrace.WALL | os.WNOHANG)
                except ChildProcessError:
                    self._threads.clear()
                    break
                if thread == 0:
                    break
                if os.WIFSTOPPED(status):
                    try:
                        self._stopped(thread, status)
                    except ProcessLookupError:
                        continue
                else:
                    self._ended(thread, status)
                    if thread == self._root:
                        leftovers_s = time.monotonic() + _LEFTOVER_GRACE_S
            now_s = time.monotonic()
            if now_s > leftovers_s:
                self._let_go()
                leftovers_s = float("inf")
            if now_s < deadline_s:
                self._arm_due(now_s)
        failure = os.read(self._failed, 200).decode() if self._summary.status == 127 else ""
        os.close(self._failed)
        if failure:
            raise CaptureError(f"the command cannot be run: {failure}")

    def _stopped(self, thread: int, status: int) -> None:
        number, event = os.WSTOPSIG(status), status >> 16
        process = self._threads.setdefault(thread, _process_of(thread))
        if event == ptrace.EVENT_EXEC:
            self._executed(thread)
        elif event in (ptrace.EVENT_FORK, ptrace.EVENT_VFORK, ptrace.EVENT_CLONE):
            self._created(process, ptrace.event_message(thread))
        elif event == ptrace.EVENT_STOP:
            if number in _STOP_SIGNALS:
                ptrace.request(ptrace.LISTEN, thread)
                return
        elif number == signal.SIGTRAP and event == 0 and self._breakpoint(thread, process):
            pass
        else:
            ptrace.request(ptrace.CONT, thread, 0, number)
            return
        ptrace.request(ptrace.CONT, thread)

    def _ended(self, thread: int, status: int) -> None:
        self._threads.pop(thread, None)
        process = self._processes.pop(thread, None)
        if process is not None:
            process.memory.close()
        if thread == self._root:
            self._summary.status = os.waitstatus_to_exitcode(status)

    def _executed(self, thread: int) -> None:
        """A new program: nothing is armed in it; its main module is there, its libraries when it reaches its entry."""
        process = _process_of(thread)
        self._threads[thread] = process
        old = self._processes.pop(process, None)
        if old is not None:
            old.memory.close()
        new = _Process(ptrace.Memory(process))
        self._processes[process] = new
        self._find_modules(process, new)
        new.start = entry_point(process)
        if new.start:
            self._arm(new, new.start)

    def _created(self, parent: int, child: int) -> None:
        """A thread, or a process with a copy of its parent's breakpoints."""
        if not os.path.exists(f"/proc/{child}"):
            return  # its own stops came first, and it has ended since
        process = _process_of(child)
        self._threads[child] = process
        known = self._processes.get(parent)
        if process != parent and known is not None and process not in self._processes:
            copied = _Process(ptrace.Memory(process), dict(known.armed), dict(known.places), set(known.searched))
            copied.start = known.start
            self._processes[process] = copied

    def _breakpoint(self, thread: int, process: int) -> bool:
        """Whether the stop is a breakpoint of ours; if so it is disarmed, its call captured, and the thread set back."""
        known = self._processes.get(process)
        raw = ptrace.raw_registers(thread)
        address = ptrace.instruction_pointer(raw) - 1
        if known is None or (address not in known.places and address != known.start):
            return False
        if address not in known.armed and known.memory.read(address, 1) == _BREAKPOINT:
            return False  # the program's own
        armed = address in known.armed
        self._disarm(known, address)
        ptrace.set_raw_registers(thread, ptrace.with_instruction_pointer(raw, address))
        if address == known.start:
            known.start = 0
            self._find_modules(process, known)
        if armed and address in known.places:
            self._capture(thread, process, known, address)
        return True

    def _capture(self, thread: int, process: int, known: _Process, address: int) -> None:
        target, module, bias = known.places[address]
        summary, schedule = self._summary.functions[target], self._schedules[target]
        try:
            gadget = snapshot.find_gadget(process, known.memory)
            taken = snapshot.take(
                thread, target, module, bias, known.armed, gadget, summary.taken, self._limits.snapshot
            )
        except snapshot.AbandonedError as error:
            summary.note(str(error))
            return
        finally:
            schedule.hit(time.monotonic(), self._chance)
        summary.taken += 1
        if taken.impure:
            summary.impure += 1
            summary.note(taken.impure)
            return
        self._keep(target, summary, taken)

    def _keep(self, target: Target, summary: FunctionSummary, taken: Capture) -> None:
        """Reservoir sampling: every pure call taken has the same chance to be among the ones that stay."""
        pure = summary.taken - summary.impure
        path = self._out_dir(target) / f"{target.symbol}.{target.value:x}.{summary.taken:05d}.cap"
        if len(summary.files) >= self._limits.per_function:
            slot = self._chance.randrange(pure)
            if slot >= self._limits.per_function:
                return
            old = summary.files.pop(slot)
            old.unlink(missing_ok=True)
            self._summary.bytes_written -= self._sizes.pop(old, 0)
        if self._summary.bytes_written >= self._limits.total_bytes:
            summary.note("the captures take as much room as they may")
            return
        try:
            size = save(taken, path)
        except CaptureError as error:
            summary.note(str(error))
            return
        self._sizes[path] = size
        self._summary.bytes_written += size
        summary.files.append(path)

    def _arm_due(self, now_s: float) -> None:
        for process, known in list(self._processes.items()):
            if len(known.searched) < len(self._files) and now_s >= known.next_search_s:
                known.next_search_s = now_s + 0.05
                try:
                    self._find_modules(process, known)
                except OSError:
                    continue
            for address, (target, _, _) in known.places.items():
                if address not in known.armed and now_s >= self._schedules[target].due_s:
                    self._arm(known, address)

    def _find_modules(self, process: int, known: _Process) -> None:
        mappings = ptrace.mappings(process)
        for path, module in self._files.items():
            if path in known.searched:
                continue
            bias = module.load_bias(mappings)
            if bias is None:
                continue
            known.searched.add(path)
            for target in self._targets:
                if target.module == path:
                    known.places[bias + target.value] = (target, module, bias)

    def _arm(self, known: _Process, address: int) -> None:
        try:
            original = known.memory.read(address, 1)
            if original == _BREAKPOINT or len(original) != 1:
                return
            known.memory.write(address, _BREAKPOINT)
        except OSError:
            return
        known.armed[address] = original

    def _disarm(self, known: _Process, address: int) -> None:
        original = known.armed.pop(address, None)
        if original is not None:
            known.memory.write(address, original)

    def _let_go(self) -> None:
        """The command has ended but something it started has not: leave that alone."""
        for known in self._processes.values():
            for address in list(known.armed):
                try:
                    self._disarm(known, address)
                except OSError:
                    continue
        for thread in list(self._threads):
            try:
                ptrace.request(ptrace.INTERRUPT, thread)
                ptrace.wait_for(thread)
                ptrace.request(ptrace.DETACH, thread)
            except OSError:
                pass
        self._threads.clear()


def _process_of(thread: int) -> int:
    """The thread group of a thread (proc(5), status)."""
    try:
        with open(f"/proc/{thread}/status", encoding="ascii", errors="replace") as file:
            for line in file:
                if line.startswith("Tgid:"):
                    return int(line.split()[1])
    except OSError:
        pass
    return thread
