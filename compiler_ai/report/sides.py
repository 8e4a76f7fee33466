"""Two bodies side by side: blocks of lines that are the same or differ, with the samples of GCC's."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass

_LABEL = re.compile(r"\.L[\w.$]+")


@dataclass(frozen=True)
class Row:
    """A line of each side, "" where one has none; `share` is the left line's part (0..1) of the function's samples."""

    before: str
    after: str
    kind: str  # "same", "changed", "removed" or "added"
    share: float = 0.0


@dataclass(frozen=True)
class Block:
    """Consecutive rows that are all the same or all different."""

    rows: tuple[Row, ...]
    differs: bool

    @property
    def share(self) -> float:
        return sum(row.share for row in self.rows)

    @property
    def sizes(self) -> tuple[int, int]:
        """How many lines each side has."""
        return sum(bool(row.before) for row in self.rows), sum(bool(row.after) for row in self.rows)


def side_by_side(before: str, after: str, shares: Mapping[int, float] | None = None) -> tuple[Block, ...]:
    """The blocks of two bodies, compared without regard to white space and to what local labels are called; unwind directives and
    line numbers are left out. `shares` are those of the lines of `before`."""
    old, new = _lines(before), _lines(after)
    matcher = difflib.SequenceMatcher(
        None, [_compared(line) for _, line in old], [_compared(line) for _, line in new], False
    )
    blocks = []
    for tag, i, i_end, j, j_end in matcher.get_opcodes():
        rows = []
        for step in range(max(i_end - i, j_end - j)):
            number, left = old[i + step] if i + step < i_end else (-1, "")
            right = new[j + step][1] if j + step < j_end else ""
            kind = "same" if tag == "equal" else "changed" if left and right else "removed" if left else "added"
            rows.append(Row(left, right, kind, (shares or {}).get(number, 0.0)))
        blocks.append(Block(tuple(rows), tag != "equal"))
    return tuple(blocks)


def _lines(text: str) -> list[tuple[int, str]]:
    """(number, line) of what is code or a directive that matters; labels stand out to the left."""
    found = []
    for number, line in enumerate(text.splitlines()):
        words = " ".join(line.split())
        if words and not words.startswith((".cfi", "#", ".loc ")):
            found.append((number, words if words.endswith(":") else "    " + words))
    return found


def _compared(line: str) -> str:
    return _LABEL.sub(".L", line)
