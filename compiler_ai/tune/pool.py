"""Runs function tasks in worker processes. A worker that dies loses its own function's answer and nothing else."""

from __future__ import annotations

import contextlib
import math
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Protocol

from compiler_ai.tune import orphans

_GRACE_S = 30.0  # how long past its budget a worker may go on before it is killed
_MOST_PAUSED = 32  # workers wait with all that they hold in memory


@dataclass(frozen=True)
class Progress:
    """Where a task stands: its pass, how many of how many candidates, and the best ratio so far (0: none)."""

    stage: str
    done: int
    total: int
    best: float


@dataclass(frozen=True)
class Died:
    """A worker ended without an answer."""

    reason: str


@dataclass(frozen=True)
class _Pause:
    """What a worker waits with: what its task promises (0..1)."""

    gain: float


class Budgets(Protocol):
    """Seconds for tasks by their index; `end` comes once for each that began, also for one that dies while it is paused.
    `most_to_come` is what one that has not begun may promise at most."""

    def begin(self, index: int) -> float: ...

    def pause(self, index: int, gain: float) -> None: ...

    def resume(self, index: int) -> float: ...

    def end(self, index: int) -> None: ...

    def most_to_come(self) -> float: ...


@dataclass(frozen=True)
class Parent:
    """A worker's line to the process that runs it."""

    pipe: Connection

    def report(self, progress: Progress) -> None:
        self.pipe.send(progress)

    def pause(self, gain: float) -> float:
        """Wait until those that promise more, and those that nothing is known of yet, have had their time; returns the seconds that
        there are now. `gain` is the part of the whole (0..1) that going on may save."""
        self.pipe.send(_Pause(gain))
        return float(self.pipe.recv())


@dataclass
class _Running:
    index: int
    process: BaseProcess
    pipe: Connection
    deadline_s: float
    stderr: int  # an anonymous file: a dying worker's traceback is no message for the user
    stage: str = ""  # what it last said that it was doing
    pause: _Pause | None = None  # it waits


def run_all(
    tasks: Sequence[Any],
    work: Callable[[Any, float, Parent], Any],
    budgets: Budgets,
    jobs: int,
    on_progress: Callable[[int, Progress], None],
) -> Iterator[tuple[int, Any]]:
    """Yield (index, result or Died) as tasks end; at most `jobs` run at once.

    `work(task, budget_s, parent)` runs in a fresh process. Tasks that pause go on when all have begun, the most promising first; one
    that promises more than any that has not begun may promise goes on before.
    Closing the iterator (or an exception, KeyboardInterrupt included) ends the workers, and so does the end of this process, however
    it comes. What a worker wrote to standard error follows its answer, a line that another has written before left out; of
    one that died, `Died.reason` has the last line.
    """
    context = multiprocessing.get_context("spawn")
    said: set[str] = set()
    waiting = list(range(len(tasks)))
    running: list[_Running] = []
    try:
        while waiting or running:
            while (task := _to_go_on(running, bool(waiting), budgets.most_to_come(), jobs)) is not None:
                budget_s = budgets.resume(task.index)
                task.pause, task.deadline_s = None, time.monotonic() + budget_s + _GRACE_S
                with contextlib.suppress(OSError):  # it has died: seen when its answer is read
                    task.pipe.send(budget_s)
            while waiting and _at_work(running) < jobs and len(running) - _at_work(running) < _MOST_PAUSED:
                index = waiting.pop(0)
                budget_s = budgets.begin(index)
                ours, theirs = context.Pipe()
                arguments = (work, tasks[index], budget_s, theirs, os.getpid())
                process = context.Process(target=_worker, args=arguments, daemon=False)
                stderr = os.memfd_create("stderr")
                with _stderr_into(stderr):
                    process.start()
                theirs.close()
                running.append(_Running(index, process, ours, time.monotonic() + budget_s + _GRACE_S, stderr))
            wait([task.pipe for task in running], timeout=1.0)
            for task in list(running):
                finished, answer = _poll(task, on_progress, budgets)
                if finished:
                    running.remove(task)
                    budgets.end(task.index)
                    lines = _end(task)
                    if not isinstance(answer, Died):
                        sys.stderr.writelines(f"{line}\n" for line in lines if line not in said)
                        said.update(lines)
                    yield task.index, answer
    finally:
        for task in running:
            _end(task)


def _at_work(running: Sequence[_Running]) -> int:
    return sum(task.pause is None for task in running)


def _to_go_on(running: Sequence[_Running], some_wait: bool, most_to_come: float, jobs: int) -> _Running | None:
    """The paused task whose turn it is, if there is room for one and none has to begin first."""
    paused = [(task.pause.gain, -task.index, task) for task in running if task.pause is not None]
    if not paused or _at_work(running) >= jobs:
        return None
    gain, _, first = max(paused, key=lambda one: one[:2])
    return None if some_wait and gain < most_to_come and len(paused) < _MOST_PAUSED else first


def _poll(task: _Running, on_progress: Callable[[int, Progress], None], budgets: Budgets) -> tuple[bool, Any]:
    try:
        while task.pipe.poll():
            message = task.pipe.recv()
            if isinstance(message, Progress):
                task.stage = message.stage
                on_progress(task.index, message)
            elif isinstance(message, _Pause):
                task.pause, task.deadline_s = message, math.inf
                budgets.pause(task.index, message.gain)
            else:
                return True, message
    except (EOFError, OSError):
        task.process.join(5.0)
        return True, Died(_how_it_ended(task))
    except Exception as error:  # what came is not what a worker sends
        return True, Died(f"its worker's answer cannot be read: {type(error).__name__}: {error}")
    if time.monotonic() > task.deadline_s:
        return True, Died(f"its worker did not end in time and was killed{_where(task)}")
    return False, None


def _how_it_ended(task: _Running) -> str:
    status = task.process.exitcode
    if status is None:
        return "its worker closed its pipe without an answer"
    if status < 0:
        how = f"its worker was ended by {signal.Signals(-status).name}"
        how += ", by hand or for want of memory" if -status == signal.SIGKILL else ""
    else:
        how = f"its worker ended with status {status}"
    lines = _lines(task.stderr)
    return how + _where(task) + (f": {lines[-1]}" if lines else "")


def _where(task: _Running) -> str:
    return f" ({task.stage})" if task.stage else ""


def _end(task: _Running) -> list[str]:
    """End the worker, if it has not ended; returns the lines that it wrote to standard error."""
    task.pipe.close()
    if task.process.is_alive():
        task.process.terminate()
        task.process.join(2.0)
    if task.process.is_alive():
        task.process.kill()
    task.process.join()
    lines = _lines(task.stderr)
    os.close(task.stderr)
    return lines


@contextlib.contextmanager
def _stderr_into(descriptor: int) -> Iterator[None]:
    """Processes that are started meanwhile have `descriptor` as their standard error: multiprocessing has no such option."""
    saved = os.dup(2)
    os.dup2(descriptor, 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)


def _lines(descriptor: int) -> list[str]:
    text = os.pread(descriptor, os.fstat(descriptor).st_size, 0).decode(errors="replace")
    return [line.rstrip() for line in text.splitlines() if line.strip()]


def _worker(work: Callable[..., Any], task: Any, budget_s: float, pipe: Connection, parent: int) -> None:
    orphans.end_with(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what an interrupt means
    try:
        answer = work(task, budget_s, Parent(pipe))
    except Exception as error:
        answer = Died(f"{type(error).__name__}: {error}")
    pipe.send(answer)
    pipe.close()
