"""Assembly text cut into statements the way GNU as does, refusing everything whose cutting could be argued about.

GNU as manual, "Syntax": statements end at a newline or `;`, `#` starts a comment, `/` at the start of a line too, and a
`#` line may be a line marker that opens a file for the error message.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from compiler_ai.screen.rules import Bounds, Refused

TEXT = "screen.text"
_PLAIN_TEXT = re.compile(r"[\t\n\x20-\x7e]*")
_LINE_MARKER = re.compile(r"\s*#\s*(?:\d|line\b|APP\b|NO_APP\b)")
_STRING = re.compile(r'"(?:[^"\\]|\\[0-7]{1,3}|\\[bfnrt"\\])*"')
_LABEL = re.compile(r"([A-Za-z_.$][\w.$]*|\d+[$:]?)\s*:")


@dataclass(frozen=True)
class Statement:
    """One label, directive or instruction; `line` counts from 1. A label's name is in `word`, with kind "label"."""

    line: int
    kind: str  # "label", "directive", "instruction"
    word: str
    rest: str

    @property
    def text(self) -> str:
        return f"{self.word} {self.rest}".strip()


def cut(text: str, bounds: Bounds) -> Iterator[Statement]:
    """The statements of `text`. Raises Refused."""
    if len(text) > bounds.text_bytes:
        raise Refused(TEXT, f"the text is {len(text)} bytes long, at most {bounds.text_bytes} are accepted")
    if not _PLAIN_TEXT.fullmatch(text):
        raise Refused(TEXT, "there is a byte that is not printable ASCII")
    lines = text.split("\n")
    if len(lines) > bounds.lines:
        raise Refused(TEXT, f"the text has {len(lines)} lines, at most {bounds.lines} are accepted")
    for number, line in enumerate(lines, 1):
        yield from _line(number, line, bounds)


def _line(number: int, line: str, bounds: Bounds) -> Iterator[Statement]:
    if len(line) > bounds.line_bytes:
        raise Refused(TEXT, f"line {number} is {len(line)} bytes long, at most {bounds.line_bytes} are accepted")
    if _LINE_MARKER.match(line):
        raise Refused(TEXT, f"line {number} is a line marker or switches the preprocessor: {line.strip()[:80]}")
    if line.lstrip().startswith("/"):
        raise Refused(TEXT, f"line {number} starts with '/'")
    for piece in _pieces(number, line):
        rest = piece.strip()
        while match := _LABEL.match(rest):
            yield Statement(number, "label", match[1], "")
            rest = rest[match.end() :].strip()
        if not rest:
            continue
        word, _, arguments = rest.replace("\t", " ").partition(" ")
        kind = "directive" if word.startswith(".") else "instruction"
        yield Statement(number, kind, word, arguments.strip())


def _pieces(number: int, line: str) -> Iterator[str]:
    """`line` without its comment, cut at `;`. Strings keep both; a backslash outside of a string is refused."""
    if '"' not in line:
        line = line.partition("#")[0]
        if "\\" in line:
            raise Refused(TEXT, f"line {number} has a backslash")
        yield from line.split(";")
        return
    piece, position = "", 0
    while position < len(line):
        character = line[position]
        if character == '"':
            match = _STRING.match(line, position)
            if match is None:
                raise Refused(TEXT, f"line {number} has a string that does not end or an escape that is not accepted")
            piece, position = piece + match[0], match.end()
            continue
        if character == "#":
            break
        if character == "\\":
            raise Refused(TEXT, f"line {number} has a backslash")
        if character == ";":
            yield piece
            piece = ""
        else:
            piece += character
        position += 1
    yield piece
