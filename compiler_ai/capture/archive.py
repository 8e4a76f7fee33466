"""The files of captures: which stay, within which bounds, and what is said of the rest."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from compiler_ai.capture import snapshot
from compiler_ai.capture.errors import CaptureError
from compiler_ai.capture.format import Capture, save
from compiler_ai.capture.modules import Target
from compiler_ai.capture.variety import Item, Kind, Selection


@dataclass(frozen=True)
class Limits:
    """How many captures of each function are kept, and bounds: in bytes for all files together and for one function's, in
    seconds for the run and for the time that captures of one function may hold it up."""

    per_function: int = 24
    total_bytes: int = 64 << 20
    time_s: float = 600.0
    snapshot: snapshot.SnapshotLimits = field(default_factory=snapshot.SnapshotLimits)
    function_bytes: int = 16 << 20
    function_s: float = 10.0


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


class Archive:
    """Writes captures and removes those that give way to better ones; keeps `summary` up to date."""

    def __init__(
        self,
        targets: Sequence[Target],
        out_dir: Callable[[Target], Path],
        limits: Limits,
        summary: CaptureSummary,
        chance: random.Random,
    ) -> None:
        self.selections = {target: Selection(limits.per_function, chance) for target in targets}
        self._out_dir = out_dir
        self._limits = limits
        self._summary = summary
        self._first = {target: self._behind_earlier_runs(target) for target in targets}

    def _behind_earlier_runs(self, target: Target) -> int:
        """The first number for this run's files: captures of earlier runs stay."""
        found = self._out_dir(target).glob(f"*.{target.value:x}.*.cap")
        numbers = [path.name.split(".")[-2] for path in found if path.name.startswith(f"{target.symbol}.")]
        return max((int(number) + 1 for number in numbers if number.isdecimal()), default=0)

    def room_bytes(self, target: Target) -> int:
        """What one function's files may take: its part of the whole, or more while half of the whole is free."""
        total_bytes = self._limits.total_bytes
        own_bytes = self.selections[target].size_bytes
        free_bytes = total_bytes - self._summary.bytes_written
        share_bytes = min(total_bytes // max(1, len(self.selections)), own_bytes + free_bytes)
        return min(self._limits.function_bytes, max(share_bytes, own_bytes + free_bytes - total_bytes // 2))

    def keep(self, target: Target, kind: Kind, taken: Capture) -> None:
        """Write a capture, and remove those that give way to it; one that cannot be written is noted."""
        summary, selection = self._summary.functions[target], self.selections[target]
        number = self._first[target] + summary.taken
        path = self._out_dir(target) / f"{target.symbol}.{target.value:x}.{number:05d}.cap"
        try:
            size_bytes = save(taken, path)
        except CaptureError as error:
            summary.note(str(error))
            return
        leaving = selection.admit(kind, size_bytes, self.room_bytes(target))
        freed_bytes = sum(item.size_bytes for item in leaving or ())
        if leaving is None or self._summary.bytes_written - freed_bytes + size_bytes > self._limits.total_bytes:
            path.unlink(missing_ok=True)
            if leaving is not None:
                summary.note("the captures take as much room as they may")
            return
        selection.keep(Item(kind, size_bytes, path.name), leaving)
        for item in leaving:
            path.with_name(item.name).unlink(missing_ok=True)
        self._summary.bytes_written += size_bytes - freed_bytes
        summary.files = [path.with_name(item.name) for item in selection.items]
