"""One function's way through the gauntlet: every wrong body that passes the screen goes to the verifier, and is counted by verdict."""

from __future__ import annotations

import os
import subprocess
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

import faults
import saboteur
from compiler_ai.toolchains.x86_64 import X86_64
from elftools.elf.elffile import ELFFile
from reviewed import EQUIVALENT, ONLY_PROOF

from compiler_ai.artifacts import Grade
from compiler_ai.asm import listing, splice
from compiler_ai.capture import tracer
from compiler_ai.capture.modules import Target
from compiler_ai.sandbox.process import Sandbox
from compiler_ai.screen.elf import read
from compiler_ai.screen.gate import Screener
from compiler_ai.verify.engine import Settings, Verifier
from compiler_ai.verify.prototype import from_object


@dataclass(frozen=True)
class Unit:
    """A translation unit: its source, the options it is compiled with, and the functions to damage."""

    source: Path
    options: tuple[str, ...]
    functions: tuple[str, ...]


@dataclass
class Verdicts:
    """What became of the mutants: refused by the screen, not accepted by verification (and by what), or accepted."""

    screened: Counter[str] = field(default_factory=Counter)
    refuted: Counter[str] = field(default_factory=Counter)
    unknown: list[str] = field(default_factory=list)
    only_proof: list[str] = field(default_factory=list)
    equivalent: list[str] = field(default_factory=list)
    survivors: list[str] = field(default_factory=list)

    @property
    def wrong(self) -> int:
        """Wrong bodies that came as far as verification."""
        return self.refuted.total() + len(self.unknown) + len(self.only_proof) + len(self.survivors)

    def add(self, other: Verdicts) -> None:
        self.screened += other.screened
        self.refuted += other.refuted
        for name in ("unknown", "only_proof", "equivalent", "survivors"):
            getattr(self, name).extend(getattr(other, name))

    def described(self) -> str:
        """The figures in a line."""
        kinds = ", ".join(f"{n} {kind}" for kind, n in self.refuted.most_common())
        return (
            f"{self.screened.total()} bodies stopped by the screen; of {self.wrong} wrong ones in verification"
            f" {self.refuted.total()} refuted ({kinds}), {len(self.unknown)} unknown, {len(self.only_proof)} for a proof to"
            f" catch, {len(self.survivors)} accepted; {len(self.equivalent)} no faults"
        )

    def named(self) -> list[str]:
        """Every body that was not refuted, with what became of it."""
        titles = {
            "only a proof can catch": self.only_proof,
            "not decided": self.unknown,
            "no faults after all": self.equivalent,
            "GRADED TESTED": self.survivors,
        }
        return [f"  {title}: {name}" for title, names in titles.items() for name in names]


@dataclass(frozen=True)
class Program:
    """A program as a plain make builds it, with captures of its functions."""

    directory: Path
    captures: Mapping[str, Sequence[Path]]

    def compiled(self, unit: Unit) -> tuple[listing.Listing, bytes, bytes]:
        """The unit's listing and object, with debug information, and its object without optimisation."""
        text, object_file, plain = (self.directory / f"{unit.source.stem}.{end}" for end in ("s", "o", "plain.o"))
        subprocess.run(["gcc", "-O2", "-g", *unit.options, "-S", "-o", text, unit.source], check=True)
        subprocess.run(["as", "--64", "-o", object_file, text], check=True)
        subprocess.run(["gcc", *unit.options, "-O0", "-w", "-c", "-o", plain, unit.source], check=True)
        return listing.parse(text.read_text()), object_file.read_bytes(), plain.read_bytes()


def captured(directory: Path, binary: Path, commands: Sequence[Sequence[str]], units: Sequence[Unit]) -> Program:
    """Runs the commands one after the other in `directory`, where captures of the units' functions go."""
    symbols = subprocess.run(["nm", binary], capture_output=True, text=True, check=True).stdout
    values = {line.split()[-1]: int(line.split()[0], 16) for line in symbols.splitlines() if len(line.split()) == 3}
    targets = [Target(str(binary), function, values[function]) for unit in units for function in unit.functions]
    files: dict[str, list[Path]] = {target.symbol: [] for target in targets}
    before = Path.cwd()
    try:
        os.chdir(directory)
        for number, command in enumerate(commands):
            into = directory / f"captures{number}"
            into.mkdir()
            summary = tracer.record(list(command), targets, lambda _: into, tracer.Limits(per_function=20))  # noqa: B023
            assert summary.status == 0
            for target in targets:
                files[target.symbol] += summary.functions[target].files
    finally:
        os.chdir(before)
    return Program(directory, files)


def run_gauntlet(program: Program, unit: Unit, function: str, per_kind: int) -> Verdicts:
    """Every wrong body of one function, `per_kind` of each kind of fault."""
    parsed, data, plain = program.compiled(unit)
    files = program.captures[function]
    assert files, f"no capture of {function}"
    size = read(data).by_name[function].size_bytes
    screener = Screener(parsed.text, function, X86_64, ("as", "--64"))
    prototype = from_object(data, function)
    verdicts = Verdicts()
    with Sandbox() as sandbox:
        verifier = Verifier(sandbox, data, function, files, prototype, Settings(captures=14), plain)
        assert verifier.unusable == ""
        own = verifier.check(data)
        assert own.grade >= Grade.TESTED, own
        for mutant in saboteur.mutants(parsed, function, 0, per_kind, prototype):
            result = screener.screen(mutant.candidate, splice.replace(parsed, function, mutant.candidate, size))
            if result.rejection is not None:
                verdicts.screened[result.rejection.stage] += 1
                continue
            change = saboteur.change(parsed, function, mutant)
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
