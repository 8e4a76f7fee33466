"""Which arguments a callee without a prototype reads, as far as its address leads to code."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from compiler_ai.sandbox.pages import PAGE_BYTES, PageSet, Prot, Region
from compiler_ai.verify.argumentuse import ArgumentUse, Used
from compiler_ai.verify.code import reader

AT = 0x10000
READS_RDX = bytes.fromhex("4889d0c3")  # movq %rdx, %rax; ret


@pytest.mark.parametrize(("prot", "places"), [(Prot.READ | Prot.EXEC, {"rdx": 8}), (Prot.READ | Prot.WRITE, {})])
def test_only_what_can_be_executed_is_code(prot: Prot, places: dict[str, int]) -> None:
    page = PageSet((Region(AT, prot, READS_RDX.ljust(PAGE_BYTES, b"\0")),))
    found = ArgumentUse(reader([page])).of(AT)
    assert found.places == places
    assert found.knows_registers == found.knows_stack == bool(places)


def used(directory: Path, text: str) -> Used:
    """What the function that this text begins with reads."""
    subprocess.run(["as", "--64", "-o", directory / "code.o", "-"], input=text, text=True, check=True)
    subprocess.run(["objcopy", "-O", "binary", "-j", ".text", "code.o", "code"], cwd=directory, check=True)
    code = (directory / "code").read_bytes()
    page = PageSet((Region(AT, Prot.READ | Prot.EXEC, code.ljust(PAGE_BYTES, b"\xcc")),))
    return ArgumentUse(reader([page])).of(AT)


# What is known of the registers and of the stack, what is read, and the code.
CASES = {
    "of a register only what is read": (True, True, {"rsi": 4, "rdx": 1}, "movl %esi, %eax; movzbl %dl, %ecx; ret"),
    "a float and a double, moved about": (
        True, True, {"xmm0": 8, "xmm1": 4}, "movaps %xmm0, %xmm3; addsd %xmm3, %xmm3; ucomiss %xmm1, %xmm1; ret",
    ),
    "words of the stack": (
        True, True, {8: 8, 24: 4}, "pushq %rbx; subq $16, %rsp; movq 32(%rsp), %rax; addl 48(%rsp), %eax; ret",
    ),
    "words of the stack by rbp": (True, True, {16: 8}, "pushq %rbp; movq %rsp, %rbp; subq $64, %rsp; movq 24(%rbp), %rax; ret"),
    "what it hands on": (True, True, {"rdi": 4, "rsi": 8}, "xorl %edx, %edx; call 1f; ret; 1: movl %edi, %eax; addq %rsi, %rdx; ret"),
    "what was written before is none": (True, True, {"rsi": 8}, "xorl %edi, %edi; movq %rsi, %rcx; addq %rdi, %rcx; ret"),
    "what follows a jump is not known": (False, False, {"rdi": 8}, "jmp *(%rdi)"),
    "nor what a callee reads": (False, True, {"rdi": 8}, "call *(%rdi); ret"),
    "but that nothing is left for it": (True, True, {"rdi": 8}, "call 1f; call *%rbx; ret; 1: movq %rdi, %rax; ret"),
    "nor the stack when its address is taken": (True, False, {}, "leaq 8(%rsp), %rax; ret"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_what_the_code_says(tmp_path: Path, case: str) -> None:
    knows_registers, knows_stack, places, code = CASES[case]
    found = used(tmp_path, code.replace(";", "\n") + "\n")
    assert (found.knows_registers, found.knows_stack) == (knows_registers, knows_stack)
    assert found.places == places
    assert not found.unsure


def test_a_vector_that_is_saved_whole_may_hold_less(tmp_path: Path) -> None:
    found = used(tmp_path, "movaps %xmm2, -24(%rsp)\nret\n")
    assert (found.places, found.unsure) == ({"xmm2": 16}, {"xmm2"})
