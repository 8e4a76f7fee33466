"""The key of a baseline: a hash of everything that the evidence for a rewrite of it can rest on. On the compile path.

Two listings give one function the same key only when its body, the bodies of the in-unit functions it refers to, the
read-only data it refers to (all transitively), the kind and size of its unit's writable data, and the target flags agree.
Local label numbers, comments, white space, debug information, unwind directives and positions do not count.
"""

from __future__ import annotations

import hashlib
import re

from compiler_ai.asm.data import DataObject
from compiler_ai.asm.function import Function
from compiler_ai.asm.statements import LOCAL_LABEL, SYMBOL, directive_of, label_of, symbols_in, without_comment
from compiler_ai.errors import AiccError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from compiler_ai.asm.listing import Listing

_VERSION = "aicc-key-2"
_BOOKKEEPING_LABEL = re.compile(r"\.L(VL|VU|FB|FE|BB|BE|FSB|COLD|HOT|M|text|etext|tmp|func_)")
_STRINGS = (".string", ".ascii", ".asciz")
_SKIPPED = frozenset(
    {".loc", ".file", ".type", ".size", ".globl", ".global", ".weak", ".hidden", ".local", ".ident", ".cfi_sections"}
)


class UnknownFunctionError(AiccError):
    """The listing does not define the function."""


def body_key(listing: Listing, function_name: str, target_flags: Sequence[str]) -> str:
    """Return the key (64 hex digits) of a function of `listing`. Raises UnknownFunctionError."""
    function = listing.function(function_name)
    if function is None:
        raise UnknownFunctionError(f"the listing defines no function '{function_name}'")
    digest = hashlib.sha256()
    for line in _Normaliser(listing).closure(function, target_flags):
        digest.update(line.encode(errors="surrogateescape"))
        digest.update(b"\n")
    return digest.hexdigest()


def normalised_body(listing: Listing, function_name: str) -> str:
    """The body alone in normal form, for comparing and for showing. Raises UnknownFunctionError."""
    function = listing.function(function_name)
    if function is None:
        raise UnknownFunctionError(f"the listing defines no function '{function_name}'")
    return "\n".join(_Normaliser(listing).body(function.body_lines))


def normalised_text(body: str) -> str:
    """A body given as text in normal form; labels are numbered in order of appearance."""
    return "\n".join(_Normaliser(None).body(body.splitlines()))


class _Normaliser:
    """Renames local labels in order of first appearance and follows what the text refers to."""

    def __init__(self, listing: Listing | None) -> None:
        self._listing = listing
        self._names: dict[str, str] = {}
        self._names_of_code: set[str] = set()
        self._pending: list[str] = []
        self._seen: set[str] = set()

    def closure(self, function: Function, target_flags: Sequence[str]) -> Iterable[str]:
        yield _VERSION
        yield "flags " + " ".join(sorted(target_flags))
        yield f"function {function.name} global={function.is_global} flags={function.section.flags}"
        self._seen.add(function.name)
        yield from self.body(function.body_lines)
        while self._pending:
            yield from self._dependency(self._pending.pop(0))

    def body(self, lines: Sequence[str]) -> list[str]:
        defined = {label for line in lines if (label := label_of(line))}
        used = {symbol for line in lines if not _is_skipped(line) for symbol in symbols_in(line)}
        for line in lines:  # numbered by their place in the code: a table elsewhere may be all that refers to them
            label = label_of(line)
            if label and (label in used or not _BOOKKEEPING_LABEL.match(label)):
                used.add(label)
                self._names_of_code.add(label)
                self._rename(label)
        result = []
        for line in lines:
            label = label_of(line)
            if label:
                if label in used:
                    result.append(self._rename(label) + ":")
                rest = without_comment(line).partition(":")[2].strip()
                if rest:
                    result.append(self._text(rest, defined))
                continue
            if _is_skipped(line):
                continue
            text = without_comment(line).strip()
            if text:
                result.append(self._text(text, defined))
        return result

    def _dependency(self, symbol: str) -> Iterable[str]:
        listing = self._listing
        if symbol in self._seen or listing is None:
            return
        self._seen.add(symbol)
        target = listing.aliases.get(symbol)
        if target is not None:
            yield f"alias {self._rename(symbol)} {self._text(target, set())}"
            for part in SYMBOL.findall(target):
                self._want(part)
            return
        function = listing.function(symbol)
        if function is not None:
            yield f"function {symbol} global={function.is_global} flags={function.section.flags}"
            yield from self.body(function.body_lines)
            return
        data = listing.data.get(symbol)
        if data is not None:
            yield from self._data(symbol, data)
            return
        if symbol.startswith(".L") and symbol not in self._names_of_code:
            raise UnknownFunctionError(f"{symbol} cannot be resolved, so nothing can be keyed by it")

    def _data(self, symbol: str, data: DataObject) -> Iterable[str]:
        kind = "readonly" if data.readonly else "writable"
        yield f"data {self._rename(symbol)} {kind} {data.section.flags} {data.alignment.strip()} {data.size_bytes} local={data.local}"
        if data.readonly:
            for line in data.lines:
                text = without_comment(line).strip()
                if text and not text.startswith("#"):
                    yield self._text(text, set())

    def _text(self, text: str, defined: set[str]) -> str:
        """A statement with single spaces and renamed labels; what it refers to outside of `defined` is noted."""
        for symbol in symbols_in(text):
            if symbol not in defined:
                self._want(symbol)
        if text.startswith(_STRINGS):
            return text
        if '"' not in text:
            text = " ".join(text.split())
        return LOCAL_LABEL.sub(lambda match: self._rename(match[0]), text)

    def _want(self, symbol: str) -> None:
        if symbol not in self._seen and symbol not in self._pending:
            self._pending.append(symbol)

    def _rename(self, label: str) -> str:
        if not label.startswith(".L"):
            return label
        return self._names.setdefault(label, f".L{len(self._names)}")


def _is_skipped(line: str) -> bool:
    directive = directive_of(line)
    return directive in _SKIPPED or directive.startswith(".cfi_") or line.lstrip().startswith("#")
