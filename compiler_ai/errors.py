"""The base of every error that a user may cause or meet; its message is one line that says what, where and what to do."""


class AiccError(Exception):
    """Reported as one line, without a traceback."""
