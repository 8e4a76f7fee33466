"""What GCC's own dump says of functions that a listing does not: volatile accesses and atomics.

Source: `-fdump-tree-optimized` prints `{v}` behind every volatile access (GCC Internals, tree-pretty-print.cc); it prints it
too where a variable's life ends (`x ={v} {CLOBBER(eol)};`), which is no access.
"""

from __future__ import annotations

import re

_HEADER = re.compile(r"^;; Function .* \((?P<symbol>[^\s,]+), funcdef_no=\d+", re.MULTILINE)
_VOLATILE = re.compile(r"\{v\}(?! \{CLOBBER)")
_ATOMIC = re.compile(r"\b(__atomic_\w+|__sync_\w+|\.ATOMIC_\w+)\b")
_RETURNS_TWICE = re.compile(r"\b(_?_?sigsetjmp|_?setjmp|vfork|getcontext|__builtin_setjmp\w*)\b")


def unsafe_functions(dump: str) -> dict[str, str]:
    """Map the assembled name of every function that must be left alone to the reason, from an `optimized` dump's text."""
    reasons: dict[str, str] = {}
    headers = list(_HEADER.finditer(dump))
    for header, following in zip(headers, [*headers[1:], None], strict=True):
        body = dump[header.end() : following.start() if following else len(dump)]
        symbol = header["symbol"]
        if _VOLATILE.search(body):
            reasons[symbol] = "it accesses volatile memory"
        elif match := _ATOMIC.search(body):
            reasons[symbol] = f"it uses atomics ({match[0]})"
        elif match := _RETURNS_TWICE.search(body):
            reasons[symbol] = f"it calls {match[0]}, which may return twice"
        elif re.search(r"\b__asm__\b", body):
            reasons[symbol] = "it holds inline assembly"
    return reasons
