"""The typed failures of the sandbox."""

from __future__ import annotations

from compiler_ai.errors import AiccError


class SandboxError(AiccError):
    """The sandbox itself failed (no compiler, a refused request, a dead runner); says nothing about the body under test."""


class OutOfTimeError(AiccError):
    """No more runs are begun: the time that there was for them is over. It says nothing about the body under test, nor about
    the sandbox."""


class LoadError(SandboxError):
    """An object cannot be placed: names the symbol and the relocation type, or what is malformed."""


class AssembleError(SandboxError):
    """GNU as rejected a text or hit a resource limit; the message holds no text of any file."""
