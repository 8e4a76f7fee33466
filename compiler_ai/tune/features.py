"""The ISA extensions that a unit's own flags enable, asked from its compiler's predefined macros."""

from __future__ import annotations

import os
import subprocess

from compiler_ai.artifacts import CompileCommand
from compiler_ai.proposers import isa
from compiler_ai.toolchains.description import Toolchain


def unit_features(command: CompileCommand, toolchain: Toolchain) -> frozenset[str]:
    """GCC's -m names; only the target's baseline ones when the compiler cannot be asked."""
    machine = [word for word in command.arguments if word.startswith("-m")]
    words = [*command.compiler, *machine, "-w", "-dM", "-E", "-x", "c", os.devnull]
    try:
        done = subprocess.run(
            words, capture_output=True, text=True, timeout=60, check=True, env={**os.environ, "AICC_ACTIVE": "1"}
        )
    except (OSError, subprocess.SubprocessError):
        return toolchain.baseline_features
    return isa.features(isa.parse_macros(done.stdout), toolchain) | toolchain.baseline_features
