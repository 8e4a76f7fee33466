"""Finding the project that a command is about."""

from __future__ import annotations

import os
from pathlib import Path

from compiler_ai.driver import project
from compiler_ai.errors import AiccError


class NoProjectError(AiccError):
    """There is no .aicc at or above the working directory."""


def project_directory() -> Path:
    """The project's `.aicc`. Raises NoProjectError."""
    found = project.find(os.getcwd(), os.environ)
    if found is None or not os.path.isdir(found):
        raise NoProjectError(
            f"no {project.DIRECTORY} at or above {os.getcwd()}: run 'aicc-tool init' in the project's directory, or set AICC_DIR to one"
        )
    return Path(found)
