"""C text without preprocessor directives cut into its external declarations (ISO C11, 6.9), near enough without a parser."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from compiler_ai.models.ctokens import KEYWORDS, WORD


@dataclass
class Declaration:
    """One external declaration: its text, and where its first and last token are: by line, and as [start, end) of the text that was read."""

    text: str
    file: str
    first_line: int
    last_line: int
    system: bool
    is_function: bool
    name: str = ""  # of a function
    start: int = 0
    end: int = 0


@dataclass
class DeclarationReader:
    """Takes one token after the other; what it has found is in `declarations`, a rest without an end in `rest`."""

    declarations: list[Declaration] = field(default_factory=list)
    _tokens: list[str] = field(default_factory=list)
    _start: tuple[str, int, bool, int] = ("", 0, False, 0)
    _depth: int = 0
    _in_function: bool = False

    @property
    def rest(self) -> str:
        return "".join(self._tokens).strip()

    def token(self, token: str, file: str = "", line: int = 0, system: bool = False, start: int = 0) -> None:
        if token.isspace():
            if self._tokens:
                self._tokens.append("\n" + token.rpartition("\n")[2] if "\n" in token else " ")
            return
        if not self._tokens:
            self._start = (file, line, system, start)
        if token == "{":
            if self._depth == 0:
                self._in_function = function_name(self._tokens) != ""
            self._depth += 1
        elif token == "}":
            self._depth = max(0, self._depth - 1)
        self._tokens.append(token)
        if self._depth == 0 and (token == ";" or (token == "}" and self._in_function)):
            name = function_name(self._tokens[: self._tokens.index("{")]) if self._in_function else ""
            file_, first_line, system_, first = self._start
            text = re.sub(r"\n\s*\n+", "\n", "".join(self._tokens)).strip()
            self.declarations.append(
                Declaration(text, file_, first_line, line, system_, self._in_function, name, first, start + len(token))
            )
            self._tokens, self._in_function = [], False


def function_name(tokens: Sequence[str]) -> str:
    """The function that a definition's head defines, or "": the last name in front of a parameter list at depth 0."""
    words = [token for token in tokens if not token.isspace()]
    if "=" in words or not words or words[0] == "typedef":
        return ""
    depth, name = 0, ""
    for before, token in zip(["", *words], words, strict=False):
        if token == "(":
            if (
                depth == 0
                and WORD.fullmatch(before)
                and before not in KEYWORDS
                and not before.startswith("__attribute")
            ):
                name = name or before
            depth += 1
        elif token == ")":
            depth -= 1
    return name
