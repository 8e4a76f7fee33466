"""Captured programs behave as ever, and what is captured is complete: replayed in place it ends in the captured state."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from compiler_ai.capture.format import Capture, load
from compiler_ai.sandbox.pages import PageSet, Prot, coalesce
from compiler_ai.sandbox.process import OutcomeKind, Sandbox
from compiler_ai.sandbox.state import Registers

FUNCTIONS = ("leaf", "sum", "bump", "mul", "sorter", "copier", "say", "fib", "jumper", "now", "threaded")
RECORD = """
import sys
from pathlib import Path
from compiler_ai.capture.modules import Target
from compiler_ai.capture.tracer import record
command, out, path, *pairs = sys.argv[1:]
targets = [Target(path, name, int(value)) for name, _, value in (pair.partition("=") for pair in pairs)]
summary = record(["sh", "-c", command], targets, lambda target: Path(out))
for target, function in summary.functions.items():
    print(target.symbol, function.taken, function.impure, *function.reasons, sep="|", file=sys.stderr)
sys.exit(summary.status)
"""


def build(directory: Path, flags: list[str]) -> Path:
    program = directory / "calls"
    source = Path(__file__).with_name("calls.c")
    subprocess.run(["gcc", "-O2", "-pthread", *flags, str(source), "-o", str(program)], check=True)
    return program


def values(program: Path) -> list[str]:
    with program.open("rb") as file:
        table = ELFFile(file).get_section_by_name(".symtab")
        return [f"{name}={table.get_symbol_by_name(name)[0]['st_value']}" for name in FUNCTIONS]


def differences(sandbox: Sandbox, capture: Capture) -> list[str]:
    """What a run of the captured code on the captured pages does otherwise than the call did."""
    pages = [(address, Prot(page.prot), page.data) for address, page in capture.pages.items()]
    at = capture.registers
    entry = Registers(at.general, at.rip, at.rflags, at.fs_base, at.gs_base, at.xstate)
    outcome = sandbox.run([PageSet(coalesce(pages))], entry, capture.return_address)
    if outcome.kind is not OutcomeKind.RETURNED:
        return [f"{outcome.kind.value} at {outcome.rip:#x}, address {outcome.fault_address:#x}"]
    after = capture.exit_registers
    assert after is not None
    found = [name for name, value in after.general.items() if outcome.registers[name] != value]
    layout = sandbox.layout
    for number in range(layout.vector_registers):
        if layout.vector(outcome.xstate, number) != layout.vector(after.xstate, number):
            found.append(f"vector register {number}")
    return found + (["memory"] if dict(outcome.changed) != dict(capture.changed) else [])


@pytest.mark.parametrize("flags", [[], ["-static"], ["-no-pie"]], ids=["pie", "static", "no-pie"])
def test_a_program_is_undisturbed_and_its_captures_are_complete(tmp_path: Path, flags: list[str]) -> None:
    program = build(tmp_path, flags)
    plain = subprocess.run([str(program)], input=b"abc", capture_output=True, timeout=60, check=False)
    traced = subprocess.run(
        [sys.executable, "-c", RECORD, f"{program}; exit $?", str(tmp_path / "out"), str(program), *values(program)],
        input=b"abc",
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert (traced.stdout, traced.returncode) == (plain.stdout, 42), traced.stderr.decode()
    reports = {line.split("|")[0]: line for line in traced.stderr.decode().splitlines()}
    _, taken, impure, reason, *_ = reports["say"].split("|")
    assert 1 <= int(taken) == int(impure)
    assert re.fullmatch(r"it makes a system call \([a-z]\w+\)", reason), "by its name"
    assert reports["now"].endswith("it reads the clock")
    assert reports["jumper"].endswith("it leaves by longjmp or another way than its return")

    captures = [load(path) for path in sorted((tmp_path / "out").glob("*.cap"))]
    pure = {name for name in FUNCTIONS if name not in ("say", "jumper", "now")}
    assert {capture.function for capture in captures} == pure
    for capture in captures:
        assert capture.exit_registers is not None
        assert capture.registers.rip == capture.entry_address
        assert capture.exit_registers.rip == capture.return_address
        if capture.function == "leaf":
            expected = capture.registers["rdi"] * 31 + capture.registers["rsi"]
            assert capture.exit_registers["rax"] == expected % 2**64
    with Sandbox() as sandbox:
        wrong = {f"{c.function} {c.ordinal}": found for c in captures if (found := differences(sandbox, c))}
    assert not wrong
