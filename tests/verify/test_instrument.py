"""Instrumented copies of bodies that are out to deceive their log, or that cannot be copied."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "sandbox"))

from sandbox_bodies import DATA, RETURN_ADDRESS, Body, assembly_body, data

from compiler_ai.sandbox.footprint import Footprint
from compiler_ai.sandbox.process import Outcome, OutcomeKind, Sandbox
from compiler_ai.verify.accesses import Decoder
from compiler_ai.verify.code import reader
from compiler_ai.verify.instrument import Instrumented, instrument
from compiler_ai.verify.logcode import InstrumentError


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


def copied(code: Body) -> Instrumented:
    read = reader([code.loaded.pages])
    return instrument(code.loaded, [], read, Decoder(read, 0, 0), {})


def logged(sandbox: Sandbox, code: Body, copy: Instrumented, **registers: int) -> tuple[Outcome, Footprint | None]:
    pages = [data(bytes(4096)), *(copy.pages if one is code.loaded.pages else one for one in code.image)]
    return sandbox.log(pages, replace(code.registers(**registers), rip=copy.entry), RETURN_ADDRESS, copy.plan)


def test_accesses_are_logged_and_results_stay(sandbox: Sandbox, tmp_path: Path) -> None:
    code = assembly_body("movq $7, (%rdi)\nstc\nmovl 16(%rdi,%rsi,4), %eax\nadcq $0, %rax\nret", tmp_path)
    outcome, footprint = logged(sandbox, code, copied(code), rdi=DATA, rsi=2)
    assert outcome.kind is OutcomeKind.RETURNED
    assert outcome.registers["rax"] == 1
    assert footprint is not None
    assert (footprint.writes[DATA], footprint.reads[DATA]) == (0xFF, 0xF << 24)


@pytest.mark.parametrize("store", ["movq $0, (%rdi)", "movq $0, -8(%rdi)", "xorl %eax, %eax\nmovl $9, %ecx\nrep stosb"])
def test_a_store_to_the_log_is_not_believed(sandbox: Sandbox, tmp_path: Path, store: str) -> None:
    code = assembly_body(f"{store}\nret", tmp_path)
    copy = copied(code)
    _, footprint = logged(sandbox, code, copy, rdi=copy.plan.log_low + 4096)
    assert footprint is not None
    assert footprint.uncertain


def test_a_jump_into_the_middle_of_an_instruction_ends_the_run(sandbox: Sandbox, tmp_path: Path) -> None:
    code = assembly_body("leaq 1f+1(%rip), %rax\njmp *%rax\n1: movl $0xc3c3c3c3, %eax\nret", tmp_path)
    assert sandbox.run(code.image, code.registers(), RETURN_ADDRESS).kind is OutcomeKind.RETURNED
    outcome, _ = logged(sandbox, code, copied(code))
    assert outcome.kind is OutcomeKind.FAULT


@pytest.mark.parametrize(
    "text", ["std\ncld\nret", "jrcxz 1f\n1: ret", "mov $60, %eax\nsyscall\nret", "1: loop 1b\nret"]
)
def test_what_cannot_be_copied_faithfully_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(InstrumentError):
        copied(assembly_body(text, tmp_path))


@pytest.mark.parametrize(
    ("load", "is_float"),
    [
        ("movsd (%rdi), %xmm0", True),
        ("vaddss (%rdi), %xmm1, %xmm0", True),
        ("movhpd (%rdi), %xmm0", True),
        ("ucomisd (%rdi), %xmm0", True),
        ("movq (%rdi), %xmm0", False),
        ("movhps (%rdi), %xmm0", False),
        ("cvtsi2sdl (%rdi), %xmm0", False),
        ("movq (%rdi), %rax", False),
        ("movsd (%rdi), %xmm0\ncmpq $7, (%rdi)", False),
        ("movsd", False),
    ],
)
def test_what_is_read_as_a_floating_point_number_is_told(
    sandbox: Sandbox, tmp_path: Path, load: str, is_float: bool
) -> None:
    text = "movsl" if load == "movsd" else load
    code = assembly_body(f"{text}\nret", tmp_path)
    registers = code.registers(rdi=DATA, rsi=DATA + 64)
    trace = sandbox.trace([data(bytes(4096)), *code.image], registers, RETURN_ADDRESS)
    accesses = Decoder(reader([code.loaded.pages]), 0, 0).accesses(trace)
    assert {span for span in accesses.reads if DATA <= span[0] < DATA + 4096}
    assert bool(accesses.floats) == is_float
    assert accesses.floats <= accesses.reads
