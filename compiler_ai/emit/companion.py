"""-faicc-emit=object: the rewritten functions of foo.c as a listing of their own beside GCC's. On the compile path.

GCC's listing keeps every body; the rewritten functions' symbols become weak, so the strong ones of the companion win when
it is linked and nothing is missing when it is not. What a rewrite needs of the unit that has no global name (static
functions and variables, GCC's body behind a CPU check) gets a hidden one, unique to the pair; anonymous constants are
copied. Both texts carry the digest of the pair, by which the link step tells that they belong together.
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass

from compiler_ai.asm.splice import SpliceError, check_replaceable, ends_in_section, label_safe, tail_position
from compiler_ai.asm.statements import VISIBILITY, directive_of, label_of, symbols_in
from compiler_ai.candidates import Body
from compiler_ai.emit import marks
from compiler_ai.emit.dispatch import dispatched
from compiler_ai.emit.labels import with_own_labels

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from compiler_ai.asm.listing import Listing
    from compiler_ai.emit.chosen import Chosen

_PART = re.compile(r"(\.L\w+)(\+\d+)?")


@dataclass(frozen=True)
class Pair:
    """GCC's listing and its companion's, the digest that joins them, and the functions that the companion has."""

    unit_text: str
    companion_text: str
    digest: str
    functions: tuple[str, ...]


def separate(unit: Listing, chosen: Sequence[Chosen], flags: Sequence[str], notes: list[str]) -> Pair | None:
    """The pair for `chosen`; None when none of them can be kept apart. A function that cannot keeps GCC's body, with a note."""
    reason = _unit_refusal(unit)
    if reason:
        notes.append(f"no object of its own: {reason}")
        return None
    pieces: list[_Piece] = []
    digest = _digest(unit, chosen, flags)
    for one in chosen:
        try:
            pieces.append(_Piece(unit, one, digest))
        except SpliceError as error:
            notes.append(f"{one.function}: GCC's body is kept: {error}")
    if not pieces:
        return None
    return Pair(_unit_text(unit, pieces, digest), _companion_text(unit, pieces, digest), digest,
                tuple(piece.function.name for piece in pieces))  # fmt: skip


def _unit_refusal(unit: Listing) -> str:
    if "\t.section\t.gnu.lto_" in unit.text:
        return "the unit is compiled with -flto"
    options = os.environ.get("COLLECT_GCC_OPTIONS", "")
    if "'-fltrans'" in options:
        return "link-time optimisation assembles while linking"
    if "'-ffreestanding'" in options:
        return "a freestanding program's linker script need not know a second object"
    return ""


def _digest(unit: Listing, chosen: Sequence[Chosen], flags: Sequence[str]) -> str:
    digest = hashlib.sha256(b"aicc-companion 1\0")
    for text in (unit.text, *flags):
        digest.update(text.encode(errors="surrogateescape") + b"\0")
    for one in chosen:
        fields = (one.function, one.candidate.body, one.candidate.extra, str(one.dispatched), *one.candidate.features)
        digest.update("\0".join(fields).encode(errors="surrogateescape") + b"\0")
    return digest.hexdigest()


class _Piece:
    """One function of the companion: its text, and what the unit has to give a hidden name for it. Raises SpliceError."""

    def __init__(self, unit: Listing, chosen: Chosen, digest: str) -> None:
        found = unit.function(chosen.function)
        if found is None:
            raise SpliceError("the listing does not define it")
        self.unit, self.function, self._suffix = unit, found, f".aicc.{digest[:16]}"
        self.hidden: dict[str, str] = {}  # new hidden name -> what it stands for
        self._copied: dict[str, list[str]] = {}
        self.local_aliases = tuple(alias for alias in found.aliases if not unit.is_global(alias))
        self._check()
        candidate = with_own_labels(chosen.candidate, f"o{len(found.name)}_{label_safe(found.name)}")
        if chosen.dispatched:
            baseline = self._hide(found.name, ".aicc_baseline" + self._suffix)
            made = dispatched(candidate, found, baseline, chosen.rewrite.target)
            candidate = Body(candidate.function, made.code, made.extra, candidate.features)
        self.candidate = self._linked(candidate)

    def text(self) -> str:
        name, unit = self.function.name, self.unit
        lines = [self.function.section.directive + "\n"]
        lines += [line for line in unit.lines[max(0, self.function.entry - 6) : self.function.entry] if _aligns(line)]
        for symbol in (name, *self.local_aliases):
            lines += [f"\t.globl\t{symbol}\n", f"\t.type\t{symbol}, @function\n"]
            lines += [f"\t.set\t{symbol}, {name}\n", f"\t.hidden\t{symbol}\n"] if symbol != name else []
        lines += [f"{name}:\n", self.candidate.body]
        if not ends_in_section(self.candidate.body):
            lines.append(self.function.section.directive + "\n")
        lines += [f"\t.size\t{name}, .-{name}\n", self.candidate.extra]
        lines += [line for copied in self._copied.values() for line in copied]
        return "".join(lines)

    def _check(self) -> None:
        function, unit = self.function, self.unit
        check_replaceable(function)
        if not function.is_global:
            raise SpliceError("it is static")
        if function.section.group or not re.fullmatch(r"\.text(\..*)?", function.section.name):
            raise SpliceError(f"it is in {(function.section.group and 'a COMDAT group') or function.section.name}")
        names = re.escape(function.name)
        if not re.search(rf"^\t\.globl\t{names}$", unit.text, re.MULTILINE):
            raise SpliceError("it is weak")
        if re.search(rf"^\t\.symver\s+{names}\b|^\t\.type\t{names}, [@%]gnu_indirect", unit.text, re.MULTILINE):
            raise SpliceError("it has a symbol version or is an ifunc")
        for alias in function.aliases:
            if unit.is_global(alias) or not alias.startswith(function.name + ".localalias"):
                raise SpliceError(f"{alias} is another name of it, which would keep GCC's body")

    def _linked(self, candidate: Body) -> Body:
        """The candidate with everything that it refers to made reachable from another object."""
        text = candidate.body + candidate.extra
        defined = {label for line in text.splitlines() if (label := label_of(line))} | set(self.hidden)
        names: dict[str, str] = {}
        for line in text.splitlines():
            if not directive_of(line).startswith((".type", ".size", ".section")):
                for symbol in symbols_in(line):
                    if symbol not in defined and symbol not in names and symbol != self.function.name:
                        names[symbol] = self._reachable(symbol)
        changed = {old: new for old, new in names.items() if old != new}
        if not changed:
            return candidate
        pattern = re.compile(r"(?<![\w.$@%])(?:" + "|".join(map(re.escape, changed)) + r")(?![\w.$])")

        def renamed(part: str) -> str:
            return "".join(_rename(line, pattern, changed) for line in part.splitlines(keepends=True))

        return Body(candidate.function, renamed(candidate.body), renamed(candidate.extra), candidate.features)

    def _reachable(self, symbol: str) -> str:
        """The name by which another object reaches `symbol` of the unit. Raises SpliceError."""
        unit = self.unit
        if symbol in self.local_aliases or symbol not in unit.defined or unit.is_global(symbol):
            return symbol
        if symbol.startswith(".L"):
            self._copy(symbol)
            return symbol
        data = unit.data.get(symbol)
        if data is not None and ("T" in data.section.flags or data.section.group):
            raise SpliceError(f"{symbol} is local and thread-local or in a group")
        if data is not None and directive_of(data.lines[0] if data.lines else "") == ".comm" and not data.local:
            return symbol
        if data is None and unit.function(symbol) is None:
            raise SpliceError(f"{symbol} is local to the unit")
        return self._hide(symbol, self._suffix)

    def _hide(self, symbol: str, suffix: str) -> str:
        self.hidden[symbol + suffix] = symbol
        return symbol + suffix

    def _copy(self, label: str) -> None:
        """Bring anonymous read-only data along, with what it refers to; it keeps its name, which is local to an object."""
        if label in self._copied:
            return
        unit = self.unit
        self._copied[label] = []
        alias = unit.aliases.get(label)
        if alias is not None:
            part = _PART.fullmatch(alias)
            if part is None:
                raise SpliceError(f"{label} stands for {alias}")
            self._copy(part[1])
            self._copied[label] = [f"\t.set\t{label}, {alias}\n"]
            return
        data = unit.data.get(label)
        if data is None or not data.readonly or data.section.group:
            raise SpliceError(f"{label} is no constant of the unit")
        for line in data.lines:
            if symbols_in(line):
                raise SpliceError(f"{label} refers to {symbols_in(line)[0]}")
        self._copied[label] = [data.section.directive + "\n", data.alignment, f"{label}:\n", *data.lines]


def _unit_text(unit: Listing, pieces: Sequence[_Piece], digest: str) -> str:
    """GCC's listing with the rewritten functions weak, the hidden names and the mark."""
    weak = {f"\t.globl\t{piece.function.name}\n": f"\t.weak\t{piece.function.name}\n" for piece in pieces}
    lines = [weak.get(line, line) for line in unit.lines]
    position = tail_position(lines)
    added: list[str] = []
    for piece in pieces:
        for alias in piece.local_aliases:  # calls that GCC bound to its own body go where the symbol goes
            added += [f"\t.weak\t{alias}\n", f"\t.hidden\t{alias}\n"]
    for name, symbol in {new: old for piece in pieces for new, old in piece.hidden.items()}.items():
        kind = "function" if unit.function(symbol) is not None else "object"
        added += [
            f"\t.globl\t{name}\n",
            f"\t.hidden\t{name}\n",
            f"\t.type\t{name}, @{kind}\n",
            f"\t.set\t{name}, {symbol}\n",
        ]
    return "".join([*lines[:position], *added, marks.needs(digest), *lines[position:]])


def _companion_text(unit: Listing, pieces: Sequence[_Piece], digest: str) -> str:
    header = [line for line in unit.lines[:40] if re.match(r'\t\.file\t"|\t\.cfi_sections\b', line)]
    body = _with_section_flags(unit, "".join(piece.text() for piece in _without_repeated_copies(pieces)))
    mentioned = {symbol for line in body.splitlines() for symbol in symbols_in(line)}
    shown = [
        line
        for line in unit.lines
        if directive_of(line) in VISIBILITY and line.split()[1] in mentioned and line.split()[1] in _known(unit)
    ]
    hidden = [f"\t.hidden\t{name}\n" for piece in pieces for name in piece.hidden]
    tail = unit.lines[tail_position(unit.lines) :]
    introduced = sorted(symbol for symbol in mentioned if _is_new(unit, pieces, symbol, body))
    return "".join(
        [*header, body, *dict.fromkeys(shown), *dict.fromkeys(hidden), marks.belongs(digest, introduced), *tail]
    )


def _with_section_flags(unit: Listing, text: str) -> str:
    """Compilers give a section's flags once; what is taken out of a listing may have lost them."""
    full = {section.name: section.directive + "\n" for section in reversed(unit.sections) if "," in section.directive}

    def completed(line: str) -> str:
        words = line.split()
        if directive_of(line) != ".section" or len(words) != 2 or "," in line:
            return line
        constants = re.fullmatch(r"\.rodata\.(str\d+\.|cst)(\d+)", words[1])
        if constants and words[1] not in full:
            flags = "aMS" if constants[1] != "cst" else "aM"
            return f'\t.section\t{words[1]},"{flags}",@progbits,{constants[2]}\n'
        return full.get(words[1], line)

    return "".join(map(completed, text.splitlines(keepends=True)))


def _without_repeated_copies(pieces: Sequence[_Piece]) -> Sequence[_Piece]:
    """A constant that two functions share is copied once."""
    seen: set[str] = set()
    for piece in pieces:
        for label in [label for label in piece._copied if label in seen]:
            del piece._copied[label]
        seen.update(piece._copied)
    return pieces


def _is_new(unit: Listing, pieces: Sequence[_Piece], symbol: str, body: str) -> bool:
    """Whether the companion needs a symbol that the unit neither has nor needs: memcpy and its like."""
    if symbol.startswith(".") or symbol in unit.undefined or symbol in unit.defined:
        return False
    return not any(symbol in piece.hidden for piece in pieces) and f"\n{symbol}:" not in body


def _known(unit: Listing) -> frozenset[str]:
    return unit.defined | unit.undefined


def _rename(line: str, pattern: re.Pattern[str], names: dict[str, str]) -> str:
    """Symbols in operands, never in the mnemonic."""
    match = re.match(r"^(\s*(?:[\w.$]+:)?\s*\S+\s)(.*)$", line, re.DOTALL)
    if match is None or line.lstrip().startswith(("#", ".string", ".ascii", ".asciz")):
        return line
    return match[1] + pattern.sub(lambda found: names[found[0]], match[2])


def _aligns(line: str) -> bool:
    return directive_of(line) in (".p2align", ".align", ".balign")
