"""What can go wrong with profiles."""

from compiler_ai.errors import AiccError


class ProfileError(AiccError):
    """A profile cannot be recorded, read or imported; one line that says what, where and what to do about it."""
