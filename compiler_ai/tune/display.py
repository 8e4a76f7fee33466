"""The live screen of `aicc-tool tune`; plain lines when standard output is not a terminal."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from types import TracebackType

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from compiler_ai.artifacts import FunctionResult, HotFunction
from compiler_ai.report.tally import TOO_LATE, tally
from compiler_ai.tune.pool import Died, Progress
from compiler_ai.wording import counted


@dataclass
class _Row:
    hot: HotFunction
    state: str = "waiting"
    progress: Progress | None = None
    best: float = 0.0


@dataclass
class Display:
    """Shows one row a function: what it is doing, how far it is, the best ratio so far; and the time left."""

    console: Console
    functions: list[HotFunction]
    budget_s: float
    jobs: int
    _rows: list[_Row] = field(init=False)
    _started_s: float = field(default_factory=time.monotonic)
    _live: Live | None = None

    def __post_init__(self) -> None:
        self._rows = [_Row(hot) for hot in self.functions]

    def __enter__(self) -> Display:
        if self.console.is_terminal:
            self._live = Live(self._render(), console=self.console, refresh_per_second=4, transient=True)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def progressed(self, index: int, progress: Progress) -> None:
        row = self._rows[index]
        row.state, row.progress = progress.stage, progress
        row.best = max(row.best, progress.best)
        self._refresh()

    def finished(self, index: int, answer: FunctionResult | Died) -> None:
        row = self._rows[index]
        row.progress = None
        if isinstance(answer, Died):
            row.state = f"failed: {answer.reason}"
        elif answer.rewrite is not None:
            row.best = answer.rewrite.timing.warm.ratio
            row.state = f"faster: {row.best:.2f}x, {answer.rewrite.evidence.grade.name.lower()}"
        else:
            counts = tally(answer)
            stays = answer.skipped or f"GCC's body stays ({counted(counts.tried, 'candidate')} tried)"
            row.state = TOO_LATE if counts.is_too_late else stays
        if self._live is None:
            done = sum(row.progress is None and row.state != "waiting" for row in self._rows)
            name = row.hot.profiled.symbol
            self.console.print(f"[{done}/{len(self._rows)}] {name}: {row.state}", highlight=False, markup=False)
        self._refresh()

    def _refresh(self) -> None:
        if self._live is not None:
            self._live.update(self._render())

    def _render(self) -> Group:
        elapsed_s = time.monotonic() - self._started_s
        table = Table(box=None, pad_edge=False)
        for heading in ("function", "share", "doing", "", "best"):
            table.add_column(heading)
        for row in self._rows:
            bar: ProgressBar | Text = Text("")
            if row.progress is not None and row.progress.total:
                bar = ProgressBar(total=row.progress.total, completed=row.progress.done, width=20)
            elif row.progress is not None:
                bar = Text(f"{row.progress.done} found")
            best = Text(f"{row.best:.2f}x", style="green") if row.best > 1 else Text("")
            share = f"{row.hot.share:.1%}"
            table.add_row(Text(row.hot.profiled.symbol), share, Text(row.state[:60], overflow="ellipsis"), bar, best)
        left_s = max(0.0, self.budget_s - elapsed_s)
        line = f"{elapsed_s:.0f} s so far, at most {left_s:.0f} s left. Ctrl-C stops; nothing found is lost."
        return Group(table, Text(line, style="dim"))
