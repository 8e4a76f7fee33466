"""One assembled function in its listing. On the compile path."""

from __future__ import annotations

from compiler_ai.asm.data import Section
from compiler_ai.asm.statements import LOCAL_LABEL, VISIBILITY, directive_of, label_of, symbols_in
from compiler_ai.cached import cached_property

TYPE_CHECKING = False
if TYPE_CHECKING:
    from compiler_ai.asm.listing import Listing


class Part:
    """A contiguous range of listing lines, `start` inclusive to `end` exclusive, that starts in `section`."""

    __slots__ = ("end", "section", "start")

    def __init__(self, start: int, end: int, section: Section) -> None:
        self.start, self.end, self.section = start, end, section


class Function:
    """A function: `entry` is the line of its label, `size_line` that of its `.size`; what lies between is its body.

    GCC puts the `.cold` part between the two as well. `parts` is the hot range first, then the cold one. `endproc_line` is that of
    Clang's .cfi_endproc, which stands behind .size, or -1.
    """

    def __init__(
        self,
        listing: Listing,
        name: str,
        entry: int,
        size_line: int,
        section: Section,
        parts: tuple[Part, ...],
        aliases: tuple[str, ...],
        is_global: bool,
        has_inline_assembly: bool,
        endproc_line: int = -1,
    ) -> None:
        self.listing, self.name, self.entry, self.size_line = listing, name, entry, size_line
        self.section, self.parts, self.aliases = section, parts, aliases
        self.is_global, self.has_inline_assembly, self.endproc_line = is_global, has_inline_assembly, endproc_line

    @cached_property
    def body_lines(self) -> tuple[str, ...]:
        lines = tuple(self.listing.lines[self.entry + 1 : self.size_line])
        return (*lines, self.listing.lines[self.endproc_line]) if self.endproc_line >= 0 else lines

    @property
    def body(self) -> str:
        """The text between the entry label and `.size`; Clang's late .cfi_endproc is pulled in."""
        return "".join(self.body_lines)

    @property
    def lines(self) -> tuple[str, ...]:
        return self.body_lines

    @cached_property
    def local_labels(self) -> frozenset[str]:
        """The labels that the body defines, its `.cold` symbol included."""
        return frozenset(label for line in self.body_lines if (label := label_of(line)))

    @cached_property
    def references(self) -> tuple[str, ...]:
        """Every symbol or label that the body mentions, in order of first appearance, without those it defines itself."""
        seen = dict.fromkeys(
            symbol for line in self.body_lines if not _is_bookkeeping(line) for symbol in symbols_in(line)
        )
        return tuple(symbol for symbol in seen if symbol not in self.local_labels)

    @cached_property
    def label_escapes(self) -> frozenset[str]:
        """The labels of the body, and GCC's view numbers in it, that anything outside of the body refers to."""
        wanted = {label for label in self.local_labels if label.startswith(".L")}
        wanted.update(view for line in self.body_lines for view in views_of(line))
        outside: set[str] = set()
        skip = range(self.entry + 1, self.size_line)
        for number, line in enumerate(self.listing.lines):
            if ".L" in line and number not in skip and number != self.endproc_line and number != self.size_line:
                outside.update(LOCAL_LABEL.findall(line))
        return frozenset(wanted & outside)


def views_of(line: str) -> list[str]:
    """The location view symbols that a `.loc ... view .LVU3` sets."""
    return LOCAL_LABEL.findall(line.partition(" view ")[2]) if ".loc" in line and " view " in line else []


def _is_bookkeeping(line: str) -> bool:
    return directive_of(line) in (".type", ".size", ".section", ".loc", ".p2align", ".align", ".globl", *VISIBILITY)
