"""Words that messages share."""


def counted(number: int, noun: str) -> str:
    """`1 rewrite`, `2 rewrites`."""
    return f"{number} {noun}{'s' if number != 1 else ''}"
