"""GCC's Intel syntax, translated, assembles to the same bytes as GCC's AT&T syntax."""

from __future__ import annotations

import io
import subprocess
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from compiler_ai.asm.cfg import statement
from compiler_ai.asm.statements import directive_of, without_comment
from compiler_ai.models.intel import NotIntelError, looks_like_intel, to_att
from compiler_ai.sandbox.assemble import assemble

ROOT = Path(__file__).parents[2]
SOURCES = [*sorted((ROOT / "examples" / "kernels").glob("*.c")), ROOT / "tests" / "sandbox" / "functions.c"]


def compiled(source: Path, *flags: str) -> list[str]:
    words = ["gcc", *flags, "-w", "-S", "-o", "-", str(source)]
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.splitlines()


def code_of(lines: list[str]) -> dict[str, bytes]:
    elf = ELFFile(io.BytesIO(assemble("\n".join(lines) + "\n", ("as", "--64"))))
    return {section.name: section.data() for section in elf.iter_sections() if section["sh_flags"] & 4}


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
@pytest.mark.parametrize(
    "flags", [("-O3",), ("-O3", "-mavx2", "-mfma"), ("-Os", "-fno-omit-frame-pointer")], ids=" ".join
)
def test_the_translation_is_the_same_code(source: Path, flags: tuple[str, ...]) -> None:
    translated = []
    for line in compiled(source, *flags, "-masm=intel"):
        if statement(line) is not None and not directive_of(line):
            line = "\t" + to_att(without_comment(line))
        if ".intel_syntax" not in line:
            translated.append(line)
    assert code_of(translated) == code_of(compiled(source, *flags))


def test_which_syntax_code_is_in_is_told() -> None:
    source = ROOT / "examples" / "kernels" / "integers.c"
    for flags, expected in ((("-O3", "-masm=intel"), True), (("-O3",), False)):
        code = [line for line in compiled(source, *flags) if statement(line) is not None and not directive_of(line)]
        assert looks_like_intel(code) is expected


@pytest.mark.parametrize(
    ("intel", "att"),
    [
        ("mov eax, [rdi + rsi*4 + 8]", "mov\t8(%rdi,%rsi,4), %eax"),
        ("MOV RAX, QWORD PTR [RSP - 16]", "mov\t-16(%rsp), %rax"),
        ("add dword ptr [rdi], 1", "addl\t$1, (%rdi)"),
        ("lea rax, [4*rdi]", "lea\t0(,%rdi,4), %rax"),
        ("movzx eax, byte ptr [rdi]", "movzbl\t(%rdi), %eax"),
        ("shl dword ptr [rdi], cl", "shll\t%cl, (%rdi)"),
        ("cvtsi2sd xmm0, edi", "cvtsi2sdl\t%edi, %xmm0"),
        ("and eax, 0FFh", "and\t$255, %eax"),
        ("jmp [QWORD PTR .L4[0+rax*8]]", "jmp\t*.L4(,%rax,8)"),
        ("call memcpy@PLT", "call\tmemcpy@PLT"),
        ("vaddpd ymm0, ymm1, [rax]", "vaddpd\t(%rax), %ymm1, %ymm0"),
    ],
)
def test_forms_that_models_write(intel: str, att: str) -> None:
    done = to_att(intel)
    assert code_of([f"\t{done}"]) == code_of([f"\t{att}"])


@pytest.mark.parametrize(
    "line", ["mov [rdi], 1", "fadd st(1), st", "mov eax, [rax+rbx+rcx]", "mov eax, {x}", "inc [rdi]", "lea rax, [a b]"]
)
def test_what_is_not_surely_understood_is_refused(line: str) -> None:
    with pytest.raises(NotIntelError):
        to_att(line)
