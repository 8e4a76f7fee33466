"""How a companion and the object that it belongs to know each other: a line of text in a section that no link keeps.

Section flag "e" is SHF_EXCLUDE: linkers drop the section from programs and keep it in `ld -r`. The line is found by a plain
search of an object's bytes, so the link step reads no symbol table. On the compile path.
"""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

SECTION = ".gnu.aicc"
MAGIC = b"aicc-pair:1:"
_MARK = re.compile(rb"aicc-pair:1:(needs|is):([0-9a-f]{64}):([\w.$,]*);")


def needs(digest: str) -> str:
    """For GCC's object: a companion with this digest may be linked beside it."""
    return _section(f"aicc-pair:1:needs:{digest}:;")


def belongs(digest: str, introduced: Iterable[str]) -> str:
    """For the companion; `introduced` are symbols that it needs and GCC's object does not."""
    return _section(f"aicc-pair:1:is:{digest}:{','.join(introduced)};")


def needed(content: bytes) -> list[str]:
    """The digests of the companions that an object (or several, after `ld -r`) asks for."""
    return [found[2].decode() for found in _MARK.finditer(content) if found[1] == b"needs"]


def own(content: bytes) -> dict[str, list[str]]:
    """The digest of a companion, with the symbols that it introduces; empty for any other object."""
    return {
        found[2].decode(): [name for name in found[3].decode().split(",") if name]
        for found in _MARK.finditer(content)
        if found[1] == b"is"
    }


def _section(text: str) -> str:
    return f'\t.section\t{SECTION},"e",@progbits\n\t.ascii\t"{text}"\n'
