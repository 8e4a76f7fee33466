"""Regular expressions for the compile path: compiled once a project, not once a compile.

`re` compiles a pattern into a list of numbers for `_sre` (Lib/re/_compiler.py). Importing `re` and compiling what the
listing model needs takes twice as long as the work on a listing, so the shim keeps the numbers in `.aicc/cache`, for
this very interpreter and with their checksum. Whatever is not as expected there is compiled by `re`.
"""

from __future__ import annotations

import _sre  # type: ignore[import-not-found]
import marshal
import os
import sys

from compiler_ai.regular import opener
from compiler_ai.sha256 import sha256

TYPE_CHECKING = False
if TYPE_CHECKING:
    import re

MULTILINE, DOTALL = 8, 16  # as in `re`
_DIGEST_BYTES = 32
_INTERPRETER = (sys.version, _sre.MAGIC)


class Patterns:
    """The patterns in one file; without a path none are kept."""

    def __init__(self, path: str) -> None:
        self._path, self._new = path, False
        self._kept: dict[tuple[str, int], tuple[object, ...]] = self._read() if path else {}

    def compiled(self, pattern: str, flags: int) -> re.Pattern[str]:
        numbers = self._kept.get((pattern, flags))
        try:
            known: re.Pattern[str] = _sre.compile(pattern, *numbers) if numbers else self._compile(pattern, flags)
            return known
        except Exception:  # another interpreter than this was written for
            import re

            return re.compile(pattern, flags)

    def keep(self) -> None:
        """Write down what had to be compiled. Never raises."""
        if not self._path or not self._new:
            return
        from compiler_ai.replacing import replace_file

        content = marshal.dumps((_INTERPRETER, self._kept))
        try:
            replace_file(self._path, sha256(content).digest() + content)
        except OSError:
            pass

    def _compile(self, pattern: str, flags: int) -> re.Pattern[str]:
        """As `re._compiler.compile` does, noting what it hands to `_sre`."""
        import re
        from re import _compiler, _parser  # type: ignore[attr-defined]

        if not self._path:
            return re.compile(pattern, flags)
        parsed = _parser.parse(pattern, flags)
        code = _compiler._code(parsed, flags)
        state = parsed.state
        names: list[str | None] = [None] * state.groups
        for name, number in state.groupdict.items():
            names[number] = name
        numbers = flags | state.flags, code, state.groups - 1, dict(state.groupdict), tuple(names)
        result: re.Pattern[str] = _sre.compile(pattern, *numbers)
        self._kept[pattern, flags] = tuple(map(_plain, numbers))
        self._new = True
        return result

    def _read(self) -> dict[tuple[str, int], tuple[object, ...]]:
        try:
            with open(self._path, "rb", opener=opener) as file:
                content = file.read()
        except OSError:
            return {}
        if sha256(content[_DIGEST_BYTES:]).digest() != content[:_DIGEST_BYTES]:
            return {}
        interpreter, kept = marshal.loads(content[_DIGEST_BYTES:])
        return kept if interpreter == _INTERPRETER else {}


def _plain(value: object) -> object:
    """For `marshal`: numbers in place of enumerations' members."""
    if isinstance(value, list):
        return list(map(int, value))
    return int(value) if isinstance(value, int) else value


def _of_project() -> Patterns:
    project = os.environ.get("AICC_SHIM_PROJECT")
    return Patterns(f"{project}/cache/patterns-{sys.implementation.cache_tag}" if project else "")


_patterns = _of_project()


def compiled(pattern: str, flags: int = 0) -> re.Pattern[str]:
    """What `re.compile` gives; in the shim, from the project's memory."""
    return _patterns.compiled(pattern, flags)


def keep() -> None:
    """For the end of a compile: the next one shall find what this one had to compile."""
    _patterns.keep()
