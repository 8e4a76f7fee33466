"""Runs a command as it is, and captures calls of wanted functions, spread over the run and over kinds of calls.

The command runs under ptrace with address space randomisation off and LD_BIND_NOW. At sampled moments a one-byte
breakpoint is armed at each wanted entry; the call that hits it is captured in a copy of the process while the process itself
goes on with the original byte, so calls that are not sampled cost nothing.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from compiler_ai.capture import callsites, launch, ptrace, snapshot
from compiler_ai.capture.archive import Archive, CaptureSummary, FunctionSummary, Limits
from compiler_ai.capture.errors import CaptureError, RemoteCallError
from compiler_ai.capture.modules import ModuleFile, Target, read_module
from compiler_ai.capture.processes import BREAKPOINT, TracedProcess
from compiler_ai.capture.schedule import TICK_S, Schedule, SiteSchedule
from compiler_ai.capture.variety import Kind, kind_of
from compiler_ai.toolchains.x86_64 import X86_64

__all__ = ["CaptureSummary", "FunctionSummary", "Limits", "record"]

_OPTIONS = (
    ptrace.O_TRACEFORK | ptrace.O_TRACEVFORK | ptrace.O_TRACECLONE | ptrace.O_TRACEEXEC | ptrace.O_EXITKILL
)  # fmt: skip
_STOP_SIGNALS = frozenset({signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU})
_AWAITED = frozenset({signal.SIGCHLD, signal.SIGINT})
_LEFTOVER_GRACE_S = 5.0
_KIND_ARGUMENTS = X86_64.integer_arguments[:4]


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

    A target that its module does not have is noted in its summary. Raises CaptureError when the command cannot be started,
    PtraceDeniedError when ptrace is not permitted, and TargetNotFoundError or CaptureError when there is nothing to capture at all.
    """
    tracer = _Tracer(targets, out_dir, limits or Limits(), seed)
    return tracer.run(command, cwd, environment)


class _Tracer:
    def __init__(self, targets: Sequence[Target], out_dir: Callable[[Target], Path], limits: Limits, seed: int) -> None:
        self._out_dir = out_dir
        self._limits = limits
        self._chance = random.Random(seed)
        self._summary = CaptureSummary(0, {target: FunctionSummary() for target in targets})
        self._files: dict[str, ModuleFile] = {}
        self._targets = self._present(targets)
        self._schedules = {target: Schedule(limits.function_s) for target in self._targets}
        self._call_sites = self._find_call_sites()
        self._site_schedules: dict[tuple[Target, int], SiteSchedule] = defaultdict(SiteSchedule)
        self._archive = Archive(self._targets, out_dir, limits, self._summary, self._chance)
        self._processes: dict[int, TracedProcess] = {}
        self._sharing: dict[int, int] = {}  # process -> the one whose memory it shares (vfork)
        self._threads: dict[int, int] = {}  # thread -> process
        self._leaving_entry: dict[int, int] = {}  # thread that makes one step -> the entry to arm behind it
        self._root = 0
        self._leaving = False
        self._deadline_s = float("inf")

    def _present(self, targets: Sequence[Target]) -> tuple[Target, ...]:
        """The targets that can be captured; why the others cannot is noted. Raises CaptureError when none can."""
        present: list[Target] = []
        failure: CaptureError | None = None
        for target in targets:
            try:
                if target.module not in self._files:
                    self._files[target.module] = read_module(target.module)
                self._files[target.module].check(target)
                self._out_dir(target).mkdir(parents=True, exist_ok=True)
                present.append(target)
            except CaptureError as error:
                failure = error
                self._summary.functions[target].note(str(error))
            except OSError as error:
                raise CaptureError(f"{self._out_dir(target)}: cannot be written: {error.strerror}") from error
        if failure is not None and not present:
            raise failure
        return tuple(present)

    def _find_call_sites(self) -> dict[Target, tuple[int, ...]]:
        """Calls of a busy function from other places than the busiest would hardly ever be the next call at a sampled moment."""
        found: dict[Target, tuple[int, ...]] = {}
        for path in self._files:
            targets = [target for target in self._targets if target.module == path]
            sites = callsites.find(path, {target.value for target in targets})
            found.update({target: sites[target.value] for target in targets if len(sites[target.value]) > 1})
        return found

    def run(self, command: Sequence[str], cwd: Path | None, environment: Mapping[str, str] | None) -> CaptureSummary:
        previous = signal.pthread_sigmask(signal.SIG_BLOCK, _AWAITED)
        try:
            started = launch.start(command, cwd, environment, _OPTIONS, _AWAITED - previous)
            self._root = started.process
            self._threads[self._root] = self._root
            try:
                self._deadline_s = time.monotonic() + self._limits.time_s
                self._loop()
            except BaseException:
                self._let_go()
                raise
            started.check(self._summary.status)
        finally:
            for process in self._processes.values():
                process.close()
            signal.pthread_sigmask(signal.SIG_SETMASK, previous)
        return self._summary

    def _loop(self) -> None:
        leftovers_s = float("inf")
        while self._threads:
            self._await()
            while True:
                try:
                    thread, status = os.waitpid(-1, ptrace.WALL | os.WNOHANG)
                except ChildProcessError:
                    self._threads.clear()
                    break
                if thread == 0:
                    break
                self._heed(thread, status)
                if thread == self._root and not os.WIFSTOPPED(status):
                    leftovers_s = time.monotonic() + _LEFTOVER_GRACE_S
            now_s = time.monotonic()
            if now_s > leftovers_s:
                self._let_go()
            elif now_s < self._deadline_s:
                self._arm_due(now_s)

    def _await(self) -> None:
        """Wait a tick or until something happens. A terminal sends its interrupt to the command as well: only one that was sent to
        this process alone (sigaction(2): si_code SI_USER and below) is passed on."""
        received = signal.sigtimedwait(_AWAITED, TICK_S)
        if received is not None and received.si_signo == signal.SIGINT and received.si_code <= 0:
            try:
                os.kill(self._root, signal.SIGINT)
            except ProcessLookupError:
                pass

    def _heed(self, thread: int, status: int) -> None:
        if not os.WIFSTOPPED(status):
            self._ended(thread, status)
            return
        try:
            self._stopped(thread, status)
        except ProcessLookupError:
            return  # it was killed; its end is reported next

    def _stopped(self, thread: int, status: int) -> None:
        number, event = os.WSTOPSIG(status), status >> 16
        process = self._known(thread)
        left = self._entry_left(thread, number)
        if event == ptrace.EVENT_EXEC:
            self._executed(thread)
        elif event in (ptrace.EVENT_FORK, ptrace.EVENT_VFORK, ptrace.EVENT_CLONE):
            child = ptrace.event_message(thread)
            if os.path.exists(f"/proc/{child}"):  # else its own stops came first, and it has ended since
                self._known(child)
        elif event == ptrace.EVENT_STOP:
            if number in _STOP_SIGNALS:
                ptrace.request(ptrace.LISTEN, thread)
                return
        elif left:
            self._arm_again(process, left)
        elif event == 0:
            if number != signal.SIGTRAP or not self._breakpoint(thread, process):
                ptrace.request(ptrace.CONT, thread, 0, number)
                return
            if thread not in self._threads:
                return  # it ended while it was captured
            if thread in self._leaving_entry:
                ptrace.request(ptrace.SINGLESTEP, thread)
                return
        ptrace.request(ptrace.CONT, thread)

    def _entry_left(self, thread: int, number: int) -> int:
        """The entry that a thread stepped over before it stopped with this signal, to be asked once; 0 when it stopped for something else."""
        entry = self._leaving_entry.pop(thread, 0)
        return entry if entry and number == signal.SIGTRAP and ptrace.has_stepped(thread) else 0

    def _arm_again(self, process: int, entry: int) -> None:
        traced = self._processes.get(self._sharing.get(process, process))
        if traced is not None and entry in traced.places:
            traced.arm(entry)

    def _known(self, thread: int) -> int:
        """The process of a thread. A new process has copies of its parent's breakpoints, or its parent's memory itself."""
        if thread not in self._threads:
            self._threads[thread] = _status_number(thread, "Tgid:") or thread
        process = self._threads[thread]
        if process not in self._processes and process not in self._sharing and process != self._root:
            parent = _status_number(process, "PPid:")
            owner = self._sharing.get(parent, parent)
            if owner in self._processes and ptrace.shares_memory(process, owner):
                self._sharing[process] = owner
            else:
                self._follow(process, TracedProcess.adopt)
        return process

    def _follow(self, process: int, begin: Callable[[TracedProcess], None]) -> None:
        try:
            traced = TracedProcess(process, self._files.values(), self._targets, self._call_sites)
        except OSError:
            return  # it has ended already
        self._processes[process] = traced
        try:
            begin(traced)
        except OSError:
            return

    def _ended(self, thread: int, status: int) -> None:
        self._threads.pop(thread, None)
        self._leaving_entry.pop(thread, None)
        self._sharing.pop(thread, None)
        process = self._processes.pop(thread, None)
        if process is not None:
            process.close()
        if thread == self._root:
            self._summary.status = os.waitstatus_to_exitcode(status)

    def _executed(self, thread: int) -> None:
        """A new program: nothing is armed in it; its main module is there, its libraries when it reaches its entry."""
        self._sharing.pop(thread, None)
        old = self._processes.pop(thread, None)
        if old is not None:
            old.close()

        def begin(traced: TracedProcess) -> None:
            traced.search()
            traced.wait_for_start()

        self._follow(thread, begin)

    def _breakpoint(self, thread: int, process: int) -> bool:
        """Whether the stop is a breakpoint of ours; if so it is disarmed, its call captured, and the thread set back."""
        traced = self._processes.get(self._sharing.get(process, process))
        raw = ptrace.raw_registers(thread)
        address = ptrace.instruction_pointer(raw) - 1
        if traced is None or address not in traced.ever:
            return False
        armed = address in traced.armed
        if not armed and traced.memory.read(address, 1) == BREAKPOINT:
            return False  # the program's own
        traced.disarm(address)
        ptrace.set_raw_registers(thread, ptrace.with_instruction_pointer(raw, address))
        if address == traced.start:
            traced.start = 0
            try:
                traced.search()
            except OSError:
                return True
            self._arm(traced, time.monotonic())  # a short program is over before the next tick
        if armed and not self._leaving:
            if address in traced.places:
                self._consider(thread, traced, address)
            elif address in traced.sites:
                self._called_next(traced, address)
        return True

    def _called_next(self, traced: TracedProcess, site: int) -> None:
        """A thread is about to call a target from a certain place: this call is to be considered."""
        entry = traced.sites[site]
        target, _, bias = traced.places[entry]
        self._site_schedules[target, site - bias].visited(time.monotonic())
        if not self._schedules[target].is_over and entry not in traced.armed:
            traced.arm(entry)

    def _consider(self, thread: int, traced: TracedProcess, address: int) -> None:
        """Capture the call that a thread is about to make, if it is of a kind that is wanted."""
        target = traced.places[address][0]
        schedule, selection = self._schedules[target], self._archive.selections[target]
        try:
            registers = ptrace.registers(thread)
            caller = int.from_bytes(traced.memory.read(registers["rsp"], 8), "little")
        except OSError:
            return
        kind = kind_of(registers, _KIND_ARGUMENTS, caller)
        if not selection.wants(kind, self._archive.room_bytes(target)):
            schedule.passed_over(time.monotonic(), self._chance)
            return
        begun_s = time.monotonic()
        usable = self._capture(thread, traced, address, kind)
        now_s = time.monotonic()
        schedule.captured(now_s, now_s - begun_s, self._chance, usable=usable)
        if schedule.wants_next:
            self._leaving_entry[thread] = address

    def _capture(self, thread: int, traced: TracedProcess, address: int, kind: Kind) -> bool:
        target, module, bias = traced.places[address]
        summary, selection = self._summary.functions[target], self._archive.selections[target]
        try:
            gadget = snapshot.find_gadget(traced.process, traced.memory)
            taken = snapshot.take(
                thread, target, module, bias, traced.armed, gadget, summary.taken, self._limits.snapshot
            )
        except snapshot.AbandonedError as error:
            summary.note(str(error))
            selection.refuse(kind)
            return False
        except RemoteCallError as error:
            summary.note("the program's thread stopped or ended meanwhile")
            if error.status is not None:
                self._heed_late(thread, error.status)
            return False
        summary.taken += 1
        if taken.impure:
            summary.impure += 1
            summary.note(taken.impure)
            selection.refuse(kind)
            return False
        self._archive.keep(target, kind, taken)
        return True

    def _heed_late(self, thread: int, status: int) -> None:
        """What happened to a thread while it was held up: its end, or a signal that it has to get."""
        if os.WIFSTOPPED(status):
            os.kill(self._threads.get(thread, thread), os.WSTOPSIG(status) & 0x7F)
        else:
            self._ended(thread, status)

    def _arm_due(self, now_s: float) -> None:
        for traced in list(self._processes.values()):
            try:
                traced.search_when_due(now_s)
            except OSError:
                continue
            self._arm(traced, now_s)

    def _arm(self, traced: TracedProcess, now_s: float) -> None:
        if self._leaving or now_s >= self._deadline_s:
            return
        waiting = traced.places.keys() - traced.armed.keys() - set(self._leaving_entry.values())
        for address in waiting:
            if self._schedules[traced.places[address][0]].is_due(now_s):
                traced.arm(address)
        for site, entry in traced.sites.items():
            target, _, bias = traced.places[entry]
            if site in traced.armed or self._schedules[target].is_over:
                continue
            if now_s >= self._site_schedules[target, site - bias].due_s:
                traced.arm(site)

    def _let_go(self) -> None:
        """The command has ended but something it started has not, or tracing has failed: leave it alone, signals and all."""
        self._leaving = True
        for traced in self._processes.values():
            traced.disarm_all()
        released: set[int] = set()
        while waiting := self._threads.keys() - released:
            thread = min(waiting)
            try:
                if thread not in self._leaving_entry:  # its step stops it anyway, and must not be left pending
                    ptrace.request(ptrace.INTERRUPT, thread)
            except OSError:
                released.add(thread)  # it has ended, or is about to
                continue
            self._release(thread)
            released.add(thread)
        self._threads.clear()

    def _release(self, thread: int) -> None:
        """Detach a thread at its next stop; a breakpoint is set back and a signal delivered."""
        try:
            status = ptrace.wait_for(thread)
            if not os.WIFSTOPPED(status):
                self._ended(thread, status)
                return
            number, event = os.WSTOPSIG(status), status >> 16
            if event in (ptrace.EVENT_FORK, ptrace.EVENT_VFORK, ptrace.EVENT_CLONE):
                self._known(ptrace.event_message(thread))  # it is attached to us as well
            delivered = 0 if self._entry_left(thread, number) or event else number
            if delivered == signal.SIGTRAP and self._breakpoint(thread, self._known(thread)):
                delivered = 0
            for traced in self._processes.values():
                traced.disarm_all()
            ptrace.request(ptrace.DETACH, thread, 0, delivered)
        except OSError:
            return


def _status_number(thread: int, field_name: str) -> int:
    """A number of proc(5)'s status; 0 when the thread is gone."""
    try:
        with open(f"/proc/{thread}/status", encoding="ascii", errors="replace") as file:
            for line in file:
                if line.startswith(field_name):
                    return int(line.split()[1])
    except OSError:
        pass
    return 0
