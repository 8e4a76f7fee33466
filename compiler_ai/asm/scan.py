"""One pass over a listing's lines: sections, labels, symbol attributes and definitions. On the compile path.

Compilers write one statement a line; inline and top-level assembly, between #APP and #NO_APP, is split as the assembler
does, since what it does to sections holds for what follows. Source: GNU as manual, chapters 3 and 7.
"""

from __future__ import annotations

from compiler_ai.asm.data import Section, section_of
from compiler_ai.asm.statements import LABEL, VISIBILITY, directive_of, split_statements, without_comment
from compiler_ai.patterns import compiled

_TYPE = compiled(r'^[ \t]*\.type[ \t]+("[^"]+"|[^,\s]+)[ \t]*,[ \t]*[@%#"]?(\w+)')
_SIZE = compiled(r'^[ \t]*\.size[ \t]+("[^"]+"|[^,\s]+)[ \t]*,[ \t]*(.+)$')
_COMMON = compiled(r"^[ \t]*\.(?:l|large)?comm[ \t]+([^,\s]+)[ \t]*,[ \t]*(\d+)")
_SET = compiled(
    r"^[ \t]*\.(?:set|equ|equiv)[ \t]+([^,\s]+)[ \t]*,[ \t]*([^\s]+)$|^[ \t]*([\w.$]+)[ \t]*=[ \t]*([^\s]+)$"
)
_OPENING = frozenset({".text", ".data", ".bss", ".section", ".pushsection"})
_SECTIONS = _OPENING | {".popsection", ".previous", ".subsection"}
_BLOCK_COMMENT = compiled(r"/\*.*?(?:\*/|$)")


class Scan:
    """What the lines define. `sections` holds the section that is current at each line's end."""

    def __init__(self, lines: list[str]) -> None:
        self.sections: list[Section] = []
        self.labels: dict[str, int] = {}
        self.label_sections: dict[str, Section] = {}
        self.types: dict[str, str] = {}
        self.sizes: dict[str, tuple[int, str]] = {}
        self.globals: set[str] = set()
        self.locals: set[str] = set()
        self.attributes: dict[str, set[str]] = {}  # weak, hidden, protected, internal
        self.sets: dict[str, str] = {}
        self.commons: dict[str, tuple[int, int]] = {}
        self.assembly: list[int] = []  # lines of inline and top-level assembly
        self.is_intel = False  # the compiler itself writes Intel syntax
        self._current = self._previous = Section(".text", "ax", "\t.text")
        self._stack: list[tuple[Section, Section]] = []
        self._declared: dict[str, Section] = {}  # a section's flags are written once
        self._macros = 0  # how deep in definitions of macros
        self._in_comment = False
        self._scan(lines)

    def _scan(self, lines: list[str]) -> None:
        inline = False
        sections = self.sections
        for number, line in enumerate(lines):
            stripped = line.lstrip()
            first = stripped[:1]
            if first == "#" and not self._in_comment:
                inline = stripped.startswith("#APP") or (inline and not stripped.startswith("#NO_APP"))
            elif inline:
                self.assembly.append(number)
                for statement in split_statements(self._without_block_comments(line)):
                    self._hand_written(statement, number)
            elif first == "." or ":" in line or "=" in line:
                self._statement(line, number)
            sections.append(self._current)
            if not inline:
                self._in_comment = False

    def _hand_written(self, text: str, number: int) -> None:
        """A statement of assembly that a person wrote; what a macro's definition says is not done where it stands."""
        directive = directive_of(text)
        if directive == ".macro":
            self._macros += 1
        elif directive in (".endm", ".endmacro"):
            self._macros = max(0, self._macros - 1)
        elif not self._macros:
            self._statement(text, number)

    def _statement(self, line: str, number: int) -> None:
        while ":" in line and (match := LABEL.match(line)):
            label = match[1].strip('"')
            if label not in self.labels:
                self.labels[label] = number
                self.label_sections[label] = self._current
            line = line[match.end() :]
        text = line.lstrip()
        if not text.startswith("."):
            if "=" in text and (match := _SET.match(line.rstrip())) and match[3]:
                self.sets[match[3]] = match[4]
            return
        directive = directive_of(text)
        if directive in _SECTIONS:
            self._switch(directive, without_comment(text).strip())
        elif directive == ".type":
            if match := _TYPE.match(text):
                self.types[match[1].strip('"')] = match[2]
        elif directive == ".size":
            if match := _SIZE.match(text):
                self.sizes.setdefault(match[1].strip('"'), (number, without_comment(match[2])))
        elif directive in (".globl", ".global", ".weak"):
            self.globals.update(_names(text))
            if directive == ".weak":
                self._attribute(text, "weak")
        elif directive == ".local":
            self.locals.update(_names(text))
        elif directive in VISIBILITY:
            self._attribute(text, directive[1:])
        elif directive in (".set", ".equ", ".equiv"):
            if (match := _SET.match(without_comment(text))) and match[1]:
                self.sets[match[1]] = match[2]
        elif directive in (".comm", ".lcomm", ".largecomm"):
            if match := _COMMON.match(text):
                self.commons[match[1]] = (number, int(match[2]))
                if directive == ".lcomm":
                    self.locals.add(match[1])
        elif directive == ".intel_syntax" and (not self.assembly or self.assembly[-1] != number):
            self.is_intel = True

    def _attribute(self, text: str, attribute: str) -> None:
        for name in _names(text):
            self.attributes.setdefault(name, set()).add(attribute)

    def _switch(self, directive: str, text: str) -> None:
        """Follow a directive that changes the section (manual, 7.100, 7.101, 7.105, 7.117, 7.120)."""
        words = text.split(None, 1)[1].split(",") if len(text.split(None, 1)) == 2 else []
        if directive == ".popsection":
            if self._stack:
                self._current, self._previous = self._stack.pop()
        elif directive == ".previous":
            self._current, self._previous = self._previous, self._current
        elif directive == ".subsection":
            self._enter(_subsection(self._current, words[0].strip() if words else "0"))
        elif words or directive not in (".section", ".pushsection"):
            if directive == ".pushsection":
                self._stack.append((self._current, self._previous))
            self._enter(self._opened(directive, text, words))

    def _enter(self, section: Section) -> None:
        self._previous, self._current = self._current, section

    def _opened(self, directive: str, text: str, words: list[str]) -> Section:
        number = ""
        if directive == ".pushsection":
            if len(words) > 1 and not words[1].strip().startswith('"'):
                number = words.pop(1).strip()
            text = "\t.section\t" + ",".join(word.strip() for word in words)
        elif directive != ".section":
            number, text = (words[0].strip() if words else ""), directive
        section = section_of(text, words)
        declared = self._declared.get(section.name)
        if declared is not None and len(words) < 2:
            # The directive can stand anywhere; another object, since one that follows itself is another stretch.
            section = Section(declared.name, declared.flags, declared.directive, declared.group)
        elif directive in (".section", ".pushsection"):
            self._declared.setdefault(section.name, section)
        return _subsection(section, number)

    def _without_block_comments(self, line: str) -> str:
        if self._in_comment:
            _, end, line = line.partition("*/")
            if not end:
                return ""
            self._in_comment = False
        if "/*" in line:
            self._in_comment = line.rfind("/*") > line.rfind("*/")
            line = _BLOCK_COMMENT.sub(" ", line)
        return line


def _subsection(section: Section, number: str) -> Section:
    if number in ("", "0") and not section.subsection:
        return section
    base = section.directive.partition("\n")[0]
    if number in ("", "0"):
        return Section(section.name, section.flags, base, section.group)
    return Section(section.name, section.flags, f"{base}\n\t.subsection\t{number}", section.group, number)


def _names(text: str) -> list[str]:
    words = without_comment(text).split(None, 1)
    return [name.strip().strip('"') for name in words[1].split(",")] if len(words) == 2 else []
