"""The words of C text, for what reads or rewrites it without parsing it."""

from __future__ import annotations

import re

WORD = re.compile(r"[A-Za-z_]\w*")
# Preprocessing tokens, white space and comments as tokens of their own (ISO C11, 6.4; numbers as in 6.4.8).
TOKEN = re.compile(
    r'\s+|/\*.*?\*/|//[^\n]*|"(?:[^"\\\n]|\\.)*"|\'(?:[^\'\\\n]|\\.)*\'|[A-Za-z_]\w*|\.?\d(?:[eEpP][+-]|[\w.])*|.',
    re.DOTALL,
)
# Of C11 and of what GCC's headers use besides (ISO C11, 6.4.1).
KEYWORDS = frozenset(
    [
        *("auto", "break", "case", "char", "const", "continue", "default", "do", "double"),
        *("else", "enum", "extern", "float", "for", "goto", "if", "inline", "int"),
        *("long", "register", "restrict", "return", "short", "signed", "sizeof", "static", "struct"),
        *("switch", "typedef", "union", "unsigned", "void", "volatile", "while", "_Bool", "_Complex"),
        *("__attribute__", "__extension__", "__inline", "__inline__", "__restrict", "__restrict__"),
        *("__const", "__volatile__", "__volatile", "__asm__", "__asm", "asm", "__typeof__", "typeof", "__alignof__", "__thread"),
    ]
)  # fmt: skip
