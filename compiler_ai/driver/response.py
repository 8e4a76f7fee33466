"""Response files (`@file`) as GCC reads them: quoted words, nested files.

Source: libiberty/argv.c (buildargv, expandargv), which GCC and the binutils use. On the compile path.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_SPACE = " \t\n\v\f\r"
_FILES = 2000  # libiberty's own limit against files that name themselves


def expanded(arguments: Sequence[str]) -> list[str]:
    """The words that GCC sees. A file that cannot be read stays a word, as it does for GCC. Never raises."""
    if not any(word[:1] == "@" for word in arguments):
        return list(arguments)
    result: list[str] = []
    waiting = list(reversed(arguments))
    files = 0
    while waiting:
        word = waiting.pop()
        content = _content(word[1:]) if word[:1] == "@" and files < _FILES else None
        if content is None:
            result.append(word)
        else:
            files += 1
            waiting += reversed(list(words(content)))
    return result


def words(text: str) -> Iterator[str]:
    """The words of a response file: a backslash escapes any character, in quotes too; quotes may lie inside of a word."""
    word: list[str] | None = None
    quote = ""
    characters = iter(text)
    for character in characters:
        if character in _SPACE and not quote:
            if word is not None:
                yield "".join(word)
                word = None
            continue
        word = [] if word is None else word
        if character == "\\":
            word.append(next(characters, ""))
        elif character == quote:
            quote = ""
        elif character in "'\"" and not quote:
            quote = character
        else:
            word.append(character)
    if word is not None:
        yield "".join(word)


def _content(path: str) -> str | None:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:
            return file.read()
    except (OSError, ValueError):
        return None
