"""The key of a baseline: a hash of everything that the evidence for a rewrite of it can rest on. On the compile path.

Two listings give one function the same key only when these agree: its body; the bodies of the in-unit functions and the
content of the read-only and of the local data that it refers to, transitively (another compiler may know that a local
variable keeps its first value); the types and statements of these functions in GCC's tree dump (asm.trees); kind, size and alignment of the other data; visibility and weakness of every symbol; the
code of its in-unit callers, transitively (what they rely on beyond the ABI: asm.callers), and the data that they mention when
nobody else can call it (what they pass may be known); whatever mentions a writable local variable that it refers to (who else
can reach it, and what they write, may be known); the target flags, in order.
Local label numbers, comments, white space, debug information, unwind directives, positions and sections' names do not count.

The key is the baseline's. A candidate that refers to more of the unit than its baseline does would rest on what the key
does not see: `uncovered` names such symbols.
"""

from __future__ import annotations

from compiler_ai.asm.callers import ancestors, users
from compiler_ai.asm.data import DataObject
from compiler_ai.asm.function import Function
from compiler_ai.asm.statements import (
    LABEL,
    LOCAL_LABEL,
    SYMBOL,
    VISIBILITY,
    directive_of,
    label_of,
    split_statements,
    symbols_in,
    without_comment,
)
from compiler_ai.errors import AiccError
from compiler_ai.patterns import compiled
from compiler_ai.sha256 import sha256

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from compiler_ai.asm.listing import Listing
    from compiler_ai.asm.trees import Trees
    from compiler_ai.candidates import AnyBody

_VERSION = "aicc-key-5"
_BOOKKEEPING_LABEL = compiled(r"\.L(VL|VU|FB|FE|BB|BE|BI|FSB|COLD|HOT|M|text|etext|tmp|func_)")
# -ffunction-sections names the sections of code after the function; where code lies does not count.
_OWN_SECTION = compiled(
    r"\.section\s+\.text\.(?P<kind>(?:unlikely|hot|startup|exit)(?=[.,]))?(?P<name>\.?[^,]+)?(?P<rest>,\"ax\",@progbits)?$"
)
_STRINGS = (".string", ".ascii", ".asciz")
_SKIPPED = frozenset(
    {".loc", ".file", ".type", ".size", ".globl", ".global", ".weak", ".local", ".ident", ".cfi_sections", *VISIBILITY}
)


class UnknownFunctionError(AiccError):
    """The listing does not define the function, or it depends on something that cannot be read."""


def body_key(listing: Listing, function_name: str, target_flags: Sequence[str], trees: Trees | None) -> str:
    """Return the key (64 hex digits) of a function of `listing`, compiled together with `trees`.

    Without trees two sources that differ in their types alone may share a key. Raises UnknownFunctionError.
    """
    return keyed(listing, function_name, target_flags, trees)[0]


def keyed(
    listing: Listing, function_name: str, target_flags: Sequence[str], trees: Trees | None
) -> tuple[str, frozenset[str]]:
    """The key, and what `covered` returns. Raises UnknownFunctionError."""
    function = listing.function(function_name)
    if function is None:
        raise UnknownFunctionError(f"the listing defines no function '{function_name}'")
    if trees is not None and not trees.is_whole:
        raise UnknownFunctionError("there is no dump of GCC's, or a piece of one, to tell the unit's types by")
    for name in sorted(trees.named_variables) if trees is not None else ():
        if f"\n{name}:" not in listing.text and f"\t.comm\t{name}," not in listing.text:
            raise UnknownFunctionError(f"the unit may keep a variable in a register: {name} is no label")
    normaliser = _Normaliser(listing, trees)
    text = "".join(f"{line}\n" for line in normaliser.closure(function, target_flags))
    digest = sha256(text.encode(errors="surrogateescape")).hexdigest()
    return digest, frozenset({function_name, *function.aliases, *normaliser.seen})


def covered(listing: Listing, function_name: str) -> frozenset[str]:
    """The names of the unit that the baseline's key depends on: whatever its body mentions, and what that does in turn.

    Raises UnknownFunctionError.
    """
    return keyed(listing, function_name, (), None)[1]


def uncovered(
    listing: Listing, function_name: str, candidate: AnyBody, known: frozenset[str] | None = None
) -> list[str]:
    """What of the unit the candidate refers to and the baseline's key does not depend on, in alphabetical order.

    Local labels of the unit count too: their numbers are not part of the key. `known` is what `covered` says, where that is at hand.
    Raises UnknownFunctionError.
    """
    known = covered(listing, function_name) if known is None else known
    lines = [*candidate.body.splitlines(), *candidate.extra.splitlines()]
    own = {label for line in lines if (label := label_of(line))}
    used = {symbol for line in lines if not _is_skipped(line) for symbol in symbols_in(line)} - own
    return sorted(s for s in used if s in listing.defined and (s.startswith(".L") or s not in known))


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

    def __init__(self, listing: Listing | None, trees: Trees | None = None) -> None:
        self._listing = listing
        self._trees = trees
        self._names: dict[str, str] = {}
        self._names_of_code: set[str] = set()
        self._pending: list[str] = []
        self.seen: set[str] = set()
        self._variables: set[str] = set()
        self._by_hand = False

    def closure(self, function: Function, target_flags: Sequence[str]) -> Iterable[str]:
        yield _VERSION
        yield "flags " + " ".join(target_flags)
        yield f"function {function.name} global={function.is_global} flags={function.section.flags}"
        tree = self._tree(function)
        if self._trees is not None and tree is None:
            raise UnknownFunctionError(f"GCC's tree dump does not have '{function.name}', so its types are unknown")
        yield f"tree {tree}"
        self.seen.add(function.name)
        yield from self.body(function.body_lines)
        callers = ancestors(function.listing, function.name)
        for caller in callers:
            yield f"caller {caller.name}"
            yield from _Normaliser(None).body(caller.body_lines)
            if not function.is_global:
                self._want_data(caller)
        while self._pending:
            yield from self._dependency(self._pending.pop(0))
        yield from self._users(function.listing, {caller.name for caller in callers})

    def _want_data(self, caller: Function) -> None:
        for line in caller.body_lines:
            for symbol in symbols_in(line) if not _is_skipped(line) else ():
                data = caller.listing.data.get(symbol)
                if data is not None and not data.is_table:
                    self._want(symbol)

    def _users(self, listing: Listing, callers: set[str]) -> Iterable[str]:
        functions: dict[str, Function] = {}
        for variable in sorted(self._variables):
            found, others = users(listing, variable)
            yield f"users of {variable}: {' '.join(sorted({one.name for one in found}))} {'; '.join(sorted(others))}"
            functions |= {one.name: one for one in found}
        for name in sorted(functions.keys() - self.seen - callers):
            yield f"user {name}"
            yield from _Normaliser(None).body(functions[name].body_lines)

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
            match = LABEL.match(line)
            if match:
                label = match[1].strip('"')
                if label in used:
                    result.append(self._rename(label) + ":")
                line = line[match.end() :]
            if _is_skipped(line):
                continue
            text = without_comment(line).strip()
            if text:
                text = _without_own_section(text) if text.startswith(".section") else text
                result.append(self._text(text, defined))
        return result

    def _dependency(self, symbol: str) -> Iterable[str]:
        listing = self._listing
        if symbol in self.seen or listing is None:
            return
        self.seen.add(symbol)
        attributes = listing.attributes(symbol)
        if attributes:
            yield f"symbol {symbol} {' '.join(sorted(attributes))}"
        target = listing.aliases.get(symbol)
        if target is not None:
            yield f"alias {self._rename(symbol)} {self._text(target, set())}"
            for part in SYMBOL.findall(target):
                self._want(part)
            return
        function = listing.function(symbol)
        data = listing.data.get(symbol)
        if function is not None:
            yield f"function {symbol} global={function.is_global} flags={function.section.flags}"
            yield f"tree {self._tree(function)}"
            yield from self.body(function.body_lines)
        elif data is not None:
            yield from self._data(symbol, data)
        elif listing.defined_by_hand(symbol):
            yield from self._assembly(listing)
        elif symbol not in self._names_of_code and (symbol.startswith(".L") or symbol in listing.defined):
            raise UnknownFunctionError(f"{symbol} cannot be resolved, so nothing can be keyed by it")
        elif self._trees is not None and symbol in self._trees.definitions:
            # An inline function of C, or an instance of a template that another unit has: a rewrite may hold its body.
            raise UnknownFunctionError(
                f"{symbol} is defined in the source and not in the listing, which hides what it does"
            )

    def _tree(self, function: Function) -> str | None:
        """The digest of the function's types and statements; GCC dumps one of several names of a body."""
        names = (function.name, *function.aliases)
        return next((found for name in names if self._trees and (found := self._trees.digest(name))), None)

    def _data(self, symbol: str, data: DataObject) -> Iterable[str]:
        kind = "readonly" if data.readonly else "writable"
        if data.local and not data.readonly:
            self._variables.add(symbol)
        yield f"data {self._rename(symbol)} {kind} {data.section.flags} {data.alignment.strip()} {data.size_bytes} local={data.local}"
        is_common = bool(data.lines) and "comm" in directive_of(data.lines[0])  # its alignment is an operand
        if data.readonly or data.local or is_common:
            for line in data.lines:
                text = without_comment(line).strip()
                if text and not text.startswith("#"):
                    yield self._text(text, set())

    def _assembly(self, listing: Listing) -> Iterable[str]:
        """Everything that is written by hand in the unit, once: what it defines can hardly be told apart."""
        if not self._by_hand:
            self._by_hand = True
            for number in listing.assembly:
                yield self._text(listing.lines[number].strip(), set())

    def _text(self, text: str, defined: set[str]) -> str:
        """A statement with single spaces and renamed labels; what it refers to outside of `defined` is noted."""
        for statement in split_statements(text) if ";" in text else (text,):
            for symbol in symbols_in(statement):
                if symbol not in defined:
                    self._want(symbol)
        if text.startswith(_STRINGS):
            return text
        if '"' not in text:
            text = " ".join(text.split())
        return LOCAL_LABEL.sub(lambda match: self._rename(match[0]), text)

    def _want(self, symbol: str) -> None:
        if symbol not in self.seen and symbol not in self._pending:
            self._pending.append(symbol)

    def _rename(self, label: str) -> str:
        if not label.startswith(".L"):
            return label
        return self._names.setdefault(label, f".L{len(self._names)}")


def _without_own_section(text: str) -> str:
    """The directive for a section of code as it is without -ffunction-sections."""
    match = _OWN_SECTION.match(text)
    if not match or not match["name"]:
        return text
    return f".section\t.text.{match['kind']}{match['rest'] or ''}" if match["kind"] else ".text"


def _is_skipped(line: str) -> bool:
    directive = directive_of(line)
    return directive in _SKIPPED or directive.startswith(".cfi_") or line.lstrip().startswith("#")
