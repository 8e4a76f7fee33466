"""Which functions have an entry in the store, read from lock.toml in a millisecond. On the compile path.

lock.toml itself is the index, so no second file can disagree with it: this module scans its canonical lines and leaves
parsing and every check of integrity to `lockfile` and `store`, which run only for a listing that has such a function.
"""

from __future__ import annotations

from compiler_ai.regular import opener
from compiler_ai.store.errors import StoreError

FORMAT_VERSION = 1
LOCK_NAME = "lock.toml"
# Of the files with rewritten bodies. Not `.s`: Kbuild's `make clean` deletes every *.[oas] below it, and the kernel's .gitignore has them.
ASSEMBLY = ".asm"
_FUNCTION = '\nfunction = "'
_VERSION = "\nversion = "
_MOST_DIGITS = 9  # int() refuses thousands of them


class Index:
    """The names in one lock.toml. It may name an entry that turns out to be damaged, never miss an intact one."""

    def __init__(self, names: frozenset[str]) -> None:
        self._names = names

    @staticmethod
    def load(directory: str) -> Index:
        """Read `directory`/lock.toml; a store that does not exist or cannot be read is empty.

        Raises StoreError when a newer aicc wrote it.
        """
        try:
            with open(directory + "/" + LOCK_NAME, encoding="utf-8", errors="surrogateescape", opener=opener) as file:
                text = "\n" + file.read()
        except OSError:
            return Index(frozenset())
        refuse_newer(version_of(text), directory)
        names: set[str] = set()
        for rest in text.split(_FUNCTION)[1:]:
            value = rest[: rest.find("\n")] if "\n" in rest else rest
            names.add(_unquoted(value))
        return Index(frozenset(names))

    def functions(self) -> frozenset[str]:
        """The assembled names of all functions with an entry."""
        return self._names


def version_of(text: str) -> int | None:
    """The format version that a lock.toml states, or None when it states none."""
    start = ("\n" + text).find(_VERSION)
    if start < 0:
        return None
    digits = ("\n" + text)[start + len(_VERSION) :].split("\n", 1)[0].strip()
    return int(digits[:_MOST_DIGITS]) if digits.isascii() and digits.isdigit() else None


def refuse_newer(version: int | None, directory: str) -> None:
    """Raises StoreError when `version` is one that this aicc does not know."""
    if version is not None and version > FORMAT_VERSION:
        raise StoreError(
            f"{directory}: store format {version} was written by a newer aicc; this one reads up to {FORMAT_VERSION}: upgrade aicc"
        )


def _unquoted(value: str) -> str:
    """A TOML basic string after its opening quote (TOML 1.0, "String")."""
    if "\\" in value:
        import tomllib

        try:
            return str(tomllib.loads('s = "' + value)["s"])
        except tomllib.TOMLDecodeError:
            return ""
    return value[: value.find('"')]
