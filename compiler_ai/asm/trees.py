"""What GCC's dumps say of a function's source that its code does not: types, volatile accesses. On the compile path.

Two sources can compile to one body and yet not allow the same rewrites: `void f` and `int f`, `int *` and `volatile int *`, and
one in which some variable lives in a register.
Source: `-fdump-tree-optimized-alias`, `-fdump-ipa-visibility` (GCC manual, "Developer Options"; tree-pretty-print.cc, symtab.cc).
"""

from __future__ import annotations

from compiler_ai.patterns import MULTILINE, compiled
from compiler_ai.sha256 import sha256

TYPE_CHECKING = False
if TYPE_CHECKING:
    import re
    from collections.abc import Sequence

_HEADER = compiled(r"^;; Function .* \((?P<symbol>[^\s,()]+), funcdef_no=\d+.*\n", MULTILINE)
# With a star: a name of its own for the assembler, or the register that a variable is kept in (GCC manual, "Global Register
# Variables"); the names of GCC's own constants begin with a dot.
_ENTRY = compiled(
    r"^(?P<star>\*?)(?P<name>\S+)/(?P<number>\d+) \((?:(?!@0x).)*\) @0x[0-9a-f]+\n"
    r"  Type: (?:function|(?P<variable>variable))(?P<defined> definition)?(?: [a-z_]+)*(?: target:.*)?\n(?:  (?!Calls|Varpool).*\n)*"
    r"  (?(variable)Varpool flags|Calls):.*\n",
    MULTILINE,
)
_LISTS = compiled(
    r"(?:(?:Introduced|Optimizing weakref) .*\n)*\n(?P<kept>Marking local functions:.*\n\n\nMarking externally visible functions:.*\n\n\n"
    r"Marking externally visible variables:.*\n)\n\n(?P<reclaimed>Reclaiming functions:(?:.*\n)+?Reclaiming variables:(?:.*\n)+?)"
    r"Clearing address taken flags:(?:.*\n)+?Symbol table:\n\n"
)
_MENTION = compiled(r"/(\d+)(?=[ \n])")
_ALWAYS_INLINE = compiled(
    r"^__attribute__\(\(.*\balways_inline\b.*\n(?:__attribute__\(\(.*\n)*[^\n(]*?(?P<name>[^\s*&(]+) \(", MULTILINE
)
# What unrelated changes of the unit change too: numbers that count through the unit, execution counts, dead lines, what -g adds.
_UNIT_NUMBER = compiled(r"\b([A-Za-z_]\w*)\.(\d+)(?=_\d+\b|\b)|(<T)[0-9a-f]+>")
_COUNTS = compiled(r" ?\[(?:local count|count|prob|\d+\.\d+%)[^\]\n]*\]")
_CHATTER = compiled(r"^(?:Removing basic block|Merging blocks|fix_loop_structure:|;;| *# DEBUG ).*\n", MULTILINE)


class Trees:
    """The functions of one `optimized` dump by assembled name, and what the `visibility` dump that stands in front of it, if any,
    says of the unit: `named_variables` are the variables it defines that the source names for the assembler, or puts into registers;
    `definitions` are the functions and variables whose definitions the compiler has seen, but for what has to be inlined, which is
    in GCC's body: one that is mentioned and not in the listing may be in other bodies. `is_whole`: whether all of the visibility
    dump is there. GCC says nothing when it cannot write a dump, or a piece of one."""

    def __init__(self, dump: str) -> None:
        headers = list(_HEADER.finditer(dump))
        ends = [*(header.start() for header in headers[1:]), len(dump)][: len(headers)]
        front = headers[0].start() if headers else len(dump)
        lists = _LISTS.match(dump, 0, front)
        entries = list(_ENTRY.finditer(dump, lists.end(), front)) if lists else []
        self.is_whole = lists is not None and _is_whole(dump, lists, entries)
        defined = [entry for entry in entries if entry["defined"]]
        self.named_variables = frozenset(
            entry["name"]
            for entry in defined
            if entry["star"] and entry["variable"] and not entry["name"].startswith(".")
        )
        self.definitions = frozenset(entry["name"] for entry in defined).difference(
            match["name"] for match in _ALWAYS_INLINE.finditer(dump, 0, front)
        )
        self._dump = dump
        self._spans = {header["symbol"]: (header.end(), end) for header, end in zip(headers, ends, strict=True)}

    def digest(self, symbol: str) -> str | None:
        """64 hex digits that change whenever the function's types or statements do; None for a function not in the dump."""
        span = self._spans.get(symbol)
        if span is None:
            return None
        return sha256(normalised(self._dump[slice(*span)]).encode(errors="surrogateescape")).hexdigest()


def _is_whole(dump: str, lists: re.Match[str], entries: Sequence[re.Match[str]]) -> bool:
    """Whether a visibility dump has an entry, of the form that entries have, for every symbol that it mentions.

    What a unit shows to others stands in it twice, in lists and in the table; the rest is there because something mentions it.
    """
    end = entries[-1].end() if entries else lists.end()
    there = {entry["number"] for entry in entries}.union(_MENTION.findall(lists["reclaimed"]))
    mentioned = {*_MENTION.findall(lists["kept"]), *_MENTION.findall(dump, lists.end(), end)}
    return mentioned <= there


def normalised(text: str) -> str:
    """One function's dump without what other functions of the unit have an influence on."""
    names: dict[str, str] = {}

    def renamed(match: re.Match[str]) -> str:
        return names.setdefault(match[0], f"{match[1] or match[3]}.n{len(names)}")

    text = _COUNTS.sub("", _CHATTER.sub("", text))
    return _UNIT_NUMBER.sub(renamed, text).strip()
