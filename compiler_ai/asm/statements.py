"""One line of an assembly listing, classified. On the compile path.

Source: GNU as manual, "Syntax"; x86 notes ('#' starts a comment, ';' separates statements). Compilers write one statement a
line except in inline assembly, which is never looked into.
"""

from __future__ import annotations

from compiler_ai.patterns import compiled

LABEL = compiled(r"^[ \t]*((?:[^\W\d][\w.$@]*|[.$][\w.$@]*|\"[^\"]+\"|\d+)):")
SYMBOL = compiled(r"(?:[^\W\d]|\.)[\w.$]*")
LOCAL_LABEL = compiled(r"\.L[\w.$]*")
VISIBILITY = (".hidden", ".internal", ".protected")  # directives
_PREFIXES = frozenset(
    {"rep", "repe", "repz", "repne", "repnz", "lock", "notrack", "bnd", "xacquire", "xrelease", "data16"}
)
_COMMENT = compiled(r"(?:[ \t]+|^)#.*$")
_STRING = compiled(r'"(?:[^"\\]|\\.)*"')
_QUOTED = compiled(r'"(?:[^"\\]|\\.)*"|\'\\?.')  # strings and character constants
_MAY_NAME = compiled(r'(?<![\w%])[^\W\d]|[."]')
_REGISTER = compiled(r"%[a-z][\w]*(?:\(\d\))?")


def split_statements(line: str) -> list[str]:
    """The statements of one line of hand-written assembly; comments are dropped."""
    if ";" not in line and "#" not in line:
        return [line]
    masked = _QUOTED.sub(lambda match: "x" * len(match[0]), line).partition("#")[0]
    ends = [position for position, character in enumerate(masked) if character == ";"]
    return [line[a:b] for a, b in zip([0, *(end + 1 for end in ends)], [*ends, len(masked)], strict=True)]


def label_of(line: str) -> str:
    """The label that a line defines, or ""."""
    if ":" not in line:
        return ""
    match = LABEL.match(line)
    return match[1].strip('"') if match else ""


def directive_of(line: str) -> str:
    """The directive of a line with its dot, or "" for anything else."""
    text = line.lstrip()
    if text[:1] != ".":
        return ""
    word = text.split(None, 1)[0]
    return "" if ":" in word else word


def without_comment(line: str) -> str:
    """The line without a trailing `#` comment and trailing white space; strings are respected."""
    if "#" not in line:
        return line.rstrip()
    if '"' in line:
        kept = line
        masked = _STRING.sub(lambda match: "x" * len(match[0]), line)
        match = _COMMENT.search(masked)
        return kept[: match.start()].rstrip() if match else kept.rstrip()
    return _COMMENT.sub("", line).rstrip()


def symbols_in(line: str) -> list[str]:
    """Every symbol or label that the operands of a statement mention, in order; relocation suffixes (`@PLT`) are not symbols."""
    text = without_comment(line)
    match = LABEL.match(text)
    if match:
        text = text[match.end() :]
    text = text.lstrip()
    head, _, operands = text.partition("\t") if "\t" in text else text.partition(" ")
    while head in _PREFIXES:
        head, _, operands = operands.lstrip().partition("\t") if "\t" in operands else operands.lstrip().partition(" ")
    if not operands or head.startswith((".cfi", ".loc", ".addrsig", ".file", ".ident", ".string", ".ascii", ".asciz")):
        return []
    if not _MAY_NAME.search(operands):
        return []
    if '"' in operands:
        operands = _STRING.sub(
            lambda found: found[0][1:-1] if "@" not in found[0] and len(found[0]) > 2 else "", operands
        )
    operands = _REGISTER.sub(" ", operands)
    found = []
    for part in SYMBOL.finditer(operands):
        before = operands[part.start() - 1] if part.start() else ""
        if before == "@" or part[0] == "." or before.isdigit():
            continue
        found.append(part[0])
    return found
