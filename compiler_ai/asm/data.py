"""Data of a listing: constants, jump tables, strings, static and common variables. On the compile path."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


class Section:
    """A section as a directive opens it; `directive` is the text of one line or two that switches back to it.

    `subsection` is a number; what it holds lies behind all of the section's lower ones. Equal when all of it is.
    """

    __slots__ = ("directive", "flags", "group", "name", "subsection")

    def __init__(self, name: str, flags: str, directive: str, group: str = "", subsection: str = "") -> None:
        self.name, self.flags, self.directive = name, flags, directive
        self.group, self.subsection = group, subsection

    def _fields(self) -> tuple[str, ...]:
        return self.name, self.flags, self.directive, self.group, self.subsection

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Section) and self._fields() == other._fields()

    def __hash__(self) -> int:
        return hash(self._fields())

    def __repr__(self) -> str:
        return f"Section{self._fields()}"

    @property
    def executable(self) -> bool:
        return "x" in self.flags

    @property
    def writable(self) -> bool:
        return "w" in self.flags

    @property
    def allocated(self) -> bool:
        return "a" in self.flags


class DataObject:
    """A labelled piece of data. `lines` are the statements behind the label up to the next label or section change.

    `readonly` includes .data.rel.ro, which is constant once relocated. `size_bytes` is 0 when no directive gives it.
    """

    __slots__ = ("alignment", "label", "lines", "local", "readonly", "section", "size_bytes")

    def __init__(
        self,
        label: str,
        section: Section,
        alignment: str,
        lines: tuple[str, ...],
        readonly: bool,
        local: bool,
        size_bytes: int = 0,
    ) -> None:
        self.label, self.section, self.alignment, self.lines = label, section, alignment, lines
        self.readonly, self.local, self.size_bytes = readonly, local, size_bytes

    @property
    def is_table(self) -> bool:
        """Whether the data mentions labels: a jump table or a table of pointers."""
        return any("L" in line and ("\t.long\t" in line or "\t.quad\t" in line) for line in self.lines)


_DEFAULT_FLAGS = {
    ".text": "ax", ".data": "aw", ".bss": "aw", ".rodata": "a", ".tdata": "awT", ".tbss": "awT",
}  # fmt: skip
_EXACT_FLAGS = {".init": "ax", ".fini": "ax", ".rodata1": "a", ".data1": "aw"}


def section_of(directive_line: str, words: Sequence[str]) -> Section:
    """The section that `.text`, `.data`, `.bss` or `.section ...` opens; `words` are the comma-separated arguments."""
    kind = directive_line.split(None, 1)[0]
    if kind != ".section" and kind != ".pushsection":
        return Section(kind, _DEFAULT_FLAGS.get(kind, "a"), directive_line.rstrip("\n"))
    name = words[0].strip().strip('"')
    flags = words[1].strip().strip('"') if len(words) > 1 and words[1].strip().startswith('"') else ""
    if not flags and len(words) < 2:
        found = (value for prefix, value in _DEFAULT_FLAGS.items() if name == prefix or name.startswith(prefix + "."))
        flags = _EXACT_FLAGS.get(name, "") or next(found, "")
    group = words[4 if "M" in flags else 3].strip() if "G" in flags and len(words) > (4 if "M" in flags else 3) else ""
    return Section(name, flags, directive_line.rstrip("\n"), group)


def is_readonly(section: Section) -> bool:
    return section.allocated and (not section.writable or section.name.startswith(".data.rel.ro"))
