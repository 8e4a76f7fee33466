"""A listing without what only a debugger reads: with -g that is most of it, and tuning goes through it for every candidate."""

from __future__ import annotations

import re

from compiler_ai.asm.listing import Listing
from compiler_ai.asm.statements import LOCAL_LABEL, directive_of, label_of

_DEBUG_SECTIONS = (".debug_", ".zdebug_")
_NUMBERED_FILE = re.compile(r"\s*\.file\s+\d")
_MARK = re.compile(r"\.L(?:VL|BB|BE|BI)\d+$")  # GCC's labels for variables' and inlined calls' places


def undebugged(listing: Listing) -> str:
    """The text without line numbers, debug sections and the labels that only those mention. What is loaded of the unit's object
    is the same byte for byte."""
    kept = [line for number, line in enumerate(listing.lines) if not _is_debug(listing, number, line)]
    mentioned = {label for line in kept if not _is_mark(line) for label in LOCAL_LABEL.findall(line)}
    return "".join(line for line in kept if not _is_mark(line) or label_of(line) in mentioned)


def _is_debug(listing: Listing, number: int, line: str) -> bool:
    if listing.sections[number].name.startswith(_DEBUG_SECTIONS):
        return True
    directive = directive_of(line)
    return directive == ".loc" or (directive == ".file" and _NUMBERED_FILE.match(line) is not None)


def _is_mark(line: str) -> bool:
    """Whether the line is such a label and nothing else."""
    label = label_of(line)
    return bool(label) and _MARK.match(label) is not None and line.strip() == f"{label}:"
