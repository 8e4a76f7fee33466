"""Whole programs in assembly, as models write them: read as hostile text, assembled under limits, linked.

What may stand in the text is what GCC writes. That keeps the assembler from reading files or running for ever; what the
program does is left to the jail in which it runs (`program.confined`).
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from pathlib import Path

from compiler_ai.errors import AiccError
from compiler_ai.sandbox.assemble import assemble
from compiler_ai.sandbox.errors import AssembleError

_MOST_BYTES = 4 << 20
_LINK_TIMEOUT_S = 60.0
_STRING = re.compile(r'"(?:[^"\\\n]|\\.)*"')
_LABEL = re.compile(r"^\s*([A-Za-z_.$][\w.$@]*|\d+):")
_INSTRUCTION = re.compile(r"^[a-z][a-z0-9]*(?:\.[a-z0-9]+)?(?:\s|$)")
_SECTION = re.compile(r"\.(?:text|rodata|data|bss|tdata|tbss|note\.GNU-stack|note\.gnu\.property)(?:\.[\w.$-]*)?$")
_NUMBER = re.compile(r"(?:0x[0-9a-fA-F]{1,8}|\d{1,9})$")
_ALLOWED = frozenset(
    [
        ".text",
        ".data",
        ".bss",
        ".section",
        ".globl",
        ".global",
        ".local",
        ".weak",
        ".hidden",
        ".type",
        ".size",
        ".file",
        ".ident",
        ".align",
        ".p2align",
        ".balign",
        ".set",
        ".string",
        ".ascii",
        ".asciz",
        ".byte",
        ".value",
        ".short",
        ".word",
        ".long",
        ".int",
        ".quad",
        ".float",
        ".double",
        ".zero",
        ".space",
        ".skip",
        ".comm",
        ".lcomm",
        ".att_syntax",
    ]
)
_SIZED = frozenset({".zero", ".space", ".skip"})


class ProgramError(AiccError):
    """The text is no program that may be assembled, or none that can be; ``stage`` is "screen", "assemble" or "link"."""

    def __init__(self, stage: str, reason: str) -> None:
        super().__init__(reason)
        self.stage = stage


def built(text: str) -> bytes:
    """The executable. Raises ProgramError."""
    clean = screened(text)
    try:
        object_bytes = assemble(clean, ("as", "--64"))
    except AssembleError as error:
        raise ProgramError("assemble", str(error)) from None
    with tempfile.TemporaryDirectory(prefix="aicc-link-") as scratch:
        (Path(scratch) / "program.o").write_bytes(object_bytes)
        words = ["gcc", "-no-pie", "-fno-lto", "-fno-use-linker-plugin", "-o", "program", "program.o", "-lm"]
        try:
            done = subprocess.run(words, cwd=scratch, capture_output=True, timeout=_LINK_TIMEOUT_S, check=False)
            if done.returncode == 0:
                return (Path(scratch) / "program").read_bytes()
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ProgramError("link", f"the linker cannot be used: {type(error).__name__}") from None
    said = done.stderr.decode(errors="replace").splitlines()
    reason = next((line for line in said if "undefined reference" in line or "error" in line), "it does not link")
    raise ProgramError("link", "".join(c if c.isprintable() else "?" for c in reason.rpartition(": ")[2])[:200])


def screened(text: str) -> str:
    """The text without comments and unwind directives. Raises ProgramError for anything that GCC does not write."""
    if len(text) > _MOST_BYTES:
        raise ProgramError("screen", f"more than {_MOST_BYTES >> 20} MiB of text")
    lines = [_line(line, number + 1) for number, line in enumerate(text.splitlines())]
    return "\n".join(line for line in lines if line.strip()) + "\n"


def _line(line: str, number: int) -> str:
    def refused(reason: str) -> ProgramError:
        shown = "".join(c if 32 <= ord(c) < 127 else "?" for c in line.strip())[:60]
        return ProgramError("screen", f"line {number}: {reason}: '{shown}'")

    strings = _STRING.findall(line.replace("\t", " "))
    plain = _STRING.sub('""', line.replace("\t", " "))
    plain, comment, _ = plain.partition("#")
    kept = line.replace("\t", " ") if not comment else _restored(plain, strings)
    if plain.count('"') % 2 or any(c in plain for c in ";\\`{}!") or not plain.isascii():
        raise refused("that is not what GCC writes")
    rest = plain
    while match := _LABEL.match(rest):
        rest = rest[match.end() :]
    words = rest.split(None, 1)
    if not words:
        return kept
    name, operands = words[0], words[1].strip() if len(words) > 1 else ""
    if name.startswith(".cfi_"):
        return plain[: len(plain) - len(rest)]
    if not name.startswith("."):
        if not _INSTRUCTION.match(rest.lstrip()):
            raise refused("neither an instruction nor a directive")
        return kept
    if name not in _ALLOWED:
        raise refused("the directive is not allowed")
    if name == ".section" and not _SECTION.match(operands.split(",")[0].strip()):
        raise refused("the section is not allowed")
    if name in _SIZED and not _NUMBER.match(operands.split(",")[0].strip()):
        raise refused("its size is no plain number")
    return kept


def _restored(plain: str, strings: list[str]) -> str:
    """The line without its comment, with its strings back in their places."""
    waiting = iter(strings)
    return re.sub(r'""', lambda _match: next(waiting), plain)
