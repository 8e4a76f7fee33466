"""The whole gauntlet: what the screen lets through of the saboteur's bodies, verification must not grade tested.

Faults that only a proof can see (`faults.ONLY_PROOF`) are counted and named; every other survivor is named in the output
and has to be one that is equivalent after all.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import faults
import saboteur
from compiler_ai.toolchains.x86_64 import X86_64

from compiler_ai.artifacts import Grade
from compiler_ai.asm import listing, splice
from compiler_ai.capture import tracer
from compiler_ai.capture.modules import Target
from compiler_ai.sandbox.process import Sandbox
from compiler_ai.screen.elf import read
from compiler_ai.screen.gate import Screener
from compiler_ai.verify.engine import Verifier
from compiler_ai.verify.prototype import from_object

KERNELS = Path(__file__).resolve().parents[2] / "examples" / "kernels"

# Survivors that were looked at: why each is no fault at all.
EQUIVALENT = {
    (
        "adler_sum",
        "constant_bit_flipped",
    ): "a division's multiplier: the same quotient for every operand below 2^18, and none is larger",
    ("adler_sum", "loop_bound_off_by_one"): "jne became jg on two user-space pointers, where the end is never passed",
    ("adler_sum", "operand_narrowed"): "the high half of the copy is never read",
    ("adler_sum", "result_high_half"): "the result has 32 bits; the rest of the register is undefined",
    ("adler_sum", "vector_result_lost"): "the function returns no vector",
}


@dataclass
class Verdicts:
    """What became of the mutants: refused by the screen, not accepted by verification, or accepted."""

    screened: int = 0
    caught: int = 0
    only_proof: list[str] = field(default_factory=list)
    equivalent: list[str] = field(default_factory=list)
    survivors: list[str] = field(default_factory=list)

    @property
    def total(self) -> int:
        return self.screened + self.caught + len(self.only_proof) + len(self.equivalent) + len(self.survivors)


def build(directory: Path) -> Path:
    """The kernels program, with debug information, as a plain make would build it."""
    sources = [str(source) for source in sorted(KERNELS.glob("*.c"))]
    program = directory / "kernels"
    subprocess.run(["gcc", "-O2", "-g", "-o", str(program), *sources], check=True)
    return program


def run_gauntlet(function: str, source: Path, program: Path, directory: Path, per_kind: int) -> Verdicts:
    unit_file = directory / f"{source.stem}.s"
    subprocess.run(["gcc", "-O2", "-g", "-S", "-o", str(unit_file), str(source)], check=True)
    unit = listing.parse(unit_file.read_text())
    baseline_object = directory / f"{source.stem}.o"
    subprocess.run(["as", "--64", "-o", str(baseline_object), str(unit_file)], check=True)
    symbols = subprocess.run(["nm", str(program)], capture_output=True, text=True, check=True).stdout
    value = next(int(line.split()[0], 16) for line in symbols.splitlines() if line.endswith(f" {function}"))
    target = Target(str(program), function, value)
    captures = directory / "captures"
    captures.mkdir(exist_ok=True)
    summary = tracer.record([str(program), "2"], [target], lambda _: captures)
    files = summary.functions[target].files
    assert files, f"no capture of {function}: {summary.functions[target].reasons}"
    data = baseline_object.read_bytes()
    size = read(data).by_name[function].size_bytes
    screener = Screener(unit.text, function, X86_64, ("as", "--64"))
    verdicts = Verdicts()
    with Sandbox() as sandbox:
        verifier = Verifier(sandbox, data, function, files, from_object(data, function))
        assert verifier.unusable == ""
        assert verifier.check(data).grade >= Grade.TESTED
        for mutant in saboteur.mutants(unit, function, 0, per_kind):
            result = screener.screen(mutant.candidate, splice.replace(unit, function, mutant.candidate, size))
            if result.rejection is not None:
                verdicts.screened += 1
            elif verifier.check(result.object_bytes).grade < Grade.TESTED:
                verdicts.caught += 1
            elif mutant.kind in faults.ONLY_PROOF:
                verdicts.only_proof.append(mutant.candidate.origin)
            elif (function, mutant.kind) in EQUIVALENT:
                verdicts.equivalent.append(mutant.candidate.origin)
            else:
                verdicts.survivors.append(f"{function}: {mutant.candidate.origin}\n{mutant.candidate.body}")
    return verdicts


@pytest.mark.full
@pytest.mark.parametrize(("source", "function"), [("bytes", "adler_sum")])
def test_no_wrong_body_is_graded_tested(source: str, function: str, tmp_path: Path) -> None:
    verdicts = run_gauntlet(function, KERNELS / f"{source}.c", build(tmp_path), tmp_path, 1)
    print(
        f"{function}: {verdicts.total} wrong bodies, {verdicts.screened} stopped by the screen, {verdicts.caught} by verification"
    )
    print("only a proof can catch:", ", ".join(verdicts.only_proof) or "none")
    print("no faults after all:", ", ".join(verdicts.equivalent) or "none")
    assert verdicts.total >= 50
    assert verdicts.survivors == [], "\n".join(verdicts.survivors)
