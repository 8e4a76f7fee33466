"""Local labels of a rewrite, kept apart from GCC's and from other rewrites'. On the compile path."""

from __future__ import annotations

from compiler_ai.asm.statements import LOCAL_LABEL, label_of
from compiler_ai.candidates import Body

TYPE_CHECKING = False
if TYPE_CHECKING:
    import re

    from compiler_ai.candidates import AnyBody


def with_own_labels(candidate: AnyBody, prefix: str, only: str = ".L") -> Body:
    """The candidate with every local label that it defines (and that begins with `only`) renamed.

    GCC's body keeps its own, and two candidates of one unit may have come from different compilations with the same ones.
    """
    defined = {
        label
        for line in (candidate.body + "\n" + candidate.extra).splitlines()
        if (label := label_of(line)).startswith(only)
    }

    def rename(match: re.Match[str]) -> str:
        return f".Laicc_{prefix}_{match[0][2:]}" if match[0] in defined else match[0]

    return Body(
        candidate.function,
        terminated(LOCAL_LABEL.sub(rename, candidate.body)),
        terminated(LOCAL_LABEL.sub(rename, candidate.extra)),
        candidate.features,
    )


def terminated(text: str) -> str:
    return text if not text or text.endswith("\n") else text + "\n"
