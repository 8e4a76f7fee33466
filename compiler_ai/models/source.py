"""A function's C source with the types that it mentions, from the preprocessed unit.

The preprocessor's line markers say which lines of which file a definition is; those lines are quoted as they were written. A
function that macros make is quoted as the preprocessor left it.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from compiler_ai.artifacts import CompileCommand
from compiler_ai.models.cdeclarations import Declaration, DeclarationReader
from compiler_ai.models.ctokens import KEYWORDS, TOKEN, WORD

_MARKER = re.compile(r'^#\s+(\d+)\s+"((?:[^"\\]|\\.)*)"((?:\s+\d)*)\s*$')
_MOST_UNIT_BYTES = 16 << 20
_MOST_TYPE_BYTES = 6000
_LONGEST_DECLARATION = 2000
_LONGEST_CALLEE = 800  # GCC inlines small functions: their code is part of what is shown
_CLONE = re.compile(r"\.(?:constprop|isra|part|cold)\.?\d*")


@dataclass(frozen=True)
class CSource:
    """A function's definition, and the declarations of the project's own that it mentions, both "" when not found."""

    function: str
    types: str = ""


def source_of(command: CompileCommand, function: str, timeout_s: float = 60.0) -> CSource:
    """What the unit's source says of the function with that assembled name; empty when it cannot be found. Never raises."""
    declarations = declarations_of(_preprocessed(command, timeout_s))
    found = definition(declarations, function)
    if found is None:
        return CSource("")
    quoted = _quoted(found, command.directory, found.name)
    return CSource(quoted, _mentioned(f"{found.text}\n{quoted}", declarations, found))


def declarations_of(text: str) -> list[Declaration]:
    """The external declarations of preprocessed text."""
    reader = DeclarationReader()
    for token, file, line, system, start in _tokens(text):
        reader.token(token, file, line, system, start)
    return reader.declarations


def definition(declarations: Iterable[Declaration], function: str) -> Declaration | None:
    """The definition of the function with that assembled name."""
    name = _CLONE.sub("", function)
    return next((one for one in declarations if one.is_function and one.name == name), None)


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


def _tokens(text: str) -> Iterator[tuple[str, str, int, bool, int]]:
    """(token, file, line, whether in a system header, where in the text) of preprocessed text."""
    file, line, system = "", 1, False
    chunk: list[str] = []
    start = at = 0  # of the chunk, of the line

    def cut(joined: str, first: int, start: int) -> Iterator[tuple[str, str, int, bool, int]]:
        number = first
        for match in TOKEN.finditer(joined):
            yield match[0], file, number, system, start + match.start()
            number += match[0].count("\n")

    first = line
    for one in text.split("\n"):
        marker = _MARKER.match(one)
        at += len(one) + 1
        if marker is None and not one.startswith("#"):
            chunk.append(one)
            continue
        yield from cut("\n".join(chunk) + "\n", first, start)
        chunk, start = [], at
        if marker is not None:
            file, first, system = marker[2], int(marker[1]), "3" in marker[3]
    yield from cut("\n".join(chunk) + "\n", first, start)


def _quoted(found: Declaration, directory: str, name: str) -> str:
    """The definition's lines as they were written, or the preprocessor's text where those lines do not hold it."""
    path = Path(directory, found.file)
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").split("\n")[found.first_line - 1 : found.last_line]
    except OSError:
        return found.text
    text = "\n".join(lines)
    whole = re.search(rf"\b{re.escape(name)}\b", text) and text.count("{") and text.rstrip().endswith("}")
    return text if whole else found.text


def _mentioned(text: str, declarations: list[Declaration], function: Declaration) -> str:
    """The project's own declarations that `text` mentions, transitively, in their order."""
    by_name: dict[str, list[Declaration]] = {}
    for one in declarations:
        if one is not function and not one.system:
            for name in _defined_names(one):
                by_name.setdefault(name, []).append(one)
    wanted: list[Declaration] = []
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


def _short(one: Declaration) -> str:
    if one.is_function and len(one.text) > _LONGEST_CALLEE:
        return one.text[: one.text.index("{")].rstrip() + ";"
    return (
        one.text if len(one.text) <= _LONGEST_DECLARATION else one.text[: one.text.index("=")].rstrip() + " = { ... };"
    )


def _defined_names(one: Declaration) -> set[str]:
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
