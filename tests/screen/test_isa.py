"""Which instructions a candidate may use: those that the unit's flags allow, and those that its function was given itself."""

from __future__ import annotations

import subprocess

import pytest
from compiler_ai.toolchains.x86_64 import X86_64

from compiler_ai.artifacts import Candidate
from compiler_ai.asm import listing as listing_model
from compiler_ai.asm import splice
from compiler_ai.screen.gate import Screener

UNIT = """
__attribute__((target("bmi2"))) unsigned long given(unsigned long x, unsigned n) { return x << n ^ x >> (n ^ 3); }
unsigned long plain(unsigned long x, unsigned n) { return x << n ^ x >> (n ^ 3); }
"""
SHIFTED = "\t.cfi_startproc\n\tshlx\t%rsi, %rdi, %rax\n\tret\n\t.cfi_endproc\n"
COUNTED = "\t.cfi_startproc\n\tpopcntq\t%rdi, %rax\n\tret\n\t.cfi_endproc\n"


@pytest.mark.parametrize(
    ("function", "body", "is_allowed"),
    [("given", SHIFTED, True), ("plain", SHIFTED, False), ("given", COUNTED, False), ("plain", COUNTED, False)],
)
def test_what_a_function_was_given_is_its_own(function: str, body: str, is_allowed: bool) -> None:
    words = ["gcc", "-O2", "-S", "-o", "-", "-xc", "-"]
    text = subprocess.run(words, input=UNIT, capture_output=True, text=True, check=True).stdout
    candidate = Candidate(function, body)
    spliced = splice.replace(listing_model.parse(text), function, candidate, 0)
    screener = Screener(text, function, X86_64, ("as", "--64"), features=("sse2",))
    rejection = screener.screen(candidate, spliced).rejection
    assert (rejection is None) is is_allowed
    if rejection is not None:
        assert rejection.stage == "screen.code"
        assert "more than the unit's ISA allows" in rejection.reason
