"""The assembly listing of one unit, parsed without loss. On the compile path.

Understands what GCC and Clang write for ELF targets with AT&T syntax. Anything it does not understand stays text:
`parse` never raises on assembly that GNU as accepts, and `Listing.text` is the input.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from itertools import accumulate

from compiler_ai.asm.data import DataObject, Section, is_readonly
from compiler_ai.asm.function import Function, Part
from compiler_ai.asm.scan import Scan
from compiler_ai.asm.statements import (
    LABEL,
    LOCAL_LABEL,
    VISIBILITY,
    directive_of,
    label_of,
    symbols_in,
    without_comment,
)
from compiler_ai.cached import cached_property

_BSS = Section(".bss", "aw", "\t.bss")
_LARGE_BSS = Section(".lbss", "awl", '\t.section\t.lbss,"awl",@nobits')  # of -mcmodel=medium


class Listing:
    """A parsed listing. Line numbers are indexes into `lines`, which keep their line ends."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.lines: list[str] = _split(text)
        scan = Scan(self.lines)
        self.sections: list[Section] = scan.sections  # the section at the end of each line
        self.assembly: tuple[int, ...] = tuple(scan.assembly)  # lines of inline and top-level assembly, ascending
        self._scan = scan

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
        names = [
            name for name, kind in self._scan.types.items() if "function" in kind or kind == "gnu_indirect_function"
        ]
        found = (self.function(name) for name in names if not self._is_cold(name))
        return tuple(sorted((function for function in found if function), key=lambda function: function.entry))

    def function(self, name: str) -> Function | None:
        """The function with that assembled name, or None when it is not defined here as a function with a size."""
        entry = self._scan.labels.get(name)
        if entry is None or "function" not in self._scan.types.get(name, "") or name not in self._scan.sizes:
            return None
        size_line = self._scan.sizes[name][0]
        section = self._scan.label_sections[name]
        if size_line < entry or not section.executable:
            return None
        parts = [Part(entry, size_line, section)]
        cold = self._scan.labels.get(name + ".cold")
        if cold is not None and entry < cold < size_line:
            parts = [Part(entry, self._cold_start(cold, entry), section), Part(cold, size_line, self.sections[cold])]
        aliases = tuple(alias for alias, target in self._scan.sets.items() if target == name)
        late = size_line + 1 < len(self.lines) and self.lines[size_line + 1].strip() == ".cfi_endproc"
        return Function(
            listing=self,
            name=name,
            entry=entry,
            size_line=size_line,
            section=section,
            parts=tuple(parts),
            aliases=aliases,
            is_global=name in self._scan.globals,
            has_inline_assembly=self._scan.is_intel or self._has_assembly(entry, size_line),
            endproc_line=size_line + 1 if late else -1,
        )

    @cached_property
    def data(self) -> dict[str, DataObject]:
        """Every label in a section that holds data, and every common symbol; none that hand-written assembly defines."""
        found: dict[str, DataObject] = {}
        for label, number in self._scan.labels.items():
            section = self._scan.label_sections[label]
            if section.executable or not section.allocated or self._has_assembly(number, number):
                continue
            found[label] = self._data_object(label, number, section)
        for name, (number, size_bytes) in self._scan.commons.items():
            bss = _LARGE_BSS if directive_of(self.lines[number]) == ".largecomm" else _BSS
            local = name in self._scan.locals
            found[name] = DataObject(name, bss, "", (self.lines[number],), False, local, size_bytes)
        return found

    def _data_object(self, label: str, number: int, section: Section) -> DataObject:
        alignment = ""
        for line in reversed(self.lines[max(0, number - 6) : number]):
            directive = directive_of(line)
            if directive in (".align", ".balign", ".p2align"):
                alignment = line
            if directive not in (".align", ".balign", ".p2align", ".type", ".size", ".globl", ".weak", *VISIBILITY):
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
                *VISIBILITY,
                ".local",
                ".comm",
                ".lcomm",
                ".largecomm",
                ".set",
                ".ident",
                ".addrsig",
                ".addrsig_sym",
            ):
                break
            end += 1
        lines = [line for line in self.lines[number + 1 : end] if directive_of(line) not in (".size", ".type")]
        match = LABEL.match(self.lines[number])
        if match and without_comment(self.lines[number][match.end() :]).strip():  # the first of the data is on its line
            lines.insert(0, "\t" + self.lines[number][match.end() :].lstrip())
        size = self._scan.sizes.get(label, (0, "0"))[1]
        local = label not in self._scan.globals
        return DataObject(
            label, section, alignment, tuple(lines), is_readonly(section), local, int(size) if size.isdigit() else 0
        )

    @cached_property
    def aliases(self) -> dict[str, str]:
        """What `.set` makes each symbol stand for: a symbol, or an expression such as `.LC0+8`."""
        return dict(self._scan.sets)

    @cached_property
    def comdat(self) -> frozenset[str]:
        """The names of the section groups in this listing."""
        return frozenset(section.group for section in self.sections if section.group)

    @cached_property
    def defined(self) -> frozenset[str]:
        return frozenset(self._scan.labels) | frozenset(self._scan.sets) | frozenset(self._scan.commons)

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

    def lines_with(self, text: str) -> list[int]:
        """The numbers of the lines that contain a piece of text without line feeds, ascending."""
        found: list[int] = []
        at = self.text.find(text)
        while at >= 0:
            found.append(bisect_right(self._line_starts, at) - 1)
            end = self.text.find("\n", at)
            at = self.text.find(text, end) if end >= 0 else -1
        return found

    @cached_property
    def mentions(self) -> dict[str, list[int]]:
        """By local label (.L) the lines of allocated sections that mention or define it, ascending."""
        found: dict[str, list[int]] = {}
        for number, line in enumerate(self.lines):
            if ".L" in line and self.sections[number].allocated:
                for label in LOCAL_LABEL.findall(line):
                    found.setdefault(label, []).append(number)
        return found

    @cached_property
    def _line_starts(self) -> list[int]:
        return list(accumulate((len(line) for line in self.lines), initial=0))[:-1]

    def defined_by_hand(self, symbol: str) -> bool:
        """Whether inline or top-level assembly defines the symbol's label."""
        number = self._scan.labels.get(symbol)
        return number is not None and self._has_assembly(number, number)

    def _has_assembly(self, first: int, last: int) -> bool:
        at = bisect_left(self.assembly, first)
        return at < len(self.assembly) and self.assembly[at] <= last

    def label_line(self, label: str) -> int | None:
        return self._scan.labels.get(label)

    def label_section(self, label: str) -> Section | None:
        return self._scan.label_sections.get(label)

    def attributes(self, name: str) -> frozenset[str]:
        """Those of "weak", "hidden", "protected" and "internal" that the listing gives a symbol."""
        return frozenset(self._scan.attributes.get(name, ()))

    def is_global(self, name: str) -> bool:
        return name in self._scan.globals

    def _is_cold(self, name: str) -> bool:
        return name.endswith(".cold") and name.removesuffix(".cold") in self._scan.labels

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
