"""The pieces of an answer that may be assembly: fenced blocks, or what looks like it in an answer without fences."""

from __future__ import annotations

import re
from dataclasses import dataclass

_FENCE = re.compile(r"^\s{0,8}(`{3,}|~{3,})\s*([\w+#.-]*)\s*[^`]*$")
_OTHER_LANGUAGES = frozenset(
    [
        "c",
        "cpp",
        "c++",
        "h",
        "python",
        "py",
        "rust",
        "bash",
        "sh",
        "shell",
        "console",
        "json",
        "yaml",
        "make",
        "makefile",
        "diff",
        "text",
        "plaintext",
        "markdown",
        "md",
    ]
)
_WORD = re.compile(r"^[a-z][a-z0-9]*(?:\.s)?$")
_PREFIXES = frozenset({"rep", "repe", "repz", "repne", "repnz", "lock", "notrack", "bnd"})
_OPERAND = re.compile(
    r"(?:(?:byte|word|dword|qword|oword|[xyz]mmword)\s+)?(?:ptr\s+)?(?:offset\s+(?:flat:)?)?"
    r"[(*$%\-+\w.@:\[{][\w.$%()*+\-@:{}\[\],\s~]*",
    re.IGNORECASE,
)
_PROSE = re.compile(r"[A-Za-z]{2,}\s+[A-Za-z]{2,}\s+[A-Za-z]+")
_LABEL = re.compile(r"^\s*(?:[A-Za-z_.$][\w.$@]*|\d+):")
_DIRECTIVE = re.compile(r"^\s*\.[a-z_][\w.]*(?:\s|$)")


@dataclass(frozen=True)
class Block:
    """Lines that may be assembly. ``open_end``: the answer ended inside of it; ``whole``: and yet the function's end is there."""

    lines: tuple[str, ...]
    open_end: bool

    @property
    def whole(self) -> bool:
        return any(re.match(r"\s*\.(?:size\s|cfi_endproc)", line) for line in self.lines)


def blocks_of(text: str, truncated: bool) -> list[Block]:
    """The blocks of an answer in their order."""
    found: list[Block] = []
    current: list[str] | None = None
    language, fence = "", ""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    for line in lines:
        match = _FENCE.match(line)
        if match and current is None:
            current, language, fence = [], match[2].lower(), match[1]
        elif match and match[1].startswith(fence[0]) and not match[2]:
            found += _block(current or [], language, False)
            current = None
        elif current is not None:
            current.append(line)
    if current is not None:
        found += _block(current, language, True)
    if not found and "```" not in text and "~~~" not in text:
        found += _unfenced(lines, truncated)
    return found


def _block(lines: list[str], language: str, open_end: bool) -> list[Block]:
    if language in _OTHER_LANGUAGES and not _is_assembly(lines):
        return []
    if not _is_assembly(lines):
        return []
    return [Block(tuple(lines), open_end)]


def _unfenced(lines: list[str], truncated: bool) -> list[Block]:
    """The longest run of lines that are assembly; blank lines belong to it."""
    best: list[str] = []
    run: list[str] = []
    for line in [*lines, "."]:
        text = " ".join(without_comments(line)).strip()
        if not line.strip() or (text and (_LABEL.match(text) or _DIRECTIVE.match(text) or is_code(text))):
            run.append(line)
            continue
        if not text and line.strip().startswith(("#", "//", "/*", ";")):
            run.append(line)
            continue
        best = max(best, run, key=lambda one: sum(bool(line.strip()) for line in one))
        run = []
    ends = truncated and bool(best) and lines[-len(best) :] == best
    return [Block(tuple(best), ends)] if _is_assembly(best) else []


def _is_assembly(lines: list[str]) -> bool:
    """Whether at least two thirds of the lines are, and one is an instruction."""
    texts = [text for line in lines for text in without_comments(line) if text.strip()]
    code = sum(is_code(text.strip()) for text in texts)
    other = sum(bool(_LABEL.match(text) or _DIRECTIVE.match(text)) for text in texts)
    return code > 0 and 3 * (code + other) >= 2 * len(texts)


def is_code(text: str) -> bool:
    """Whether the text has the form of one instruction, in either syntax."""
    words = text.split(None, 1)
    while words and words[0].lower() in _PREFIXES:
        words = words[1].split(None, 1) if len(words) > 1 else []
    if not words or not _WORD.match(words[0].lower()):
        return False
    if len(words) == 1:
        return True
    operands = words[1].strip()
    return _OPERAND.fullmatch(operands) is not None and not _PROSE.search(
        re.sub(r"\w+ptr|ptr", "", operands, flags=re.IGNORECASE)
    )


def without_comments(line: str) -> list[str]:
    """The statements of a line without comments of any assembler's kind; strings are kept as they are."""
    if '"' in line:
        return [line.rstrip()]
    text = re.sub(r"/\*.*?\*/", " ", line)
    text = re.split(r"#|//|(?<!\S)!|(?<!\S)@\s", text, maxsplit=1)[0]
    parts = text.split(";")
    kept = parts[:1]
    for part in parts[1:]:
        inside = part.strip()
        if not inside:
            continue
        if not (is_code(inside) and re.search(r"[%$]|^(?:ret|leave|cltq|cqto|cltd)$", inside)) and not _DIRECTIVE.match(
            inside
        ):
            break  # a comment of the kind that MASM and NASM have
        kept.append(part)
    return [part.rstrip() for part in kept] or [""]
