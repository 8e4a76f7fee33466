"""Optimises one IR module with llvmlite's new pass manager and writes assembly; run as a process of its own.

Usage: python -m compiler_ai.proposers.llvm_worker JOB.json, with the keys of `Job`. LLVM ends the process on malformed
input, so nothing else may live in it.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Job:
    """What to do; `features` is LLVM's own list ("+avx2,+bmi2"), `relocation` "pic" or "static", `code_model` as -mcmodel."""

    source: str
    output: str
    cpu: str
    features: str
    relocation: str
    code_model: str
    speed: int
    loop_vectorize: bool
    slp_vectorize: bool
    unroll: bool
    interleave: bool
    inlining_threshold: int | None
    options: list[str]


def run(job: Job) -> None:
    """Write the assembly of `job.source` to `job.output`. Raises RuntimeError when LLVM refuses the module."""
    import llvmlite.binding as llvm

    for option in job.options:
        llvm.set_option("aicc", option)
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    module = llvm.parse_assembly(Path(job.source).read_text(encoding="utf-8", errors="surrogateescape"))
    machine = llvm.Target.from_triple(module.triple).create_target_machine(
        cpu=job.cpu, features=job.features, opt=job.speed, reloc=job.relocation, codemodel=job.code_model
    )
    tuning = llvm.create_pipeline_tuning_options(job.speed)
    tuning.loop_vectorization = job.loop_vectorize
    tuning.slp_vectorization = job.slp_vectorize
    tuning.loop_unrolling = job.unroll
    tuning.loop_interleaving = job.interleave
    if job.inlining_threshold is not None:
        tuning.inlining_threshold = job.inlining_threshold
    builder = llvm.create_pass_builder(machine, tuning)
    builder.getModulePassManager().run(module, builder)
    module.verify()
    Path(job.output).write_text(machine.emit_assembly(module), encoding="utf-8", errors="surrogateescape")


def main() -> int:
    job = Job(**json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
    try:
        run(job)
    except (RuntimeError, ImportError, OSError) as error:
        print(f"error: {str(error).splitlines()[0]}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
