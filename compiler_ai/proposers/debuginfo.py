"""The unit's object with debug information, compiled as the build does: what tells a function's C type and its lines."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

from compiler_ai.artifacts import CompileCommand
from compiler_ai.proposers.shared import SharedFiles


def debug_object(command: CompileCommand, shared: Path | None) -> bytes:
    """The object; empty when the unit does not compile. In the directory `shared` it is kept for the unit's other functions."""
    if shared is None:
        return _compiled(command)
    kept = SharedFiles(shared)
    key = ("debug", command)
    with kept.claimed(key):
        found = kept.read(key)
        if found is None:
            found = _compiled(command)
            kept.write(key, found)
        return found


def _compiled(command: CompileCommand) -> bytes:
    with tempfile.TemporaryDirectory(prefix="aicc-debug-") as directory:
        output = Path(directory, "unit.o")
        debug = ["-g", "-gdwarf-4", "-w", "-c", "-o", str(output)]
        words = [*command.compiler, *command.arguments, *debug, command.source]
        environment = {**os.environ, **dict(command.environment), "AICC_ACTIVE": "1"}
        try:
            subprocess.run(words, cwd=command.directory, env=environment, capture_output=True, timeout=300, check=True)
            return output.read_bytes()
        except (OSError, subprocess.SubprocessError):
            return b""
