"""Objects of the unit compiled once more: with debug information, which tells a function's C type and its lines, and without
optimisation, which tells what the source itself does."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

from compiler_ai.artifacts import CompileCommand
from compiler_ai.shared_files import SharedFiles


def debug_object(command: CompileCommand, shared: Path | None) -> bytes:
    """The object with debug information, else compiled as the build does; empty when the unit does not compile. In the directory
    `shared` it is kept for the unit's other functions."""
    return _kept(command, ("-g", "-gdwarf-4"), shared)


def unoptimised_object(command: CompileCommand, shared: Path | None) -> bytes:
    """The object at -O0; empty when the unit does not compile so. Kept like `debug_object`."""
    return _kept(command, ("-O0", "-fno-lto"), shared)


def plain_object(command: CompileCommand) -> bytes:
    """The object as the compiler itself makes it; empty when the unit does not compile, or its source is gone."""
    return _compiled(command, ()) if Path(command.source).exists() else b""


def _kept(command: CompileCommand, options: tuple[str, ...], shared: Path | None) -> bytes:
    if shared is None:
        return _compiled(command, options)
    kept = SharedFiles(shared)
    key = ("object", command, options)
    with kept.claimed(key):
        found = kept.read(key)
        if found is None:
            found = _compiled(command, options)
            kept.write(key, found)
        return found


def _compiled(command: CompileCommand, options: tuple[str, ...]) -> bytes:
    with tempfile.TemporaryDirectory(prefix="aicc-object-") as directory:
        output = Path(directory, "unit.o")
        words = [*command.compiler, *command.arguments, *options, "-w", "-c", "-o", str(output), command.input]
        environment = {**os.environ, **dict(command.environment), "AICC_ACTIVE": "1"}
        try:
            subprocess.run(words, cwd=command.directory, env=environment, capture_output=True, timeout=300, check=True)
            return output.read_bytes()
        except (OSError, subprocess.SubprocessError):
            return b""
