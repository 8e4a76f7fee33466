"""Runs function tasks in worker processes. A worker that dies loses its own function's answer and nothing else."""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

_GRACE_S = 30.0  # how long past its budget a worker may go on before it is killed


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


@dataclass
class _Running:
    index: int
    process: BaseProcess
    pipe: Connection
    deadline_s: float
    stage: str = ""  # what it last said that it was doing


def run_all(
    tasks: Sequence[Any],
    work: Callable[[Any, float, Callable[[Progress], None]], Any],
    budgets_s: Callable[[int], float],
    jobs: int,
    on_progress: Callable[[int, Progress], None],
) -> Iterator[tuple[int, Any]]:
    """Yield (index, result or Died) as tasks end; at most `jobs` run at once.

    `work(task, budget_s, report)` runs in a fresh process; `budgets_s(index)` is asked when a task starts. Closing the
    iterator (or an exception, KeyboardInterrupt included) ends the workers.
    """
    context = multiprocessing.get_context("spawn")
    waiting = list(range(len(tasks)))
    running: list[_Running] = []
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                index = waiting.pop(0)
                budget_s = budgets_s(index)
                ours, theirs = context.Pipe(duplex=False)
                process = context.Process(target=_worker, args=(work, tasks[index], budget_s, theirs), daemon=False)
                process.start()
                theirs.close()
                running.append(_Running(index, process, ours, time.monotonic() + budget_s + _GRACE_S))
            wait([task.pipe for task in running], timeout=1.0)
            for task in list(running):
                finished, answer = _poll(task, on_progress)
                if finished:
                    running.remove(task)
                    _end(task)
                    yield task.index, answer
    finally:
        for task in running:
            _end(task)


def _poll(task: _Running, on_progress: Callable[[int, Progress], None]) -> tuple[bool, Any]:
    try:
        while task.pipe.poll():
            message = task.pipe.recv()
            if isinstance(message, Progress):
                task.stage = message.stage
                on_progress(task.index, message)
            else:
                return True, message
    except (EOFError, OSError):
        task.process.join(5.0)
        return True, Died(f"its worker ended with status {task.process.exitcode}{_where(task)}")
    if time.monotonic() > task.deadline_s:
        return True, Died(f"its worker did not end in time and was killed{_where(task)}")
    return False, None


def _where(task: _Running) -> str:
    return f" ({task.stage})" if task.stage else ""


def _end(task: _Running) -> None:
    task.pipe.close()
    if task.process.is_alive():
        task.process.terminate()
        task.process.join(2.0)
    if task.process.is_alive():
        task.process.kill()
    task.process.join()


def _worker(work: Callable[..., Any], task: Any, budget_s: float, pipe: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what an interrupt means
    pipe.send(work(task, budget_s, pipe.send))
    pipe.close()
