"""A name for a candidate body that is the same for bodies that differ in nothing that matters."""

from __future__ import annotations

import hashlib
import re

from compiler_ai.artifacts import Candidate

# GCC names labels like this, and data outside of the body may refer to them: those keep their names.
_GCC_LABEL = re.compile(r"\.L[A-Z]*[0-9]+")
_DEFINED = re.compile(r"^\s*(\.L[\w.$]+):", re.MULTILINE)
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|\.L[\w.$]+')
_NO_CODE = ("#", ".loc ", ".loc\t")


def digest(candidate: Candidate) -> str:
    """64 hex digits over function, body, extra and ISA extensions.

    Independent of white space at line ends and between words, whole-line comments, line numbers for debuggers, and the
    names of local labels that only the candidate itself can refer to.
    """
    text = "\0".join(_normalised_lines(part) for part in (candidate.body, candidate.extra))
    own = [label for label in _DEFINED.findall(text) if not _GCC_LABEL.fullmatch(label)]
    numbers = {label: f".L<{number}>" for number, label in enumerate(dict.fromkeys(own))}
    text = _TOKEN.sub(lambda match: numbers.get(match[0], match[0]), text)
    parts = (candidate.function, ",".join(sorted(candidate.features)), text)
    return hashlib.sha256("\0\0".join(parts).encode(errors="surrogateescape")).hexdigest()


def _normalised_lines(text: str) -> str:
    lines = (line.strip() for line in text.splitlines())
    return "\n".join(_spaced(line) for line in lines if line and not line.startswith(_NO_CODE))


def _spaced(line: str) -> str:
    """Runs of blanks outside of strings as one blank."""
    return line if '"' in line else " ".join(line.split())
