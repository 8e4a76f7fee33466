"""The grammar of data, unwind and debug directives that a candidate may contain (GNU as manual, "Pseudo Ops" and "CFI directives")."""

from __future__ import annotations

import re

from compiler_ai.screen.statements import Statement

_INTEGER = r"-?(?:0x[0-9a-fA-F]{1,32}|\d{1,20})"
_SYMBOL = r"[A-Za-z_.][\w.$]*"
_ITEM = re.compile(rf"{_INTEGER}|{_SYMBOL}(?:\s*[+-]\s*\d{{1,7}}|\s*-\s*{_SYMBOL})?")
_STRING_ITEM = re.compile(r'"(?:[^"\\]|\\[0-7]{1,3}|\\[bfnrt"\\])*"')
_WIDTHS = {
    ".byte": 1, ".value": 2, ".short": 2, ".word": 2, ".hword": 2, ".2byte": 2, ".long": 4, ".int": 4, ".4byte": 4,
    ".quad": 8, ".8byte": 8, ".octa": 16,
}  # fmt: skip
_STRINGS = frozenset({".string", ".asciz", ".ascii"})
_FILLS = frozenset({".zero", ".skip", ".space", ".fill"})
DATA_DIRECTIVES = frozenset(_WIDTHS) | _STRINGS | _FILLS

_REGISTER = r"(?:%?[a-z][a-z0-9]{1,5}|\d{1,3})"
_UNWIND = {
    ".cfi_def_cfa": rf"{_REGISTER}\s*,\s*-?\d{{1,9}}",
    ".cfi_def_cfa_offset": r"-?\d{1,9}",
    ".cfi_def_cfa_register": _REGISTER,
    ".cfi_adjust_cfa_offset": r"-?\d{1,9}",
    ".cfi_offset": rf"{_REGISTER}\s*,\s*-?\d{{1,9}}",
    ".cfi_rel_offset": rf"{_REGISTER}\s*,\s*-?\d{{1,9}}",
    ".cfi_restore": rf"{_REGISTER}(?:\s*,\s*{_REGISTER})*",
    ".cfi_same_value": _REGISTER,
    ".cfi_undefined": _REGISTER,
    ".cfi_remember_state": "",
    ".cfi_restore_state": "",
}
_BYTE = r"(?:0x[0-9a-f]{1,2}|\d)"
_BYTES = re.compile(rf"{_BYTE}(?:\s*,\s*{_BYTE}){{0,15}}", re.IGNORECASE)
_LOCATION = re.compile(
    r"\d{1,6} \d{1,7}(?: \d{1,5})?(?: (?:basic_block|prologue_end|epilogue_begin|is_stmt [01]|isa \d{1,3}"
    r"|discriminator \d{1,9}|view (?:-?0|\.LVU\d{1,9})))*"
)


def data_size(statement: Statement, limit_bytes: int) -> int | None:
    """The size of a data directive in bytes, or None when its arguments are outside of the grammar."""
    word, rest = statement.word, statement.rest
    if word in _STRINGS:
        items = _STRING_ITEM.findall(rest)
        if not items or not re.fullmatch(rf"{_STRING_ITEM.pattern}(?:\s*,\s*{_STRING_ITEM.pattern})*", rest):
            return None
        return sum(len(item) for item in items)
    if word in _FILLS:
        return _fill_size(word, rest, limit_bytes)
    items = [item.strip() for item in rest.split(",")]
    return _WIDTHS[word] * len(items) if items and all(_ITEM.fullmatch(item) for item in items) else None


def _fill_size(word: str, rest: str, limit_bytes: int) -> int | None:
    if word == ".fill":
        match = re.fullmatch(r"(\d{1,6})(?:\s*,\s*([1248]))?(?:\s*,\s*(?:0x[0-9a-f]{1,8}|\d{1,9}))?", rest)
        size = int(match[1]) * int(match[2] or 1) if match else None
    else:
        match = re.fullmatch(r"(\d{1,6})(?:\s*,\s*\d{1,3})?", rest)
        size = int(match[1]) if match else None
    return size if size is not None and size <= limit_bytes else None


def is_unwind(statement: Statement) -> bool:
    """Whether this is a .cfi_* directive of the accepted kinds with well-formed arguments."""
    if statement.word == ".cfi_escape":
        return _is_harmless_expression(statement.rest)
    pattern = _UNWIND.get(statement.word)
    return pattern is not None and re.fullmatch(pattern, statement.rest) is not None


def _is_harmless_expression(arguments: str) -> bool:
    """DW_CFA_def_cfa_expression, expression and val_expression that only add to and dereference registers (DWARF 5, 2.5, 6.4.2).

    An unwinder runs these, and DWARF expressions can loop; the ones compilers emit for realigned stacks are straight.
    """
    if not _BYTES.fullmatch(arguments.strip()):
        return False
    code = [int(item, 0) for item in arguments.split(",")]
    if code[0] == 0x0F:
        length, block = code[1:2], code[2:]
    elif code[0] in (0x10, 0x16):
        length, block = code[2:3], code[3:]
    else:
        return False
    if length != [len(block)]:
        return False
    position = 0
    while position < len(block):
        operation = block[position]
        position += 1
        if 0x70 <= operation <= 0x8F or operation in (0x23, 0x11, 0x10):  # breg<n>, plus_uconst, consts, constu
            while position < len(block) and block[position] & 0x80:
                position += 1
            position += 1
        elif operation not in (0x06, 0x22, 0x1C) and not 0x30 <= operation <= 0x4F:  # deref, plus, minus, lit<n>
            return False
    return position == len(block)


def is_inert_in_code(statement: Statement) -> bool:
    """`.loc`, which only says where in the source an instruction comes from."""
    return statement.word == ".loc" and _LOCATION.fullmatch(" ".join(statement.rest.split())) is not None
