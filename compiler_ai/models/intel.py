"""Intel syntax to AT&T, instruction by instruction; what is not surely understood is refused.

Source: GNU as manual, "AT&T Syntax versus Intel Syntax". Operands swap their order, memory operands their form, and an
instruction whose size no register tells gets the suffix of its `ptr`.
"""

from __future__ import annotations

import re

_SIZES = {
    "byte": "b",
    "word": "w",
    "dword": "l",
    "qword": "q",
    "xmmword": "",
    "ymmword": "",
    "zmmword": "",
    "oword": "",
}
_GPR = re.compile(
    r"(?:r(?:ax|bx|cx|dx|si|di|bp|sp|8|9|1[0-5])|e(?:ax|bx|cx|dx|si|di|bp|sp)|[abcd]x|[sd]i|[bs]p"
    r"|[abcd][lh]|(?:si|di|bp|sp)l|r(?:8|9|1[0-5])[dwb])"
)
_REGISTER = re.compile(rf"(?:{_GPR.pattern}|[xyz]mm\d{{1,2}}|k[0-7]|[cdefgs]s|rip)")
_NUMBER = re.compile(r"[+-]?\s*(?:0x[0-9a-f]+|\d[0-9a-f]*h|\d+)")
_SYMBOL = re.compile(r"[A-Za-z_.][\w.$]*(?:@\w+)?")
_SIZED = re.compile(r"^(byte|word|dword|qword|oword|xmmword|ymmword|zmmword)\s+(?:ptr\s+)?", re.IGNORECASE)
_SEGMENT = re.compile(r"^([fg]s):")
# Of instructions without operands.
_RENAMED = {
    "cdq": "cltd",
    "cdqe": "cltq",
    "cqo": "cqto",
    "cwde": "cwtl",
    "cwd": "cwtd",
    "cbw": "cbtw",
    "stosd": "stosl",
    "movsd": "movsl",
    "lodsd": "lodsl",
    "scasd": "scasl",
    "cmpsd": "cmpsl",
}
_PREFIXES = frozenset({"rep", "repe", "repz", "repne", "repnz", "lock", "notrack", "bnd"})
_BRANCH = re.compile(r"(?:call|jmp|j[a-z]{1,3}|loop)")
_SHIFTS = frozenset({"shl", "sal", "shr", "sar", "rol", "ror", "rcl", "rcr"})
# Without registers that tell: the size of the source decides.
_TO_FLOAT = re.compile(r"v?cvt(?:si|usi)2s[sd]")
_INSERTS = re.compile(r"v?(?:pinsr[bwdq]|pextr[bwdq]|extractps)")


class NotIntelError(Exception):
    """The line is not understood; the message says which part."""


def looks_like_intel(lines: list[str]) -> bool:
    """Whether instructions are written in Intel syntax: a register without `%`, a bracket or a `ptr`."""
    bare = re.compile(rf"(?:^|[\s,\[+*-])(?:{_REGISTER.pattern})(?=$|[\s,\]+*-])", re.IGNORECASE)
    marks = sum(bool("[" in line or " ptr " in line.lower() or bare.search(line.partition("#")[0])) for line in lines)
    return marks > sum("%" in line for line in lines)


def to_att(instruction: str) -> str:
    """One instruction, without label and comment. Raises NotIntelError."""
    words = instruction.strip().split(None, 1)
    prefix = ""
    while words and words[0].lower() in _PREFIXES:
        prefix += words[0].lower() + " "
        words = words[1].split(None, 1) if len(words) > 1 else []
    if not words:
        raise NotIntelError("a prefix without an instruction")
    mnemonic = words[0].lower()
    operands = _split(words[1]) if len(words) > 1 else []
    if mnemonic.startswith("f") or not re.fullmatch(r"[a-z][a-z0-9]*", mnemonic):
        raise NotIntelError(f"'{mnemonic}' is not translated from Intel syntax")
    if not operands:
        return prefix + _RENAMED.get(mnemonic, mnemonic)
    if _BRANCH.fullmatch(mnemonic) and len(operands) == 1:
        return f"{prefix}{mnemonic}\t{_branch_target(operands[0])}"
    sizes: list[str] = []
    memory: list[str] = []
    written = []
    for operand in operands:
        text, size, is_memory = _operand(operand, mnemonic == "lea")
        written.append(text)
        if is_memory:
            memory.append(size)
        elif _GPR.fullmatch(operand.strip().lower()):
            sizes.append(operand.strip().lower())
    return f"{prefix}{_suffixed(mnemonic, operands, sizes, memory)}\t{', '.join(reversed(written))}"


def _suffixed(mnemonic: str, operands: list[str], registers: list[str], memory: list[str]) -> str:
    size = memory[0] if memory else ""
    if mnemonic in ("movzx", "movsx", "movsxd"):
        source = size or _size_of(operands[-1])
        target = _size_of(operands[0])
        if not source or not target:
            raise NotIntelError(f"'{mnemonic}' without sizes")
        return ("movz" if mnemonic == "movzx" else "movs") + source + target
    if _TO_FLOAT.fullmatch(mnemonic):
        size = size or _size_of(operands[-1])
        if size not in ("l", "q"):
            raise NotIntelError(f"'{mnemonic}' without a size")
        return mnemonic + size
    vector = any(re.fullmatch(r"[xyz]mm\d+", operand.strip().lower()) for operand in operands)
    if mnemonic == "crc32":
        return mnemonic + (size or _size_of(operands[-1]))
    if not memory or vector or _INSERTS.fullmatch(mnemonic):
        return mnemonic
    told = registers[1:] if mnemonic in _SHIFTS and registers == ["cl"] else registers
    if mnemonic in _SHIFTS and operands[-1].strip().lower() == "cl" and len(registers) == 1:
        told = []
    if told:
        return mnemonic
    if not size:
        raise NotIntelError(f"'{mnemonic}' on memory without a size")
    return mnemonic + size


def _size_of(register: str) -> str:
    name = register.strip().lower()
    if not _GPR.fullmatch(name):
        return ""
    if re.fullmatch(r"r(?:ax|bx|cx|dx|si|di|bp|sp|8|9|1[0-5])", name):
        return "q"
    if re.fullmatch(r"e..|r\d+d", name):
        return "l"
    return "w" if re.fullmatch(r"[abcd]x|[sd]i|[bs]p|r\d+w", name) else "b"


def _branch_target(operand: str) -> str:
    text = operand.strip()
    if _GPR.fullmatch(text.lower()):
        return f"*%{text.lower()}"
    if "[" in text:
        inner = text[1:-1].strip() if text.startswith("[") and re.search(r"ptr", text, re.IGNORECASE) else text
        return "*" + _operand(inner, True)[0]
    text = re.sub(r"^(?:short|near)\s+", "", text)
    text = re.sub(r"^(?:offset\s+(?:flat:)?)", "", text, flags=re.IGNORECASE)
    if not re.fullmatch(rf"{_SYMBOL.pattern}|\d+[bf]", text):
        raise NotIntelError(f"branch target '{text[:40]}'")
    return text


def _operand(operand: str, address_only: bool) -> tuple[str, str, bool]:
    """(AT&T text, size suffix of its `ptr`, whether it is memory)."""
    text = operand.strip()
    sized = _SIZED.match(text)
    size = _SIZES[sized[1].lower()] if sized else ""
    text = text[sized.end() :].strip() if sized else text
    plain = text.lower()
    if _REGISTER.fullmatch(plain):
        return f"%{plain}", "", False
    if "[" in text or sized:
        return _memory(text), "" if address_only else size, True
    offset = re.match(r"offset\s+(?:flat:)?", plain)
    if offset:
        symbol = text[offset.end() :]
        if not re.fullmatch(rf"{_SYMBOL.pattern}(?:[+-]\d+)?", symbol):
            raise NotIntelError(f"operand '{text[:40]}'")
        return f"${symbol}", "", False
    if _NUMBER.fullmatch(plain):
        return f"${_number(plain)}", "", False
    raise NotIntelError(f"operand '{text[:40]}'")


def _memory(text: str) -> str:
    """`seg:sym[base+index*scale+disp]` in its variants."""
    if re.search(r"[\w.$]\s+[\w.$]", text):
        raise NotIntelError(f"memory operand '{text[:40]}'")
    segment = _SEGMENT.match(text.lower())
    prefix = f"%{segment[1]}:" if segment else ""
    text = text[segment.end() :] if segment else text
    outside = re.sub(r"\[[^\[\]]*\]", "+", text)
    inside = re.findall(r"\[([^\[\]]*)\]", text)
    if segment is None and inside and (within := _SEGMENT.match(inside[0].strip().lower())):
        prefix, inside[0] = f"%{within[1]}:", inside[0].strip()[within.end() :]
    base = index = scale = symbol = ""
    displacement = 0
    terms = "+".join([outside, *inside]).replace("-", "+-").replace(" ", "")
    for term in filter(None, terms.split("+")):
        plain = term.lower()
        scaled: re.Match[str] | None = re.fullmatch(
            rf"({_REGISTER.pattern})\*([1248])|([1248])\*({_REGISTER.pattern})", plain
        )
        if scaled and not index:
            index, scale = scaled[1] or scaled[4], scaled[2] or scaled[3]
        elif _REGISTER.fullmatch(plain):
            if not base:
                base = plain
            elif not index:
                index, scale = plain, "1"
            else:
                raise NotIntelError(f"memory operand '{text[:40]}'")
        elif _NUMBER.fullmatch(plain):
            displacement += _number(plain)
        elif _SYMBOL.fullmatch(term) and not symbol:
            symbol = term
        else:
            raise NotIntelError(f"memory operand '{text[:40]}'")
    if index in ("rsp", "esp") and scale == "1":
        base, index = index, base
    shown = f"{displacement:+d}" if symbol and displacement else str(displacement) if displacement else ""
    inner = f"%{base}" if base else ""
    if index:
        inner += f",%{index},{scale}"
    return f"{prefix}{symbol}{shown}" + (f"({inner})" if inner else ("" if symbol or displacement else "0"))


def _number(text: str) -> int:
    plain = text.replace(" ", "").lower()
    sign = -1 if plain.startswith("-") else 1
    plain = plain.lstrip("+-")
    return sign * (
        int(plain[:-1], 16)
        if plain.endswith("h") and not plain.startswith("0x")
        else int(plain, 0 if plain.startswith("0x") else 10)
    )


def _split(operands: str) -> list[str]:
    parts, depth, part = [], 0, ""
    for character in operands:
        depth += (character == "[") - (character == "]")
        if character == "," and depth == 0:
            parts.append(part)
            part = ""
        else:
            part += character
    return [one.strip() for one in [*parts, part]]
