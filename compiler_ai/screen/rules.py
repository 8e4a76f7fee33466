"""The error inside the gate, its bounds, and what the gate knows about the unit a candidate wants to enter."""

from __future__ import annotations

from dataclasses import dataclass, field

from compiler_ai.artifacts import Rejection


class Refused(Exception):
    """A candidate breaks a rule; `stage` is the rejection's stage and the message is its reason (one line)."""

    def __init__(self, stage: str, reason: str) -> None:
        super().__init__(reason)
        self.stage = stage

    def rejection(self) -> Rejection:
        return Rejection(self.stage, _printable(str(self))[:400])


def _printable(text: str) -> str:
    """What a candidate says may end up on a terminal: no control characters, one line."""
    return "".join(c if 32 <= ord(c) < 127 else "?" for c in text)


@dataclass(frozen=True)
class Bounds:
    """How large a candidate may be. An assembler's memory is bounded by these before any rlimit is."""

    text_bytes: int = 4 << 20
    lines: int = 100_000
    line_bytes: int = 8192
    labels: int = 50_000
    data_bytes: int = 256 << 10
    alignment_bytes: int = 64
    body_growth: int = 64  # candidate text may be this many times the baseline's ...
    body_slack_bytes: int = 256 << 10  # ... plus this


@dataclass(frozen=True)
class UnitFacts:
    """What of the unit the text check needs.

    ``symbols`` are the names that the unit's object defines or uses, local labels included; ``inside`` are those of them that
    the function itself defines (a candidate may define them again). ``code_sections`` are the section directives, as
    normalised by `text.section_key`, that lead into the function's own sections; ``data_sections`` those of its read-only tables.
    """

    function: str
    symbols: frozenset[str]
    inside: frozenset[str]
    code_sections: frozenset[str]
    data_sections: frozenset[str]
    baseline_body_bytes: int
    exception_lines: frozenset[str] = field(default=frozenset())  # of the baseline: accepted as they are
