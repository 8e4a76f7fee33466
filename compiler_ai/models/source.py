"""A function's C source with the types that it mentions, from the preprocessed unit.

The preprocessor's line markers say which lines of which file a definition is; those lines are quoted as they were written. A
function that macros make is quoted as the preprocessor left it.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from compiler_ai.artifacts import CompileCommand
from compiler_ai.models.ctokens import KEYWORDS, TOKEN, WORD

_MARKER = re.compile(r'^#\s+(\d+)\s+"((?:[^"\\]|\\.)*)"((?:\s+\d)*)\s*$')
_MOST_UNIT_BYTES = 16 << 20
_MOST_TYPE_BYTES = 6000
_LONGEST_DECLARATION = 2000
_LONGEST_CALLEE = 800  # GCC inlines small functions: their code is part of what is shown
_CLONE = re.compile(r"\.(?:constprop|isra|part|cold)\.?\d*")


@dataclass
class _Declaration:
    """One external declaration: its text, and where its first and last token are."""

    text: str
    file: str
    first_line: int
    last_line: int
    system: bool
    is_function: bool
    name: str = ""  # of a function


@dataclass(frozen=True)
class CSource:
    """A function's definition, and the declarations of the project's own that it mentions, both "" when not found."""

    function: str
    types: str = ""


@dataclass
class _Reader:
    """Cuts preprocessed text into external declarations."""

    declarations: list[_Declaration] = field(default_factory=list)
    _tokens: list[str] = field(default_factory=list)
    _start: tuple[str, int, bool] = ("", 0, False)
    _depth: int = 0
    _in_function: bool = False

    def token(self, token: str, file: str, line: int, system: bool) -> None:
        if token.isspace():
            if self._tokens:
                self._tokens.append("\n" + token.rpartition("\n")[2] if "\n" in token else " ")
            return
        if not self._tokens:
            self._start = (file, line, system)
        if token == "{":
            if self._depth == 0:
                self._in_function = _name_of_function(self._tokens) != ""
            self._depth += 1
        elif token == "}":
            self._depth = max(0, self._depth - 1)
        self._tokens.append(token)
        if self._depth == 0 and (token == ";" or (token == "}" and self._in_function)):
            name = _name_of_function(self._tokens[: self._tokens.index("{")]) if self._in_function else ""
            file_, first, system_ = self._start
            text = re.sub(r"\n\s*\n+", "\n", "".join(self._tokens)).strip()
            self.declarations.append(_Declaration(text, file_, first, line, system_, self._in_function, name))
            self._tokens, self._in_function = [], False


def _name_of_function(tokens: list[str]) -> str:
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


def source_of(command: CompileCommand, function: str, timeout_s: float = 60.0) -> CSource:
    """What the unit's source says of the function with that assembled name; empty when it cannot be found. Never raises."""
    text = _preprocessed(command, timeout_s)
    if not text:
        return CSource("")
    reader = _Reader()
    for token, file, line, system in _tokens(text):
        reader.token(token, file, line, system)
    name = _CLONE.sub("", function)
    found = next((one for one in reader.declarations if one.is_function and one.name == name), None)
    if found is None:
        return CSource("")
    quoted = _quoted(found, command.directory, name)
    return CSource(quoted, _mentioned(f"{found.text}\n{quoted}", reader.declarations, found))


def _preprocessed(command: CompileCommand, timeout_s: float) -> str:
    words = [*command.compiler, *command.arguments, "-E", "-w", command.input]
    environment = {**os.environ, **dict(command.environment), "AICC_ACTIVE": "1"}
    try:
        done = subprocess.run(
            words, cwd=command.directory, env=environment, capture_output=True, timeout=timeout_s, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.decode(errors="replace") if len(done.stdout) <= _MOST_UNIT_BYTES else ""


def _tokens(text: str) -> Iterator[tuple[str, str, int, bool]]:
    """(token, file, line, whether in a system header) of preprocessed text."""
    file, line, system = "", 1, False
    chunk: list[str] = []

    def cut(joined: str, first: int) -> Iterator[tuple[str, str, int, bool]]:
        number = first
        for match in TOKEN.finditer(joined):
            yield match[0], file, number, system
            number += match[0].count("\n")

    first = line
    for one in text.split("\n"):
        marker = _MARKER.match(one)
        if marker is None and not one.startswith("#"):
            chunk.append(one)
            continue
        yield from cut("\n".join(chunk) + "\n", first)
        chunk = []
        if marker is not None:
            file, first, system = marker[2], int(marker[1]), "3" in marker[3]
    yield from cut("\n".join(chunk) + "\n", first)


def _quoted(found: _Declaration, directory: str, name: str) -> str:
    """The definition's lines as they were written, or the preprocessor's text where those lines do not hold it."""
    path = Path(directory, found.file)
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").split("\n")[found.first_line - 1 : found.last_line]
    except OSError:
        return found.text
    text = "\n".join(lines)
    whole = re.search(rf"\b{re.escape(name)}\b", text) and text.count("{") and text.rstrip().endswith("}")
    return text if whole else found.text


def _mentioned(text: str, declarations: list[_Declaration], function: _Declaration) -> str:
    """The project's own declarations that `text` mentions, transitively, in their order."""
    by_name: dict[str, list[_Declaration]] = {}
    for one in declarations:
        if one is not function and not one.system:
            for name in _defined_names(one):
                by_name.setdefault(name, []).append(one)
    wanted: list[_Declaration] = []
    waiting, size_bytes = [text], 0
    while waiting:
        for word in dict.fromkeys(WORD.findall(waiting.pop())):
            for one in by_name.get(word, ()):
                if one not in wanted and size_bytes + len(one.text) <= _MOST_TYPE_BYTES:
                    wanted.append(one)
                    size_bytes += len(one.text)
                    if not one.is_function or len(one.text) <= _LONGEST_CALLEE:
                        waiting.append(one.text)
    order = {id(one): number for number, one in enumerate(declarations)}
    return "\n".join(_short(one) for one in sorted(wanted, key=lambda one: order[id(one)]))


def _short(one: _Declaration) -> str:
    if one.is_function and len(one.text) > _LONGEST_CALLEE:
        return one.text[: one.text.index("{")].rstrip() + ";"
    return (
        one.text if len(one.text) <= _LONGEST_DECLARATION else one.text[: one.text.index("=")].rstrip() + " = { ... };"
    )


def _defined_names(one: _Declaration) -> set[str]:
    """The names that a declaration defines, near enough for choosing what to show."""
    if one.is_function:
        return {one.name}
    if len(one.text) > _LONGEST_DECLARATION and "=" not in one.text:
        return set()
    head = re.split(r"\{", one.text, maxsplit=1)[0]
    names = set(re.findall(r"\b(?:struct|union|enum)\s+([A-Za-z_]\w*)\s*$", head))
    if "enum" in head.split() and "{" in one.text:
        names.update(re.findall(r"[{,]\s*([A-Za-z_]\w*)", one.text))
    flat = re.sub(r"\{.*\}", " ", one.text, flags=re.DOTALL).partition("=")[0]
    pointer = re.search(r"\(\s*\*\s*([A-Za-z_]\w*)", flat)
    if one.text.startswith("typedef") and pointer:
        return names | {pointer[1]}
    called = re.search(r"([A-Za-z_]\w*)\s*\(", flat)
    if called:
        return names | {called[1]}
    words = [word for word in WORD.findall(re.sub(r"\[.*?\]", " ", flat)) if word not in KEYWORDS]
    return names | set(words[-1:])
