"""Takes a function's body out of another listing of the same unit and makes it fit GCC's.

Every obstacle ends in a Rejection with its reason; what comes out as a Candidate refers only to what GCC's listing has, to
library functions the target allows, and to what it brings along under names of its own (DESIGN, "Search and splicing").
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from compiler_ai.artifacts import Candidate, Rejection
from compiler_ai.asm.aligned_operands import without_aligned_operands
from compiler_ai.asm.data import DataObject
from compiler_ai.asm.function import Function
from compiler_ai.asm.listing import Listing
from compiler_ai.asm.normalise import covered, normalised_text
from compiler_ai.asm.statements import (
    LOCAL_LABEL,
    SYMBOL,
    VISIBILITY,
    directive_of,
    label_of,
    symbols_in,
    without_comment,
)
from compiler_ai.proposers.variables import STATIC_PREFIX
from compiler_ai.toolchains.description import Toolchain

_NAME = re.compile(r"(?<![\w.$])(?!\.L)[\w.][\w.$]*")
_DROPPED = frozenset(
    {
        ".loc",
        ".file",
        ".type",
        ".size",
        ".globl",
        ".global",
        ".weak",
        *VISIBILITY,
        ".local",
        ".addrsig",
        ".addrsig_sym",
        ".cg_profile",
        ".ident",
    }
)
_LOCAL_ALIAS = re.compile(r"^\.L(.+)\$local$")
# Clang names the fill of code alignment; nops are what every assembler fills with anyway.
_ALIGN_FILL = re.compile(r"^(\s*\.p2align\s+\d+),\s*0x0$")
_PART = re.compile(r"(\.LC\d+)(\+\d+)")
_COUNTED = re.compile(r"\.\d+$")
_BRANCH = re.compile(r"^\s*(?:(?:bnd|notrack)\s+)?(?:callq?|j[a-z]+)\s+(?P<target>[A-Za-z_.][\w.$]*)(?:@PLT)?\s*$")
_MOST_BROUGHT_LINES = 6000  # of local callees that a body brings along
_SWITCHES = (".section", ".text", ".data", ".bss", ".previous", ".pushsection", ".popsection")


class _Refused(Exception):
    """The body cannot be made to fit; the message is the reason."""


@dataclass(frozen=True)
class Source:
    """Where a body comes from: the other listing, whose compiler may give local functions conventions of their own
    (`own_conventions`: LLVM changes signatures in place, GCC renames what it changes)."""

    listing: Listing
    own_conventions: bool
    proposer: str
    origin: str
    features: tuple[str, ...]
    statics: Callable[[], Mapping[str, int]] = (
        dict  # how many static variables of its functions the unit has of each C name
    )


def transplant(
    source: Source, target: Listing, function_name: str, prefix: str, toolchain: Toolchain
) -> Candidate | Rejection | None:
    """The body of `function_name` in `source` as a candidate for `target`; None when it is the baseline's own.

    `prefix` makes the labels unique (letters, digits and underscores).
    """
    try:
        return _Transplant(source, target, function_name, prefix, toolchain).run()
    except _Refused as refused:
        return Rejection("propose", f"{source.origin}: {refused}")


@dataclass(frozen=True)
class _Part:
    """One function of the other listing: its code, and the chunks of data between it, each with its section."""

    code: list[str]
    data: list[list[str]]

    @property
    def lines(self) -> list[str]:
        return [*self.code, *(line for chunk in self.data for line in chunk)]


@dataclass
class _Transplant:
    source: Source
    target: Listing
    name: str
    prefix: str
    toolchain: Toolchain
    _names: dict[str, str] = field(default_factory=dict)
    _extra: list[str] = field(default_factory=list)
    _callees: list[Function] = field(default_factory=list)  # to bring along, in the order of their first call
    _addressed: set[str] = field(
        default_factory=set
    )  # functions whose address is taken: they have the standard convention

    def run(self) -> Candidate | None:
        theirs, ours = self.source.listing.function(self.name), self.target.function(self.name)
        if ours is None:
            raise _Refused("GCC's listing does not define the function")
        if theirs is None:
            raise _Refused("the function is not there: inlined everywhere, or of another name")
        if theirs.has_inline_assembly:
            raise _Refused("it holds inline assembly")
        main = self._separated(theirs)
        if normalised_text("".join(main.code)) == _normalised(self.target, self.name):
            return None
        if "__stack_chk_fail" in ours.body and "__stack_chk_fail" not in "".join(main.code):
            raise _Refused("it lacks the baseline's stack protector")
        if _starts_with_landing_pad(ours) and not any("endbr64" in line for line in main.code[:8]):
            raise _Refused("it lacks the baseline's endbr64")
        parts = [main]
        self._settle_part(main)
        for callee in self._callees:  # grows while callees call others
            part = self._separated(callee)
            self._settle_part(part)
            parts.append(_Part([f"{callee.name}:\n", *part.code], part.data))
            if sum(len(one.code) for one in parts[1:]) > _MOST_BROUGHT_LINES:
                raise _Refused("it calls too much that would have to be brought along")
        code = _joined([part.code for part in parts])
        body = "".join(self._renamed(line) for line in code)
        extra = "".join(self._renamed(line) for part in parts for chunk in part.data for line in chunk)
        extra += "".join(self._extra)
        found = Candidate(self.name, body, extra, self.source.proposer, self.source.origin, self.source.features)
        return without_aligned_operands(found, self.target, self.toolchain)

    def _settle_part(self, part: _Part) -> None:
        """Give the part's own labels fresh names, and see that whatever else it mentions means the same in GCC's listing."""
        own = {label for line in part.lines if (label := label_of(line))}
        for label in own:
            self._names[label] = self._fresh(label)
        lines = [line for line in part.lines if directive_of(line) not in _SWITCHES]  # sections' names are no symbols
        branches = [(line, _BRANCH.match(line)) for line in lines]
        self._point_to({symbol for line, branch in branches if branch is None for symbol in symbols_in(line)})
        for line, _ in branches:
            for symbol in symbols_in(line):
                if symbol not in own:
                    self._settle(symbol)

    def _point_to(self, symbols: set[str]) -> None:
        """Note what has its address taken; a copy that came along already would be another function than the one pointed to."""
        for callee in self._callees:
            if callee.name in symbols:
                raise _Refused(f"it both calls {callee.name} and takes its address")
        self._addressed |= symbols

    def _separated(self, function: Function) -> _Part:
        """The function's code, a `.cold` part behind the hot one, and the data inside of the body."""
        listing = function.listing
        code: list[str] = []
        data: list[list[str]] = []
        lines = list(enumerate(listing.lines[function.entry + 1 : function.size_line], function.entry + 1))
        if function.endproc_line >= 0:
            lines.append((function.endproc_line, listing.lines[function.endproc_line]))
        has_unwind = ".cfi_startproc" in "".join(self.target.lines[:4000]) or ".cfi_startproc" in self.target.text
        for number, line in lines:
            section = listing.sections[number]
            directive = directive_of(line)
            if directive in _SWITCHES:
                if not section.executable:
                    data.append([without_comment(line) + "\n"])
                continue
            if directive in _DROPPED or line.lstrip().startswith("#") or not line.strip():
                continue
            if directive in (".cfi_personality", ".cfi_lsda"):
                raise _Refused("it has an exception table")
            if directive.startswith(".cfi_") and not has_unwind:
                continue
            if section.executable:
                code.append(_ALIGN_FILL.sub(r"\1", without_comment(line)) + "\n")
            elif data:
                data[-1].append(_ALIGN_FILL.sub(r"\1", without_comment(line)) + "\n")
            else:
                raise _Refused("its data cannot be told from its code")
        return _Part(code, data)

    def _settle(self, symbol: str) -> None:
        """Make sure that `symbol` means the same in GCC's listing; bring it along or refuse otherwise."""
        if symbol in self._names or symbol == self.name:
            return
        listing = self.source.listing
        resolved = listing.aliases.get(symbol)
        if resolved is not None and symbol.startswith(".LC") and (part := _PART.fullmatch(resolved)):
            self._settle(part[1])  # GCC lets a small constant be a part of a larger one
            self._names[symbol] = self._names.get(part[1], part[1]) + part[2]
            return
        if resolved is not None and not SYMBOL.fullmatch(resolved):
            raise _Refused(f"{symbol} stands for {resolved}")
        if (
            resolved is not None
            and self.target.aliases.get(symbol) == resolved
            and listing.function(resolved) is not None
        ):
            return  # another name of a function in both, as GCC calls what may be replaced at run time
        if resolved is not None and symbol.startswith(".L"):
            self._settle(resolved)
            self._names[symbol] = self._names.get(resolved, resolved)
            return
        if alias := _LOCAL_ALIAS.match(symbol):
            if alias[1] not in self.target.defined:
                raise _Refused(f"{alias[1]} is not in GCC's listing")
            self._names[symbol] = alias[1]
            return
        if (callee := listing.function(symbol)) is not None:
            self._settle_function(symbol, callee)
            return
        data = listing.data.get(symbol)
        if data is not None:
            self._settle_data(symbol, data)
            return
        if symbol in listing.defined:
            raise _Refused(f"it refers to {symbol}, which is neither code nor data that can be moved")
        if symbol.startswith(".L"):
            raise _Refused(f"{symbol} cannot be resolved in its own listing")
        if symbol.startswith("_GLOBAL_OFFSET_TABLE_"):
            return
        if symbol.startswith(STATIC_PREFIX):
            self._names[symbol] = self._static(symbol.removeprefix(STATIC_PREFIX), None)
            return
        if (
            symbol not in self.target.undefined
            and symbol not in self.target.defined
            and symbol not in self.toolchain.library_symbols
        ):
            raise _Refused(f"it needs {symbol}, which GCC's unit does not use")

    def _settle_function(self, symbol: str, callee: Function) -> None:
        """A local function comes along as a subroutine of the body, unless its address matters: then it is GCC's own.

        What is called only may have a convention of its compiler's making; what is pointed to has the ABI's. A function that
        GCC's body does without, since GCC inlined it there, comes along too: the baseline's key says nothing of GCC's own.
        """
        there = self.target.function(symbol)
        clone = "." in symbol.lstrip(".")
        inlined = (
            there is not None
            and not clone
            and symbol not in self._addressed
            and symbol not in _covered(self.target, self.name)
        )
        if not inlined and (symbol in self._addressed or callee.is_global):
            if there is None or clone:
                raise _Refused(f"it refers to {symbol}, which GCC's listing does not define")
            return
        if not inlined and there is not None and not clone and not self.source.own_conventions:
            return
        if callee.has_inline_assembly:
            raise _Refused(f"{symbol}, which it calls, holds inline assembly")
        self._names[symbol] = self._fresh(f"fn_{symbol}")
        self._callees.append(callee)

    def _settle_data(self, symbol: str, data: DataObject) -> None:
        there = self.target.data.get(symbol) if not symbol.startswith(".L") else None
        if not data.readonly and _COUNTED.search(symbol):
            # The counter says nothing of which variable it is; the C name does, when the unit has one of that name.
            self._names[symbol] = self._static(symbol, data)
            return
        if not data.readonly and there is not None and there.local and self.source.own_conventions:
            raise _Refused(
                f"the local variable {symbol} may be another one than GCC's"
            )  # LLVM changes its own in place
        if data.readonly and _COUNTED.search(symbol) and not self._same_constant(data, there):
            self._bring(symbol, data)
            return
        if there is not None and _alignment(there) < _alignment(data):
            raise _Refused(f"{symbol} is aligned less strictly in GCC's listing")
        if (
            there is not None
            and there.readonly == data.readonly
            and (not there.size_bytes or there.size_bytes == data.size_bytes)
        ):
            return
        if symbol.startswith(".L") or (data.local and data.readonly):
            if not data.readonly:
                raise _Refused(f"its {symbol} is writable")
            self._bring(symbol, data)
            return
        kind = "constant" if data.readonly else "variable"
        raise _Refused(f"the {kind} {symbol} is not in GCC's listing as it is in this one")

    def _static(self, symbol: str, data: DataObject | None) -> str:
        """GCC's name of the function's static variable `symbol`, which is the unit's only one of its C name."""
        variable = _COUNTED.sub("", symbol)
        if data is not None and self.source.statics().get(variable, 0) != 1:
            raise _Refused(f"the local variable {symbol} may be another one than GCC's")
        counted = [
            label
            for label, there in self.target.data.items()
            if _COUNTED.sub("", label) == variable != label and there.local and not there.readonly
        ]
        if len(counted) != 1:
            raise _Refused(f"the static variable {variable} is not in GCC's listing")
        there = self.target.data[counted[0]]
        if data is not None and (there.size_bytes != data.size_bytes or _alignment(there) < _alignment(data)):
            raise _Refused(f"the static variable {variable} is not in GCC's listing as it is in this one")
        return counted[0]

    def _same_constant(self, data: DataObject, there: DataObject | None, depth: int = 0) -> bool:
        """Whether GCC's listing has the same constant under the name, down to the constants that it points to; a table of code
        addresses never is the same."""
        if there is None or not there.readonly or len(data.lines) != len(there.lines) or depth > 8:
            return False
        for mine, others in zip(data.lines, there.lines, strict=True):
            labels, theirs = symbols_in(mine), symbols_in(others)
            plain = [_masked(line, names) for line, names in ((mine, labels), (others, theirs))]
            if plain[0] != plain[1] or len(labels) != len(theirs):
                return False
            for label, other in zip(labels, theirs, strict=True):
                named = not label.startswith(".L") and not _COUNTED.search(label)
                if named and label != other:
                    return False
                inner = self.source.listing.data.get(label)
                if not named and (
                    inner is None
                    or not inner.readonly
                    or not self._same_constant(inner, self.target.data.get(other), depth + 1)
                ):
                    return False
        return True

    def _bring(self, symbol: str, data: DataObject) -> None:
        """Copy read-only data under a fresh name, with whatever it refers to."""
        self._names[symbol] = self._fresh(symbol)
        for line in data.lines:
            self._point_to(set(symbols_in(line)))
            for wanted in symbols_in(line):
                self._settle(wanted)
        self._extra.append(data.section.directive + "\n")
        if data.alignment:
            self._extra.append(_ALIGN_FILL.sub(r"\1", without_comment(data.alignment)) + "\n")
        self._extra.append(f"{self._names[symbol]}:\n")
        self._extra += [self._renamed(line) for line in data.lines if directive_of(line) not in _DROPPED]

    def _fresh(self, label: str) -> str:
        return f".Laicc_{self.prefix}_{re.sub(r'[^A-Za-z0-9_]', '_', label).lstrip('_')}"

    def _renamed(self, line: str) -> str:
        text = without_comment(line)
        text = LOCAL_LABEL.sub(lambda match: self._names.get(match[0], match[0]), text)
        text = _NAME.sub(lambda match: self._names.get(match[0], match[0]), text)
        return text + "\n"


@lru_cache(maxsize=4)  # the same target for every configuration
def _covered(target: Listing, name: str) -> frozenset[str]:
    return covered(target, name)


@lru_cache(maxsize=4)
def _normalised(target: Listing, name: str) -> str:
    function = target.function(name)
    return normalised_text(function.body) if function is not None else ""


def _joined(functions: list[list[str]]) -> list[str]:
    """The functions one behind the other; what aligns the next still belongs to the one before, so that all of it unwinds."""
    code: list[str] = []
    for lines in functions:
        if code:
            at = next((i for i in range(len(code) - 1, -1, -1) if directive_of(code[i]) == ".cfi_endproc"), len(code))
            code.insert(at, "\t.p2align 4\n")
        code += lines
    return code


def _masked(line: str, symbols: Iterable[str]) -> str:
    """A statement without its comment and with its symbols left out."""
    text = " ".join(without_comment(line).split())
    for symbol in symbols:
        text = text.replace(symbol, "@", 1)
    return text


def _alignment(data: DataObject) -> int:
    """The alignment in bytes that the listing gives an object, 1 when it gives none."""
    words = data.alignment.replace(",", " ").split()
    if len(words) > 1 and words[1].isdigit():
        return 1 << int(words[1]) if words[0] == ".p2align" else int(words[1])
    if data.lines and directive_of(data.lines[0]) in (".comm", ".lcomm"):
        last = data.lines[0].rstrip().rpartition(",")[2]
        return int(last) if last.isdigit() else 1
    return 1


def _starts_with_landing_pad(function: Function) -> bool:
    code = (line for line in function.body_lines if line.startswith("\t") and not directive_of(line))
    return "endbr64" in next(code, "")
