"""What GCC's `optimized` dump says of a function's source that its code does not: types, volatile accesses. On the compile path.

Two sources can compile to one body and yet not allow the same rewrites: `void f` and `int f`, `int *` and `volatile int *`.
Source: `-fdump-tree-optimized` (GCC manual, "Developer Options"; tree-pretty-print.cc).
"""

from __future__ import annotations

from compiler_ai.patterns import MULTILINE, compiled
from compiler_ai.sha256 import sha256

TYPE_CHECKING = False
if TYPE_CHECKING:
    import re

_HEADER = compiled(r"^;; Function .* \((?P<symbol>[^\s,()]+), funcdef_no=\d+.*\n", MULTILINE)
# What unrelated changes of the unit change too: numbers that count through the unit, execution counts, dead lines.
_UNIT_NUMBER = compiled(r"\b([A-Za-z_]\w*)\.(\d+)(?=_\d+\b|\b)|(<T)[0-9a-f]+>")
_COUNTS = compiled(r" ?\[(?:local count|count|prob|\d+\.\d+%)[^\]\n]*\]")
_CHATTER = compiled(r"^(?:Removing basic block|Merging blocks|fix_loop_structure:|;;).*\n", MULTILINE)


class Trees:
    """The functions of one dump, by assembled name."""

    def __init__(self, dump: str) -> None:
        headers = list(_HEADER.finditer(dump))
        ends = [*(header.start() for header in headers[1:]), len(dump)][: len(headers)]
        self._dump = dump
        self._spans = {header["symbol"]: (header.end(), end) for header, end in zip(headers, ends, strict=True)}

    def digest(self, symbol: str) -> str | None:
        """64 hex digits that change whenever the function's types or statements do; None for a function not in the dump."""
        span = self._spans.get(symbol)
        if span is None:
            return None
        return sha256(normalised(self._dump[slice(*span)]).encode(errors="surrogateescape")).hexdigest()


def normalised(text: str) -> str:
    """One function's dump without what other functions of the unit have an influence on."""
    names: dict[str, str] = {}

    def renamed(match: re.Match[str]) -> str:
        return names.setdefault(match[0], f"{match[1] or match[3]}.n{len(names)}")

    text = _COUNTS.sub("", _CHATTER.sub("", text))
    return _UNIT_NUMBER.sub(renamed, text).strip()
