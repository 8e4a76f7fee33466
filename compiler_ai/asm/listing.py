"""The assembly listing of one unit, parsed without loss. On the compile path.

Understands what GCC and Clang write for ELF targets with AT&T syntax. Anything it does not understand stays text:
`parse` never raises on assembly that GNU as accepts, and `Listing.text` is the input.
"""

from __future__ import annotations

import re
from functools import cached_property

from compiler_ai.asm.data import DataObject, Section, is_readonly, section_of
from compiler_ai.asm.function import Function, Part
from compiler_ai.asm.statements import directive_of, label_of, symbols_in, without_comment

_TYPE = re.compile(r'^[ \t]*\.type[ \t]+("[^"]+"|[^,\s]+)[ \t]*,[ \t]*[@%#"]?(\w+)')
_SIZE = re.compile(r'^[ \t]*\.size[ \t]+("[^"]+"|[^,\s]+)[ \t]*,[ \t]*(.+)$')
_COMMON = re.compile(r"^[ \t]*\.l?comm[ \t]+([^,\s]+)[ \t]*,[ \t]*(\d+)")
_SET = re.compile(
    r"^[ \t]*\.(?:set|equ|equiv)[ \t]+([^,\s]+)[ \t]*,[ \t]*([^\s]+)$|^[ \t]*([\w.$]+)[ \t]*=[ \t]*([^\s]+)$"
)
_SECTIONS = (".text", ".data", ".bss", ".section", ".pushsection", ".popsection", ".previous")


class Listing:
    """A parsed listing. Line numbers are indexes into `lines`, which keep their line ends."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.lines: list[str] = _split(text)
        self.sections: list[Section] = []  # the section of each line
        self._labels: dict[str, int] = {}
        self._types: dict[str, str] = {}
        self._sizes: dict[str, tuple[int, str]] = {}
        self._globals: set[str] = set()
        self._sets: dict[str, str] = {}
        self._commons: dict[str, tuple[int, int]] = {}
        self._assembly: list[int] = []  # lines of inline and top-level assembly
        self._scan()

    def _scan(self) -> None:
        text = Section(".text", "ax", "\t.text")
        current, previous = text, text
        stack: list[tuple[Section, Section]] = []
        inline = False
        for number, line in enumerate(self.lines):
            self.sections.append(current)
            stripped = line.lstrip()
            if inline:
                self._assembly.append(number)
            first = stripped[:1]
            if first == "#":
                if stripped.startswith("#APP"):
                    inline = True
                elif stripped.startswith("#NO_APP"):
                    inline = False
                continue
            if first == "." or ":" in line:
                label = label_of(line)
                if label:
                    self._labels.setdefault(label, number)
                    continue
            if first != ".":
                if "=" in line and (match := _SET.match(line.rstrip())) and match[3]:
                    self._sets[match[3]] = match[4]
                continue
            directive = directive_of(line)
            if directive in _SECTIONS:
                if directive == ".popsection":
                    if stack:
                        current, previous = stack.pop()
                elif directive == ".previous":
                    current, previous = previous, current
                else:
                    if directive == ".pushsection":
                        stack.append((current, previous))
                    clean = without_comment(line).strip()
                    words = clean.split(None, 1)[1].split(",") if " " in clean or "\t" in clean else []
                    if directive in (".section", ".pushsection") and not words:
                        continue
                    previous, current = current, section_of(clean, words)
                self.sections[number] = current
            elif directive == ".type":
                if match := _TYPE.match(line):
                    self._types[match[1].strip('"')] = match[2]
            elif directive == ".size":
                if match := _SIZE.match(line):
                    self._sizes.setdefault(match[1].strip('"'), (number, without_comment(match[2])))
            elif directive in (".globl", ".global", ".weak"):
                self._globals.update(name.strip() for name in without_comment(line).split(None, 1)[1].split(","))
            elif directive in (".set", ".equ", ".equiv"):
                if (match := _SET.match(without_comment(line))) and match[1]:
                    self._sets[match[1]] = match[2]
            elif directive in (".comm", ".lcomm") and (match := _COMMON.match(line)):
                self._commons[match[1]] = (number, int(match[2]))

    @cached_property
    def producer(self) -> str:
        """ "GCC", "clang" or "" by the listing's own `.ident`."""
        for line in reversed(self.lines[-40:]):
            if line.lstrip().startswith(".ident"):
                return "GCC" if '"GCC:' in line else "clang" if "clang" in line else ""
        return ""

    @cached_property
    def functions(self) -> tuple[Function, ...]:
        """The functions whose body is delimited by a label and a `.size`, in order; `.cold` parts belong to theirs."""
        names = [name for name, kind in self._types.items() if "function" in kind or kind == "gnu_indirect_function"]
        found = (self.function(name) for name in names if not self._is_cold(name))
        return tuple(sorted((function for function in found if function), key=lambda function: function.entry))

    def function(self, name: str) -> Function | None:
        """The function with that assembled name, or None when it is not defined here as a function with a size."""
        entry = self._labels.get(name)
        if entry is None or "function" not in self._types.get(name, "") or name not in self._sizes:
            return None
        size_line = self._sizes[name][0]
        section = self.sections[entry]
        if size_line < entry or not section.executable:
            return None
        parts = [Part(entry, size_line, section)]
        cold = self._labels.get(name + ".cold")
        if cold is not None and entry < cold < size_line:
            parts = [Part(entry, self._cold_start(cold, entry), section), Part(cold, size_line, self.sections[cold])]
        aliases = tuple(alias for alias, target in self._sets.items() if target == name)
        late = size_line + 1 < len(self.lines) and self.lines[size_line + 1].strip() == ".cfi_endproc"
        return Function(
            listing=self,
            name=name,
            entry=entry,
            size_line=size_line,
            section=section,
            parts=tuple(parts),
            aliases=aliases,
            is_global=name in self._globals,
            has_inline_assembly=any(entry <= number <= size_line for number in self._assembly),
            endproc_line=size_line + 1 if late else -1,
        )

    @cached_property
    def data(self) -> dict[str, DataObject]:
        """Every label in a section that holds data, and every common symbol."""
        found: dict[str, DataObject] = {}
        for label, number in self._labels.items():
            section = self.sections[number]
            if section.executable or not section.allocated:
                continue
            found[label] = self._data_object(label, number, section)
        for name, (number, size_bytes) in self._commons.items():
            bss = Section(".bss", "aw", "\t.bss")
            local = any(
                re.match(rf"[ \t]*\.local[ \t]+{re.escape(name)}\s*$", self.lines[n])
                for n in (number - 1, number - 2)
                if n >= 0
            )
            found[name] = DataObject(name, bss, "", (self.lines[number],), False, local, size_bytes)
        return found

    def _data_object(self, label: str, number: int, section: Section) -> DataObject:
        alignment = ""
        for line in reversed(self.lines[max(0, number - 6) : number]):
            directive = directive_of(line)
            if directive in (".align", ".balign", ".p2align"):
                alignment = line
            if directive not in (".align", ".balign", ".p2align", ".type", ".size", ".globl", ".weak", ".hidden"):
                break
        end = number + 1
        while end < len(self.lines) and self.sections[end] is section and not label_of(self.lines[end]):
            if directive_of(self.lines[end]) in (
                ".align",
                ".balign",
                ".p2align",
                ".globl",
                ".type",
                ".weak",
                ".set",
                ".ident",
            ):
                break
            end += 1
        lines = tuple(line for line in self.lines[number + 1 : end] if directive_of(line) not in (".size", ".type"))
        size = self._sizes.get(label, (0, "0"))[1]
        local = label not in self._globals
        return DataObject(
            label, section, alignment, lines, is_readonly(section), local, int(size) if size.isdigit() else 0
        )

    @cached_property
    def aliases(self) -> dict[str, str]:
        """What `.set` makes each symbol stand for: a symbol, or an expression such as `.LC0+8`."""
        return dict(self._sets)

    @cached_property
    def comdat(self) -> frozenset[str]:
        """The names of the section groups in this listing."""
        return frozenset(section.group for section in self.sections if section.group)

    @cached_property
    def defined(self) -> frozenset[str]:
        return frozenset(self._labels) | frozenset(self._sets) | frozenset(self._commons)

    @cached_property
    def undefined(self) -> frozenset[str]:
        """The symbols that instructions and data use and that this listing does not define."""
        used = {
            symbol
            for number, line in enumerate(self.lines)
            if self.sections[number].allocated
            and not line.lstrip().startswith(("#", ".cfi", ".type", ".size", ".section", ".loc", ".file", ".ident"))
            for symbol in symbols_in(line)
        }
        return frozenset(used - self.defined)

    def label_line(self, label: str) -> int | None:
        return self._labels.get(label)

    def is_global(self, name: str) -> bool:
        return name in self._globals

    def _is_cold(self, name: str) -> bool:
        return name.endswith(".cold") and name.removesuffix(".cold") in self._labels

    def _cold_start(self, cold: int, entry: int) -> int:
        """The line where the section switch in front of a cold part stands."""
        start = cold
        while start > entry and self.sections[start - 1] is self.sections[cold]:
            start -= 1
        return start


def parse(text: str) -> Listing:
    """Parse a listing; `parse(text).text == text`. Never raises on what GNU as accepts."""
    return Listing(text)


def _split(text: str) -> list[str]:
    """Split at line feeds alone, as the assembler does."""
    lines = text.split("\n")
    return [line + "\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])
