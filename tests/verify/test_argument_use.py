"""Which argument registers a callee without a prototype reads, as far as its address leads to code."""

from __future__ import annotations

import pytest

from compiler_ai.sandbox.pages import PAGE_BYTES, PageSet, Prot, Region
from compiler_ai.verify.argumentuse import ArgumentUse
from compiler_ai.verify.code import reader

AT = 0x10000
READS_RDX = bytes.fromhex("4889d0c3")  # movq %rdx, %rax; ret


@pytest.mark.parametrize(("prot", "registers"), [(Prot.READ | Prot.EXEC, {"rdx": 8}), (Prot.READ | Prot.WRITE, {})])
def test_only_what_can_be_executed_is_code(prot: Prot, registers: dict[str, int]) -> None:
    page = PageSet((Region(AT, prot, READS_RDX.ljust(PAGE_BYTES, b"\0")),))
    assert ArgumentUse(reader([page])).of(AT).places == registers


def test_of_a_register_only_what_is_read_counts() -> None:
    reads_esi_and_dl = bytes.fromhex("89f00fb6ca01c8c3")  # movl %esi, %eax; movzbl %dl, %ecx; addl %ecx, %eax; ret
    page = PageSet((Region(AT, Prot.READ | Prot.EXEC, reads_esi_and_dl.ljust(PAGE_BYTES, b"\0")),))
    assert ArgumentUse(reader([page])).of(AT).places == {"rsi": 4, "rdx": 1}
