"""Before against after as whole processes: the same output and exit status, and paired timing."""

from __future__ import annotations

import enum
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from compiler_ai.artifacts import Interval
from compiler_ai.measure.statistics import median_interval
from compiler_ai.program.ending import ending
from compiler_ai.program.run import Finished, run


class Verdict(enum.Enum):
    """What a comparison showed."""

    SAME = "same"
    DIFFERENT = "different"
    UNSTABLE = "unstable"  # so are two runs without a rewrite, at the same place
    NOT_RUN = "not run"  # the command ran nothing that was profiled
    CRASHED = "crashed"  # both sides, by the same signal: what they were to do is not compared


_REPEATED = 2  # times that the old program runs once more, when the new one differs from it


@dataclass(frozen=True)
class Difference:
    """Where two runs differ: in `what` ("exit status", "standard output", "standard error"), `where` in it, and how."""

    what: str
    where: str
    how: str

    def __str__(self) -> str:
        return f"{self.what} differs{self.where}: {self.how}"


@dataclass(frozen=True)
class Comparison:
    """`difference` says what differs; `status` is that of both sides where they agree (negative: the signal that ended them);
    `cpu` and `wall` are before/after."""

    verdict: Verdict
    difference: str
    pairs: int
    cpu: Interval | None = None
    wall: Interval | None = None
    before_s: float = 0.0
    after_s: float = 0.0
    status: int | None = None


def compare(
    before: Sequence[str],
    after: Sequence[str],
    replacements: Mapping[Path, Path],
    pairs: int,
    budget_s: float,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
    is_run: Callable[[], bool] = lambda: True,
) -> Comparison:
    """Run `before` (seeing `replacements`) and `after` in random order until `pairs` are done or the budget is spent.

    It ends with the first pair where `is_run` says that nothing of what is compared was run. At least six pairs are run, the fewest that give a 95 % interval of the median. Raises RunError.
    """
    stand_ins = {path: path for path in replacements}  # the same mounts on both sides

    def untimed(first: Finished, second: Finished, pairs: int) -> Comparison | None:
        """The verdict of the last of `pairs` where it ends the comparison."""
        if first.status == second.status and first.status < 0:
            return Comparison(Verdict.CRASHED, "", pairs, status=first.status)
        found = differences(first, second)
        if not found:
            return None
        again = [run(before, replacements) for _ in range(_REPEATED)]
        return Comparison(*judged(found, [one for other in again for one in differences(first, other)]), pairs)

    first, second = run(before, replacements), run(after, stand_ins)
    if not is_run():
        return Comparison(Verdict.NOT_RUN, "", 1)
    if found := untimed(first, second, 1):
        return found
    order = random.Random(seed)
    cpu: list[float] = []
    wall: list[float] = []
    before_s: list[float] = []
    after_s: list[float] = []
    deadline_s = time.monotonic() + budget_s
    while len(cpu) < pairs and (len(cpu) < 6 or time.monotonic() < deadline_s):
        if order.random() < 0.5:
            first, second = run(before, replacements), run(after, stand_ins)
        else:
            second, first = run(after, stand_ins), run(before, replacements)
        if found := untimed(first, second, len(cpu) + 1):
            return found
        cpu.append(max(first.cpu_s, 1e-9) / max(second.cpu_s, 1e-9))
        wall.append(first.wall_s / second.wall_s)
        before_s.append(first.cpu_s)
        after_s.append(second.cpu_s)
        progress(len(cpu), pairs)
    middle = len(cpu) // 2
    return Comparison(
        Verdict.SAME,
        "",
        len(cpu),
        median_interval(cpu),
        median_interval(wall),
        sorted(before_s)[middle],
        sorted(after_s)[middle],
        first.status,
    )


def judged(found: Sequence[Difference], without: Sequence[Difference]) -> tuple[Verdict, str]:
    """What differences are worth when those in `without` are there without a rewrite: what changes by itself says nothing of it."""
    changing = {one.what: one for one in reversed(without)}
    decisive = [one for one in found if one.what not in changing]
    if decisive:
        return Verdict.DIFFERENT, str(decisive[0])
    first = changing[found[0].what]
    return Verdict.UNSTABLE, f"{first.what}{first.where}"


def differences(before: Finished, after: Finished) -> list[Difference]:
    """How two runs' exit status, standard output and standard error differ; the first place in each."""
    found = []
    if before.status != after.status:
        how = f"it ended {ending(before.status)} before, {ending(after.status)} after"
        found.append(Difference("exit status", "", how))
    for name, old, new in (
        ("standard output", before.stdout, after.stdout),
        ("standard error", before.stderr, after.stderr),
    ):
        if old != new:
            at = next((i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new)))
            line = old[:at].count(b"\n") + 1
            how = f"{old[at : at + 30]!r} before, {new[at : at + 30]!r} after"
            found.append(Difference(name, f" at byte {at} (line {line})", how))
    return found
