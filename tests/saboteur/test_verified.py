"""The whole gauntlet: what the screen lets through of the saboteur's bodies, verification must not grade tested.

The functions are those of `corpus`, ordinary library code run as a program runs it. Faults that only a proof can see
(`faults.ONLY_PROOF`) are counted and named. A survivor of any other kind fails the test unless `reviewed.py` says of that very
change why it is no fault or no test can see it, or the assembler makes the baseline's own bytes of it.
`reviewed.MISSED` are known gaps: wrong bodies that are graded tested; they are named in the output too.
"""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

sys.path.insert(0, str(Path(__file__).parent))

import faults
import saboteur
from compiler_ai.toolchains.x86_64 import X86_64
from reviewed import EQUIVALENT, MISSED, ONLY_PROOF

from compiler_ai.artifacts import Grade
from compiler_ai.asm import listing, splice
from compiler_ai.capture import tracer
from compiler_ai.capture.modules import Target
from compiler_ai.sandbox.process import Sandbox
from compiler_ai.screen.elf import read
from compiler_ai.screen.gate import Screener
from compiler_ai.verify.engine import Settings, Verifier
from compiler_ai.verify.prototype import from_object

CORPUS = Path(__file__).with_name("corpus")
UNITS = {
    "checksums": ("crc32_nibbles", "string_hash", "mix_words"),
    "text": ("copy_bounded", "utf8_valid", "parse_number", "base64_decode"),
    "codecs": ("varint_encode", "varint_decode", "copy_match", "run_lengths"),
    "containers": ("lru_touch", "insertion_sort", "binary_search", "heap_sift"),
    "matrices": ("multiply", "prefix_sums", "clamp_all", "blend_rows"),
    # Not yet run_program: whether all of its blocks are reached depends on which of its calls were captured, and one wrong
    # body of it gets through (reviewed.MISSED).
    "calls": ("put_escaped", "visit_matching"),
}
FUNCTIONS = [(unit, function) for unit, functions in UNITS.items() for function in functions]
LEAST = 500


@dataclass
class Verdicts:
    """What became of the mutants: refused by the screen, not accepted by verification (and by what), or accepted."""

    screened: Counter[str] = field(default_factory=Counter)
    refuted: Counter[str] = field(default_factory=Counter)
    unknown: list[str] = field(default_factory=list)
    only_proof: list[str] = field(default_factory=list)
    equivalent: list[str] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)
    survivors: list[str] = field(default_factory=list)

    @property
    def wrong(self) -> int:
        """Wrong bodies that came as far as verification."""
        return self.refuted.total() + len(self.unknown) + len(self.only_proof) + len(self.missed) + len(self.survivors)

    def add(self, other: Verdicts) -> None:
        self.screened += other.screened
        self.refuted += other.refuted
        for name in ("unknown", "only_proof", "equivalent", "missed", "survivors"):
            getattr(self, name).extend(getattr(other, name))


@dataclass
class Program:
    """The corpus as a plain make builds it, with captures of all its functions."""

    directory: Path
    captures: dict[str, list[Path]]

    def unit(self, name: str) -> tuple[listing.Listing, bytes]:
        """The unit's listing and object, with debug information."""
        text, object_file = self.directory / f"{name}.s", self.directory / f"{name}.o"
        subprocess.run(["gcc", "-O2", "-g", "-S", "-o", text, CORPUS / f"{name}.c"], check=True)
        subprocess.run(["as", "--64", "-o", object_file, text], check=True)
        return listing.parse(text.read_text()), object_file.read_bytes()


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Program:
    directory = tmp_path_factory.mktemp("gauntlet")
    binary = directory / "corpus"
    subprocess.run(["gcc", "-O2", "-g", "-o", binary, *sorted(CORPUS.glob("*.c"))], check=True)
    symbols = subprocess.run(["nm", binary], capture_output=True, text=True, check=True).stdout
    values = {line.split()[-1]: int(line.split()[0], 16) for line in symbols.splitlines() if len(line.split()) == 3}
    targets = [Target(str(binary), function, values[function]) for _, function in FUNCTIONS]
    summary = tracer.record([str(binary), "2000000"], targets, lambda _: directory, tracer.Limits(per_function=20))
    assert summary.status == 0
    return Program(directory, {target.symbol: summary.functions[target].files for target in targets})


@pytest.fixture(scope="module")
def total() -> Iterator[Verdicts]:
    verdicts = Verdicts()
    yield verdicts
    print(f"\nall functions: {described(verdicts)}")


def described(verdicts: Verdicts) -> str:
    return (
        f"{verdicts.screened.total()} bodies stopped by the screen; of {verdicts.wrong} wrong ones in verification"
        f" {verdicts.refuted.total()} refuted ({', '.join(f'{n} {kind}' for kind, n in verdicts.refuted.most_common())}),"
        f" {len(verdicts.unknown)} unknown, {len(verdicts.only_proof)} for a proof to catch, {len(verdicts.missed)} missed; {len(verdicts.equivalent)} no faults"
    )


def run_gauntlet(program: Program, unit_name: str, function: str, per_kind: int) -> Verdicts:
    unit, data = program.unit(unit_name)
    files = program.captures[function]
    assert files, f"no capture of {function}"
    size = read(data).by_name[function].size_bytes
    screener = Screener(unit.text, function, X86_64, ("as", "--64"))
    prototype = from_object(data, function)
    verdicts = Verdicts()
    with Sandbox() as sandbox:
        verifier = Verifier(sandbox, data, function, files, prototype, Settings(captures=14))
        assert verifier.unusable == ""
        own = verifier.check(data)
        assert own.grade >= Grade.TESTED, own
        for mutant in saboteur.mutants(unit, function, 0, per_kind, prototype):
            result = screener.screen(mutant.candidate, splice.replace(unit, function, mutant.candidate, size))
            if result.rejection is not None:
                verdicts.screened[result.rejection.stage] += 1
                continue
            change = saboteur.change(unit, function, mutant)
            name = f"{function}: {mutant.kind}: {change}"
            if code_of(result.object_bytes, function) == code_of(data, function):
                verdicts.equivalent.append(f"{name}: the same instructions")
                continue
            evidence = verifier.check(result.object_bytes)
            if (function, change) in EQUIVALENT:
                assert evidence.grade is not Grade.REFUTED, f"{name} is a fault: {evidence.counterexample}"
                verdicts.equivalent.append(f"{name}: {EQUIVALENT[function, change]}")
            elif evidence.grade is Grade.REFUTED:
                test = evidence.counterexample.test if evidence.counterexample else ""
                verdicts.refuted[kind_of(test)] += 1
            elif evidence.grade is Grade.UNKNOWN:
                verdicts.unknown.append(f"{name}: {evidence.notes[0] if evidence.notes else ''}")
            elif mutant.kind in faults.ONLY_PROOF:
                verdicts.only_proof.append(name)
            elif (function, change) in ONLY_PROOF:
                verdicts.only_proof.append(f"{name}: {ONLY_PROOF[function, change]}")
            elif (function, change) in MISSED:
                verdicts.missed.append(f"{name}: {MISSED[function, change]}")
            else:
                verdicts.survivors.append(name)
    return verdicts


def kind_of(test: str) -> str:
    """What kind of test a counterexample is, by its name."""
    if "mutation" in test or " to 0x" in test:
        return "mutated"
    return "generated" if test.startswith("generated") else "captured"


def code_of(object_bytes: bytes, function: str) -> tuple[object, ...]:
    """The function's bytes, and the unit's constants and unwind rules: what a body consists of."""
    elf = ELFFile(BytesIO(object_bytes))
    symbol = elf.get_section_by_name(".symtab").get_symbol_by_name(function)[0]
    start = symbol["st_value"]
    code = elf.get_section(symbol["st_shndx"]).data()[start : start + symbol["st_size"]]
    names = (".rodata", ".eh_frame", ".rela.text", ".rela.rodata")
    return code, *(section.data() if (section := elf.get_section_by_name(name)) else b"" for name in names)


@pytest.mark.full
@pytest.mark.parametrize(("unit", "function"), FUNCTIONS, ids=[function for _, function in FUNCTIONS])
def test_no_wrong_body_is_graded_tested(unit: str, function: str, program: Program, total: Verdicts) -> None:
    verdicts = run_gauntlet(program, unit, function, 1)
    total.add(verdicts)
    print(f"\n{function}: {described(verdicts)}")
    for title, names in (
        ("only a proof can catch", verdicts.only_proof),
        ("not decided", verdicts.unknown),
        ("WRONG AND YET GRADED TESTED, a known gap", verdicts.missed),
        ("no faults after all", verdicts.equivalent),
    ):
        for name in names:
            print(f"  {title}: {name}")
    for name in verdicts.survivors:
        print(f"  GRADED TESTED: {name}")
    assert verdicts.wrong >= 10
    assert not verdicts.survivors, "graded tested:\n" + "\n".join(verdicts.survivors)


@pytest.mark.full
def test_there_were_enough_wrong_bodies(total: Verdicts) -> None:
    """Runs last: the figures of all functions together."""
    assert total.wrong >= LEAST, described(total)
