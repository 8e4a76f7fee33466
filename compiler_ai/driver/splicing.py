"""Apply mode: replace the functions of one listing that the store has rewrites for.

Imported by the shim only when a function of the listing has an entry in the store's index.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from compiler_ai.asm import listing as listing_model
from compiler_ai.asm.normalise import body_key
from compiler_ai.asm.splice import replace
from compiler_ai.driver.flags import is_instrumented
from compiler_ai.store.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterable

    from compiler_ai.driver.options import Options


@dataclass
class Applied:
    """The outcome for one listing: the text to assemble, which functions were replaced, and notes for the log."""

    text: str
    applied: list[str]
    notes: list[str]


def apply_entries(text: str, names: Iterable[str], project: str, options: Options, flags: tuple[str, ...]) -> Applied:
    """Replace every function among `names` whose key has an entry that `options` allow.

    A function whose entry cannot be used keeps GCC's body; the reason is a note. Raises only what parsing raises.
    """
    result = Applied(text, [], [])
    if is_instrumented(flags):
        return result
    store = Store(project)
    for name in names:
        try:
            unit = listing_model.parse(result.text)
            if unit.function(name) is None:
                continue
            rewrite = store.lookup(body_key(unit, name, flags))
            if rewrite is None or rewrite.candidate.function != name:
                continue
            refusal = _refusal(rewrite.candidate.features, options)
            if refusal:
                result.notes.append(f"{name}: {refusal}")
                continue
            result.text = replace(unit, name, rewrite.candidate, rewrite.baseline_size_bytes)
            result.applied.append(name)
        except Exception as error:  # this function keeps GCC's body; the others still get theirs
            result.notes.append(f"{name}: not replaced: {type(error).__name__}: {error}")
    return result


def _refusal(features: tuple[str, ...], options: Options) -> str:
    if not features or "dispatch" in features:
        return ""
    if options.values["isa"] != "native":
        return f"the rewrite needs {', '.join(features)}; build with -faicc-isa=native to use it"
    from compiler_ai.driver.host import missing_features

    missing = missing_features(features)
    return f"this processor lacks {', '.join(missing)}" if missing else ""
