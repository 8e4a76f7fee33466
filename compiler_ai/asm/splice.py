"""A listing with one function's body replaced. On the compile path.

The function keeps its name, section, alignment, symbol attributes and aliases. What debug information refers to stays
defined, so that everything else assembles as before; what follows in the section keeps its address modulo 64, so that no
untouched loop moves across a fetch block.
"""

from __future__ import annotations

from compiler_ai.asm.function import Function, views_of
from compiler_ai.asm.statements import directive_of, label_of
from compiler_ai.errors import AiccError
from compiler_ai.patterns import DOTALL, compiled

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from compiler_ai.asm.listing import Listing
    from compiler_ai.candidates import AnyBody

FETCH_BLOCK_BYTES = 64
_ALIGN = compiled(r"^([ \t]*)\.(p2align|align|balign)([ \t]+)(\d+)(.*)$", DOTALL)
_VIEW = compiled(r" view \S+")
_NOT_IN_LABELS = compiled(r"[^\w.$]")
_INT3 = "0xcc"


class SpliceError(AiccError):
    """The body cannot be replaced without changing something else; the message says why."""


class Replacement:
    """New lines of one function: what takes the place of listing.lines[start:stop], and what comes at the listing's end.

    With `without_cold` no line behind them may speak of `name`.cold, which is gone.
    """

    __slots__ = ("lines", "name", "start", "stop", "tail", "without_cold")

    def __init__(self, name: str, start: int, stop: int, lines: list[str], tail: str, without_cold: bool) -> None:
        self.name, self.start, self.stop, self.lines = name, start, stop, lines
        self.tail, self.without_cold = tail, without_cold


def replace(listing: Listing, function_name: str, candidate: AnyBody, baseline_size_bytes: int) -> str:
    """The listing's text with `candidate` as the body of `function_name`; see `replacement`. Raises SpliceError."""
    return with_replacements(listing, [replacement(listing, function_name, candidate, baseline_size_bytes)])


def with_replacements(listing: Listing, replacements: Sequence[Replacement]) -> str:
    """The listing's text with other bodies of several functions. Raises SpliceError when they are not apart."""
    lines = list(listing.lines)
    for one in replacements:
        for number in range(one.stop, len(lines)) if one.without_cold else ():
            if _sizes_cold(lines[number], one.name):
                lines[number] = ""
    position, parts = 0, []
    for one in sorted(replacements, key=lambda one: one.start):
        if one.start < position:
            raise SpliceError(f"{one.name} lies inside another function")
        parts += lines[position : one.start] + one.lines
        position = one.stop
    behind = lines[position:]
    end = tail_position(behind)
    return "".join([*parts, *behind[:end], *(one.tail for one in replacements), *behind[end:]])


def replacement(listing: Listing, function_name: str, candidate: AnyBody, baseline_size_bytes: int) -> Replacement:
    """What makes `candidate` the body of `function_name`.

    `baseline_size_bytes` is the size of GCC's hot part as assembled (0: do not pad). Raises SpliceError.
    """
    function = listing.function(function_name)
    if function is None:
        raise SpliceError(f"the listing defines no function '{function_name}'")
    check_replaceable(function)
    own = _defined_by(candidate)
    escaping = function.label_escapes - own
    size_line = listing.lines[function.size_line]
    begin, end = f".Laicc_begin_{label_safe(function_name)}", f".Laicc_end_{label_safe(function_name)}"
    lines = [f"{begin}:\n", *_labels_at_start(function, escaping, candidate)]
    lines += with_capped_alignment(candidate.body, section_alignment(listing, function)).splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += "\n"
    if not ends_in_section(candidate.body):
        lines.append(function.section.directive + "\n")
    lines += _labels_at_end(function, escaping)
    lines += [f"{end}:\n", size_line]
    if baseline_size_bytes:
        lines.append(f"\t.skip\t({baseline_size_bytes}-({end}-{begin}))&{FETCH_BLOCK_BYTES - 1}, {_INT3}\n")
    stop = function.size_line + 1 + (function.endproc_line >= 0)
    tail = candidate.extra if candidate.extra.endswith("\n") or not candidate.extra else candidate.extra + "\n"
    without_cold = f"{function_name}.cold" not in own
    return Replacement(function_name, function.entry + 1, stop, lines, tail, without_cold)


def check_replaceable(function: Function) -> None:
    """Raises SpliceError for a function whose body cannot be told apart from what it holds besides instructions."""
    if function.has_inline_assembly:
        raise SpliceError(f"{function.name} holds inline assembly")
    for line in function.body_lines:
        if ".cfi_personality" in line or ".cfi_lsda" in line:
            raise SpliceError(f"{function.name} has an exception table")
    position = function.entry
    inside = function.listing.lines[position + 1 : function.size_line]
    others = [label for line in inside if (label := label_of(line)) and not label.startswith(".L")]
    others = [label for label in others if label != function.name + ".cold" and not label.isdigit()]
    if others:
        raise SpliceError(f"{others[0]} is defined inside the body of {function.name}")


def _defined_by(candidate: AnyBody) -> frozenset[str]:
    """The labels and view numbers that a candidate defines itself: GCC's own body defines all of its own."""
    lines = [*candidate.body.splitlines(), *candidate.extra.splitlines()]
    labels = {label for line in lines if (label := label_of(line))}
    return frozenset(labels.union(*(views_of(line) for line in lines)))


def _labels_at_start(function: Function, escaping: frozenset[str], candidate: AnyBody) -> list[str]:
    """GCC's .LFB label, view numbers (which no `.loc` sets any more), numbered files, and the first line entry."""
    own = {directive_of(line) for line in candidate.body.splitlines()}
    lines = [line for line in function.body_lines if directive_of(line) == ".file" and ".file" not in own]
    lines += [f"{label}:\n" for label in _in_order(function, escaping) if label.startswith(".LFB")]
    views = dict.fromkeys(view for line in function.body_lines for view in views_of(line) if view in escaping)
    lines += [f"\t.set\t{view}, 0\n" for view in views]
    first = next((line for line in function.body_lines if directive_of(line) == ".loc"), None)
    if first is not None and ".loc" not in own:
        lines.append(without_view(first))
    return lines


def _labels_at_end(function: Function, escaping: frozenset[str]) -> list[str]:
    """Every other escaping label: those of the hot part at its end, those of other sections in their own, in order."""
    listing = function.listing
    lines: list[str] = []
    for label in _in_order(function, escaping):
        if label.startswith(".LFB"):
            continue
        number = listing.label_line(label)
        section = listing.sections[number] if number is not None else function.section
        if section.name == function.section.name:
            lines.append(f"{label}:\n")
        else:
            lines += [section.directive + "\n", f"{label}:\n", function.section.directive + "\n"]
    return lines


def _in_order(function: Function, escaping: frozenset[str]) -> list[str]:
    return [label for line in function.body_lines if (label := label_of(line)) in escaping]


def section_alignment(listing: Listing, function: Function) -> int:
    """The strictest alignment (a power of two exponent) that GCC's listing itself asks of the function's section."""
    strictest = 0
    for number, line in enumerate(listing.lines):
        if ".p2align" in line or "align" in line:
            match = _ALIGN.match(line)
            if match and listing.sections[number].name == function.section.name:
                value = int(match[4])
                strictest = max(strictest, value if match[2] == "p2align" else max(0, value.bit_length() - 1))
    return strictest


def with_capped_alignment(body: str, exponent: int) -> str:
    """The body with its code alignments at most 2**exponent, so that the section's own does not rise."""
    lines = []
    in_code = True
    for line in body.splitlines(keepends=True):
        directive = directive_of(line)
        if directive in (".section", ".pushsection"):
            in_code = ".text" in line
        elif directive in (".text", ".popsection", ".previous"):
            in_code = True
        match = _ALIGN.match(line)
        if match and in_code:
            value = int(match[4])
            wanted = value if match[2] == "p2align" else max(0, value.bit_length() - 1)
            if wanted > exponent:
                rest = match[5] if match[2] == "p2align" else "\n"
                line = f"{match[1]}.p2align{match[3]}{exponent}{rest}"
        lines.append(line)
    return "".join(lines)


def ends_in_section(body: str) -> bool:
    """Whether the body ends in the section it began in, as far as its directives tell."""
    return not any(directive_of(line) in (".section", ".text", ".data", ".bss") for line in body.splitlines())


def _sizes_cold(line: str, name: str) -> bool:
    return (
        ".cold" in line and directive_of(line) in (".size", ".type") and line.split()[1].rstrip(",") == f"{name}.cold"
    )


def tail_position(lines: list[str]) -> int:
    """Where additions go: in front of `.ident` or the stack note, or at the end."""
    for number in range(len(lines) - 1, max(-1, len(lines) - 60), -1):
        if directive_of(lines[number]) == ".ident":
            return number
    return len(lines)


def label_safe(name: str) -> str:
    """A function's name as a part of a label."""
    return _NOT_IN_LABELS.sub("_", name)


def without_view(location: str) -> str:
    """A `.loc` line that sets no view number."""
    return _VIEW.sub("", location)
