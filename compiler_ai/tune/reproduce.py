"""A unit's listing, exactly as the shim sees it, made again from the recorded command."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import compiler_ai
from compiler_ai.artifacts import CompileCommand
from compiler_ai.driver.treefile import DUMPS
from compiler_ai.errors import AiccError
from compiler_ai.tune.treedump import unsafe_functions

_PACKAGE = Path(compiler_ai.__file__).resolve().parent


class ReproductionError(AiccError):
    """The unit does not compile any more as recorded; the message is one line for the user."""


@dataclass(frozen=True)
class Reproduced:
    """What the shim saw: GCC's listing and dumps, and the flags that a rewrite's evidence rests on."""

    listing_text: str
    flags: tuple[str, ...]
    dump: str
    unsafe: dict[str, str]  # function -> why it must be left alone (see treedump)


def listing_of(command: CompileCommand, timeout_s: float = 300.0) -> Reproduced:
    """Compile the unit again, its object thrown away. Raises ReproductionError with the compiler's first error."""
    with tempfile.TemporaryDirectory(prefix="aicc-") as directory:
        dump = Path(directory, "listing.s")
        environment = {
            **os.environ,
            **dict(command.environment),
            "AICC_ACTIVE": "1",
            "AICC_SHIM_PYTHON": sys.executable,
            "AICC_SHIM_COMPILER": "\x1f".join(command.compiler),
            "AICC_SHIM_DUMP": str(dump),
        }
        dumps = [Path(directory, f"dump{number}") for number, _ in enumerate(DUMPS)]
        output = [
            "-c",
            "-o",
            f"{directory}/unit.o",
            *(f"{option}{path}" for option, path in zip(DUMPS, dumps, strict=True)),
        ]
        words = [*command.compiler, f"-B{_PACKAGE}/libexec/", *command.arguments, *output, command.input]
        try:
            completed = subprocess.run(
                words,
                cwd=command.directory,
                env=environment,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=timeout_s,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ReproductionError(f"{command.source}: cannot be compiled as recorded: {error}") from error
        if completed.returncode != 0:
            said = next(
                (line for line in completed.stderr.splitlines() if "error" in line),
                f"exit status {completed.returncode}",
            )
            raise ReproductionError(f"{command.source}: does not compile as recorded: {said}")
        if not dump.exists():
            raise ReproductionError(f"{command.source}: the compiler ran no assembler of ours (see 'aicc-tool doctor')")
        flags = tuple(Path(f"{dump}.flags").read_text(encoding="utf-8").split("\n"))
        text = dump.read_bytes().decode(errors="surrogateescape")
        if not all(path.exists() for path in dumps):
            raise ReproductionError(
                f"{command.source}: the compiler wrote no tree dump, so volatile accesses cannot be told"
            )
        trees = "".join(path.read_text(encoding="utf-8", errors="surrogateescape") for path in dumps)
    return Reproduced(text, tuple(flag for flag in flags if flag), trees, unsafe_functions(trees))
