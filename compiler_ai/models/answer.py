"""A model's answer turned into candidate bodies, or the reason why it cannot be.

Tolerant of what models do (several blocks, prose around them, Intel syntax, comments, labels of any form, no unwind
directives) and repaired only where no other meaning is possible; whatever comes out is judged like every other candidate.
Nothing here is executed or assembled.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from compiler_ai.artifacts import Candidate
from compiler_ai.asm.cfg import statement
from compiler_ai.asm.function import Function
from compiler_ai.asm.listing import Listing
from compiler_ai.asm.normalise import normalised_text
from compiler_ai.asm.statements import SYMBOL, directive_of, label_of
from compiler_ai.models import intel, unwind
from compiler_ai.models.base import Answer
from compiler_ai.models.blocks import Block, blocks_of, is_code, without_comments

_MOST_BLOCKS = 4
_MOST_LINES = 20_000
_LABEL = re.compile(r"^([A-Za-z_.$][\w.$@]*|\d+)\s*:\s*(.*)$")
_LOCAL = re.compile(r"\.L[\w.$]+|\d+")
_NUMERIC_USE = re.compile(r"(?<![\w.$%])(\d+)([bf])(?![\w.$])")
_IGNORED = re.compile(
    r"\.(?:globl|global|type|size|file|ident|loc|hidden|weak|local|att_syntax|intel_syntax|addrsig\w*|cfi_\w+|code64)$"
)
_SWITCH = re.compile(r"\.(?:section|text|data|bss|rodata|pushsection|popsection|previous)$")
_READ_ONLY = re.compile(r"\.rodata|\.data\.rel\.ro|\.rdata")
_ENDS = frozenset({"ret", "retq", "jmp", "jmpq", "ud2", "hlt"})


class AnswerError(Exception):
    """An answer, or a block of it, cannot be used; the message is the reason, in one line."""


@dataclass(frozen=True)
class Parsed:
    """A candidate's texts; ``repairs`` says what was changed about them, for the log."""

    body: str
    extra: str
    repairs: tuple[str, ...]


@dataclass(frozen=True)
class Reading:
    """Everything that one answer gave: bodies in their order, and why other blocks gave none."""

    parsed: tuple[Parsed, ...]
    reasons: tuple[str, ...]


def read(answer: Answer, listing: Listing, function: Function, prefix: str) -> Reading:
    """The candidates in an answer. `prefix` makes their labels unique (letters, digits, underscores). Never raises."""
    parsed: list[Parsed] = []
    reasons: list[str] = []
    found = blocks_of(answer.text, answer.truncated)
    holding = [block for block in found if any(label_of(line) == function.name for line in block.lines)] or found
    for number, block in enumerate(holding[:_MOST_BLOCKS]):
        try:
            one = _Body(listing, function, f"{prefix}_{number}" if number else prefix, block).read()
        except (AnswerError, intel.NotIntelError) as error:
            reasons.append(_printable(str(error)))
            continue
        if one not in parsed:
            parsed.append(one)
    if not found:
        reasons.append("there is no assembly in the answer")
    if len(holding) > _MOST_BLOCKS:
        reasons.append(f"only the first {_MOST_BLOCKS} of {len(holding)} blocks were read")
    return Reading(tuple(parsed), tuple(reasons))


def is_baseline(parsed: Parsed, function: Function) -> bool:
    """Whether the body is GCC's own but for labels, comments and unwind directives."""
    return not parsed.extra and _plain(parsed.body) == _plain(function.body)


def candidate_of(parsed: Parsed, function: str, proposer: str, origin: str, features: tuple[str, ...]) -> Candidate:
    return Candidate(function, parsed.body, parsed.extra, proposer, origin, features)


@dataclass
class _Body:
    """Reads one block."""

    listing: Listing
    function: Function
    prefix: str
    block: Block
    repairs: list[str] = field(default_factory=list)
    _code: list[str] = field(default_factory=list)
    _data: list[str] = field(default_factory=list)
    _names: dict[str, str] = field(default_factory=dict)

    def read(self) -> Parsed:
        """Raises AnswerError."""
        lines = [one for line in self.block.lines for one in without_comments(line)]
        if len(lines) > _MOST_LINES:
            raise AnswerError(f"a block of {len(lines)} lines")
        first, last = self._range(lines)
        self._sort(lines, first, last)
        self._translate()
        self._check_end()
        self._rename()
        self._keep_landing_pad()
        extra = self._extra()
        code = self._unwound()
        return Parsed("\n".join(code) + "\n", extra, tuple(self.repairs))

    def _range(self, lines: list[str]) -> tuple[int, int]:
        """Where the function's code begins and ends, both as indexes (first inclusive, last exclusive)."""
        name = self.function.name
        starts = [number for number, line in enumerate(lines) if _label(line) == name]
        if len(starts) > 1:
            raise AnswerError(f"a block defines '{name}' {len(starts)} times")
        if starts:
            first = starts[0]
            rest = _LABEL.match(lines[first].strip())
            if rest and rest[2]:
                lines[first : first + 1] = [f"{name}:", f"\t{rest[2]}"]
            first += 1
        else:
            first = self._unnamed(lines)
        last = len(lines)
        for number in range(first, len(lines)):
            words = lines[number].replace(",", " ").split()
            if words[:1] == [".size"] and words[1:2] == [name]:
                return first, number
            if words[:1] == [".type"] and len(words) > 2 and "function" in words[2] and words[1] != name:
                return first, number  # another function begins
        if self.block.open_end and not self.block.whole:
            raise AnswerError("the answer breaks off inside the function: it is truncated")
        return first, last

    def _unnamed(self, lines: list[str]) -> int:
        """Code without the function's label: accepted when nothing else than the function can be meant."""
        names = [label for line in lines if (label := _label(line)) and not _LOCAL.fullmatch(label)]
        used = {symbol for line in lines if not _label(line) for symbol in SYMBOL.findall(line)}
        entries = [name for name in names if name not in used and name not in self.listing.data]
        first = next((number for number, line in enumerate(lines) if statement(line) is not None), None)
        if first is None:
            raise AnswerError("a block without an instruction")
        before = [label for line in lines[:first] if (label := _label(line))]
        others = [name for name in entries if name not in before]
        if others or len([name for name in before if name in entries]) > 1:
            raise AnswerError(f"it defines '{(others or entries)[0]}' and not '{self.function.name}'")
        self.repairs.append("the function's label was missing")
        named = [number for number, line in enumerate(lines[:first]) if _label(line) in entries]
        return named[0] + 1 if named else next((n for n, line in enumerate(lines[: first + 1]) if _label(line)), first)

    def _sort(self, lines: list[str], first: int, last: int) -> None:
        """Code into `_code`, read-only data into `_data`; what belongs to neither is left out."""
        kind = "code"
        for number, line in enumerate(lines):
            inside = first <= number < last
            if number == first:
                kind = "code"
            text = line.strip()
            label = _label(line)
            directive = directive_of(line)
            if directive and _SWITCH.match(directive):
                kind = _kind_of_section(text, directive)
                if inside and kind == "other":
                    raise AnswerError(f"the section '{text[:60]}' inside the function")
                if kind == "data":
                    self._data.append(_section_line(text, directive))
                continue
            if directive and _IGNORED.match(directive):
                continue
            if kind == "code" and inside:
                self._code_line(text, label, directive)
            elif kind == "data" and text:
                self._data_line(text, label, directive)

    def _code_line(self, text: str, label: str, directive: str) -> None:
        if not text:
            return
        if label:
            self._code.append(f"{label}:")
            rest = _LABEL.match(text)
            if rest and rest[2]:
                self._code_line(rest[2], "", "")
            return
        if directive:
            if directive not in (".p2align", ".align", ".balign"):
                raise AnswerError(f"the directive '{text[:60]}' inside the code")
            self._code.append(f"\t{text}")
            return
        if not is_code(text):
            raise AnswerError(f"'{text[:60]}' is neither an instruction nor a comment")
        self._code.append(f"\t{text}")

    def _data_line(self, text: str, label: str, directive: str) -> None:
        if label:
            self._data.append(f"{label}:")
            rest = _LABEL.match(text)
            if rest and rest[2]:
                self._data.append(f"\t{rest[2]}")
        elif directive:
            self._data.append(f"\t{text}")
        else:
            raise AnswerError(f"'{text[:60]}' outside of code")

    def _translate(self) -> None:
        """Intel syntax becomes AT&T."""
        instructions = [line for line in self._code if line.startswith("\t") and not line.startswith("\t.")]
        if not intel.looks_like_intel(instructions):
            return
        self._code = [
            "\t" + intel.to_att(line) if line.startswith("\t") and not line.startswith("\t.") else line
            for line in self._code
        ]
        self.repairs.append("Intel syntax was translated")

    def _check_end(self) -> None:
        while self._code and (self._code[-1].startswith("\t.") or self._is_unused(self._code[-1])):
            self._code.pop()
        last = statement(self._code[-1]) if self._code else None
        if last is None:
            raise AnswerError("the code ends with a label: it is truncated" if self._code else "a block without code")
        noreturn = last.is_call and last.target in self.function.body
        if last.mnemonic not in _ENDS and not noreturn:
            raise AnswerError(
                f"control runs past the last instruction ({self._code[-1].strip()[:40]}): it is truncated"
            )

    def _is_unused(self, line: str) -> bool:
        label = _label(line)
        return bool(label) and not any(
            label in SYMBOL.findall(other) for other in [*self._code, *self._data] if other != line
        )

    def _rename(self) -> None:
        """Fresh names for the answer's own labels; a name of the unit's that it defines alike stays the unit's."""
        self._numeric()
        labels = [label for line in self._code if (label := _label(line))]
        if len(set(labels)) != len(labels):
            twice = next(label for label in labels if labels.count(label) > 1)
            raise AnswerError(f"the label '{twice}' is defined twice")
        own = self.function.local_labels
        for number, label in enumerate(labels):
            if label not in own or not label.startswith(".L"):
                self._names[label] = f".Laicc_{self.prefix}_{number}"
        self._code = [self._renamed(line) for line in self._code]
        kept = {_label(line) for line in self._code}
        for line in self._code:
            one = statement(line)
            if one is not None and one.is_jump and not one.is_indirect and one.target not in kept:
                known = one.target in self.listing.defined or one.target in self.listing.undefined
                if one.target in own or one.target.startswith(".L") or not known:
                    raise AnswerError(f"it jumps to '{one.target}', which it does not define")

    def _numeric(self) -> None:
        """`1:` and `jmp 1b` by names: the nearest definition before or behind (GNU as manual, "Local Labels")."""
        places = [(number, label) for number, line in enumerate(self._code) if (label := _label(line)).isdigit()]
        if not places:
            return
        names = {number: f".Ln{label}_{number}" for number, label in places}

        def named(number: int, line: str) -> str:
            def replaced(match: re.Match[str]) -> str:
                before = [n for n, label in places if label == match[1] and n < number]
                behind = [n for n, label in places if label == match[1] and n > number]
                chosen = before[-1:] if match[2] == "b" else behind[:1]
                if not chosen:
                    raise AnswerError(f"it jumps to '{match[0]}', which it does not define")
                return names[chosen[0]]

            return _NUMERIC_USE.sub(replaced, line) if line.startswith("\tj") else line

        self._code = [names[n] + ":" if n in names else named(n, line) for n, line in enumerate(self._code)]

    def _keep_landing_pad(self) -> None:
        """The baseline's endbr64 has no other meaning than to be there."""
        first = next((line for line in self.function.body_lines if statement(line) is not None), "")
        if "endbr64" in first and not any("endbr64" in line for line in self._code[:3]):
            self._code.insert(0, "\tendbr64")
            self.repairs.append("endbr64 was missing")

    def _unwound(self) -> list[str]:
        if not any(".cfi_startproc" in line for line in self.function.body_lines):
            return self._code
        try:
            return unwind.with_directives(self._code)
        except unwind.UnwindError as error:
            raise AnswerError(f"no unwind information can be made: {error}") from None

    def _extra(self) -> str:
        """The answer's own read-only data, and none that the unit has alike under the same name."""
        chunks = _chunks(self._data)
        used = set(SYMBOL.findall("\n".join(self._code)))
        lines: list[str] = []
        names: dict[str, str] = {}
        for section, label, content in chunks:
            if label not in used:
                continue
            theirs = self.listing.data.get(label)
            if theirs is not None and _data_text(theirs.lines) == _data_text(content):
                continue
            names[label] = f".Laicc_{self.prefix}_d{len(names)}"
            lines += [
                section,
                *_aligned(content),
                f"{names[label]}:",
                *(line for line in content if not _is_alignment(line)),
            ]
        if names:
            self._code = [_substituted(line, names) for line in self._code]
            self.repairs.append("constants of its own")
        return "\n".join(_substituted(line, {**self._names, **names}) for line in lines) + ("\n" if lines else "")

    def _renamed(self, line: str) -> str:
        return _substituted(line, self._names)


def _kind_of_section(text: str, directive: str) -> str:
    """ "code", "data" (read-only) or "other"."""
    name = text.split(None, 1)[1].strip() if directive == ".section" and " " in text.replace("\t", " ") else directive
    if name.startswith(".text"):
        return "code"
    return "data" if _READ_ONLY.match(name) else "other"


def _substituted(line: str, names: dict[str, str]) -> str:
    if not names:
        return line

    def replaced(match: re.Match[str]) -> str:
        before = line[match.start() - 1] if match.start() else ""
        return match[0] if before in "%@" and before else names.get(match[0], match[0])

    return SYMBOL.sub(replaced, line)


def _label(line: str) -> str:
    match = _LABEL.match(line.strip())
    return match[1] if match else ""


def _chunks(data: Sequence[str]) -> Iterable[tuple[str, str, list[str]]]:
    """(section line, label, lines) of each datum; alignment in front of a label belongs to it."""
    section, label = "", ""
    content: list[str] = []
    pending: list[str] = []
    found: list[tuple[str, str, list[str]]] = []
    for line in [*data, "\t.section\t."]:
        if line.startswith("\t.section"):
            if label:
                found.append((section, label, content))
            section, label, content, pending = line, "", [], []
        elif _label(line):
            if label:
                found.append((section, label, content))
            label, content, pending = _label(line), pending, []
        elif _is_alignment(line):
            pending.append(line)
        else:
            content = [*content, *pending, line] if label else content
            pending = []
    return found


def _aligned(content: list[str]) -> list[str]:
    return [line for line in content if _is_alignment(line)][:1]


def _is_alignment(line: str) -> bool:
    return directive_of(line) in (".p2align", ".align", ".balign")


def _section_line(text: str, directive: str) -> str:
    return "\t.section\t.rodata" if directive == ".rodata" or not re.search(r'"[^"]*M', text) else f"\t{text}"


def _plain(text: str) -> str:
    """For comparing bodies: instructions and labels only, labels by their order."""
    kept = [line for line in text.splitlines() if not directive_of(line) and line.strip()]
    kept = [line.split("#")[0].rstrip() for line in kept if not re.match(r"\s*\.L(?:FB|FE|VL)\w+:", line)]
    used = "\n".join(line for line in kept if not label_of(line))
    shown = [line for line in kept if not label_of(line) or label_of(line) in SYMBOL.findall(used)]
    numbers: dict[str, str] = {}
    joined = normalised_text("\n".join(shown) + "\n")
    return re.sub(r"\.L[\w.$]+", lambda match: numbers.setdefault(match[0], f".L{len(numbers)}"), joined)


def _data_text(lines: Iterable[str]) -> str:
    return "\n".join(" ".join(line.split()) for line in lines if not _is_alignment(line))


def _printable(text: str) -> str:
    return "".join(c if 32 <= ord(c) < 127 else "?" for c in text)[:300]
