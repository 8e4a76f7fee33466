"""What the verifier accepts and refuses, on captured calls of a real program."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from compiler_ai.artifacts import Grade
from compiler_ai.capture.modules import Target
from compiler_ai.capture.tracer import Limits, record
from compiler_ai.sandbox.process import Sandbox
from compiler_ai.verify.engine import Settings, Verifier
from compiler_ai.verify.prototype import from_object

SOURCE = Path(__file__).with_name("kernels.c")
FUNCTIONS = ("checksum", "add_arrays", "clamp", "scale", "lookup")


@dataclass
class Bench:
    """A program with captures of its functions, and verifiers made on demand."""

    directory: Path
    sandbox: Sandbox
    verifiers: dict[str, Verifier]

    def listing(self, command: str) -> str:
        out = self.directory / "unit.s"
        subprocess.run([*command.split(), "-fPIE", "-S", "-o", out, SOURCE], check=True)
        return out.read_text()

    def assembled(self, text: str) -> bytes:
        out = self.directory / "unit.o"
        subprocess.run(["as", "--64", "-o", out, "-"], input=text, text=True, check=True)
        return out.read_bytes()

    def verifier(self, function: str) -> Verifier:
        if function not in self.verifiers:
            debug = self.directory / "debug.o"
            subprocess.run(["gcc", "-O2", "-g", "-c", "-o", debug, SOURCE], check=True)
            captures = sorted(self.directory.glob(f"captures/{function}.*.cap"))
            baseline = self.assembled(self.listing("gcc -O2"))
            prototype = from_object(debug.read_bytes(), function)
            settings = Settings(captures=6)
            self.verifiers[function] = Verifier(self.sandbox, baseline, function, captures, prototype, settings)
        return self.verifiers[function]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    directory = tmp_path_factory.mktemp("verify")
    program = directory / "program"
    subprocess.run(["gcc", "-O2", "-fno-inline", "-DMAIN", "-o", program, SOURCE], check=True)
    with program.open("rb") as file:
        table = ELFFile(file).get_section_by_name(".symtab")
        values = {name: table.get_symbol_by_name(name)[0]["st_value"] for name in FUNCTIONS}
    targets = [Target(str(program), name, value) for name, value in values.items()]
    summary = record([str(program)], targets, lambda _target: directory / "captures", Limits(per_function=8))
    assert summary.status == 0
    with Sandbox() as sandbox:
        yield Bench(directory, sandbox, {})


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("command", ["gcc -O1", "gcc -O3", "clang-19 -O2 -fno-addrsig"])
def test_other_compilations_of_the_same_source_are_tested(bench, function, command):
    evidence = bench.verifier(function).check(bench.assembled(bench.listing(command)))
    assert evidence.grade is Grade.TESTED, evidence
    assert evidence.blocks_covered == evidence.blocks_total > 0
    assert min(evidence.captures, evidence.generated) > 0


def test_the_prototype_is_read_from_debug_information(bench):
    prototype = bench.verifier("scale").prototype
    assert prototype.returns.kind == "float"
    assert [(name, kind.kind, kind.size_bytes) for name, kind in prototype.parameters] == [
        ("values", "pointer", 8),
        ("count", "integer", 4),
        ("factor", "float", 8),
    ]


# (function, what is wrong, pattern in GCC's -O2 body, replacement)
WRONG = [
    ("checksum", "another constant", r"sall\t\$5,", "sall\t$4,"),
    ("checksum", "starts elsewhere", r"movl\t\$1, (%e\w\w)", r"movl\t$2, \1"),
    ("checksum", "clobbers rbx", r"(checksum:\n)", r"\1\txorl\t%ebx, %ebx\n"),
    ("checksum", "leaves DF set", r"(checksum:\n)", r"\1\tstd\n"),
    ("checksum", "never ends", r"(checksum:\n)", r"\1\tjmp\t.-0\n"),
    ("checksum", "crashes", r"(checksum:\n)", r"\1\tud2\n"),
    ("checksum", "makes a system call", r"(checksum:\n)", r"\1\tmovl\t$39, %eax\n\tsyscall\n"),
    ("checksum", "reads before the buffer", r"(checksum:\n)", r"\1\ttestb\t$0, -4096(%rdi)\n"),
    ("checksum", "writes to its input", r"(checksum:\n)", r"\1\torb\t$1, (%rdi)\n"),
    ("checksum", "stores back what it read", r"(checksum:\n)", r"\1\tmovb\t(%rdi), %al\n\tmovb\t%al, (%rdi)\n"),
    ("checksum", "truncates the length", r"(checksum:\n)", r"\1\tmovzbl\t%sil, %esi\n"),
    ("checksum", "moves the stack pointer", r"(checksum:\n)", r"\1\tsubq\t$8, %rsp\n"),
    ("add_arrays", "subtracts", r"addl\t\(", "subl\t("),
    ("add_arrays", "one element more", r"(add_arrays:\n)", r"\1\tincl\t%ecx\n"),
    ("add_arrays", "one element less", r"(add_arrays:\n)", r"\1\tdecl\t%ecx\n"),
    ("add_arrays", "trusts the upper half of a 32-bit argument", r"testl\t%ecx, %ecx", "testq\t%rcx, %rcx"),
    ("add_arrays", "changes MXCSR", r"(add_arrays:\n)", r"\1\tmovl\t$0x9fc0, -8(%rsp)\n\tldmxcsr\t-8(%rsp)\n"),
    ("clamp", "swaps the bounds", r"(clamp:\n)", r"\1\txchgl\t%esi, %edx\n"),
    ("clamp", "compares unsigned", r"cmovl\w*", "cmovb"),
    ("scale", "adds instead", r"mulsd", "addsd"),
    ("scale", "rounds to single", r"(scale:\n)", r"\1\tcvtsd2ss\t%xmm0, %xmm0\n\tcvtss2sd\t%xmm0, %xmm0\n"),
    ("lookup", "wrong mask", r"andl\t\$15", "andl\t$7"),
    ("lookup", "adds two", r"(lookup:\n)", r"\1\taddl\t$1, table(%rip)\n"),
    ("lookup", "uses memory far below the red zone", r"(lookup:\n)", r"\1\tmovq\t$1, -8192(%rsp)\n"),
]


@pytest.mark.parametrize(("function", "fault", "pattern", "replacement"), WRONG, ids=[f"{w[0]}: {w[1]}" for w in WRONG])
def test_wrong_bodies_are_never_tested(bench, function, fault, pattern, replacement):
    text = bench.listing("gcc -O2")
    start = text.index(f"\n{function}:\n") + 1
    end = text.index(f"\t.size\t{function},")
    body, count = re.subn(pattern, replacement, text[start:end])
    assert count, f"{fault}: the pattern is not in GCC's body any more"
    evidence = bench.verifier(function).check(bench.assembled(text[:start] + body + text[end:]))
    assert evidence.grade < Grade.TESTED, fault
    if evidence.grade is Grade.REFUTED:
        assert evidence.counterexample.difference
