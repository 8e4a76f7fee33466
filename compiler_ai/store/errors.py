"""The typed failure of the store."""

from __future__ import annotations

from compiler_ai.errors import AiccError


class StoreError(AiccError):
    """The store cannot be used as asked: written by a newer aicc, not writable, or an entry that cannot be kept."""
