"""The words of C text, for what reads or rewrites it without parsing it."""

from __future__ import annotations

import re

WORD = re.compile(r"[A-Za-z_]\w*")
# Of C11 and of what GCC's headers use besides (ISO C11, 6.4.1).
KEYWORDS = frozenset(
    [
        *("auto", "break", "case", "char", "const", "continue", "default", "do", "double"),
        *("else", "enum", "extern", "float", "for", "goto", "if", "inline", "int"),
        *("long", "register", "restrict", "return", "short", "signed", "sizeof", "static", "struct"),
        *("switch", "typedef", "union", "unsigned", "void", "volatile", "while", "_Bool", "_Complex"),
        *("__attribute__", "__extension__", "__inline", "__restrict", "__const"),
    ]
)  # fmt: skip
