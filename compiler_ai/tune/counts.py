"""Where a body's instructions go, in words for a model: how often each block ran in one captured call, beside the original's."""

from __future__ import annotations

from collections.abc import Mapping

from compiler_ai.asm import listing as listing_model
from compiler_ai.asm.listing import Listing
from compiler_ai.models.excerpt import ExecutedBlock, executed_blocks
from compiler_ai.toolchains.description import Toolchain
from compiler_ai.tune.judges import Judges
from compiler_ai.work import CandidateState, Context, FunctionWork

_MOST_BLOCKS = 4


def counted(judges: Judges, state: CandidateState, work: FunctionWork, context: Context) -> str:
    """ "" when nothing can be counted, as for a body whose verdict is remembered."""
    if not state.object_bytes or not state.spliced_text:
        return ""
    name = work.baseline.function
    try:
        own = judges.executed(work, context, state.object_bytes)
        original = judges.executed(work, context, b"")
    except Exception:  # no figures are better than no answer
        return ""
    own_blocks = _blocks(listing_model.parse(state.spliced_text), name, own, context.toolchain)
    blocks = _blocks(work.listing, name, original, context.toolchain)
    return in_words(blocks, own_blocks) if blocks and own_blocks else ""


def _blocks(listing: Listing, name: str, counts: Mapping[int, int], toolchain: Toolchain) -> list[ExecutedBlock]:
    function = listing.function(name)
    return executed_blocks(function, counts, toolchain) if function is not None else []


def in_words(original: list[ExecutedBlock], own: list[ExecutedBlock]) -> str:
    """Both bodies' instructions in that call, and the costliest blocks of each."""
    return "\n".join(
        [
            "Instructions executed in one of the measured calls, by the block that begins with the one shown:",
            *_lines("the original", original),
            *_lines("this version", own),
        ]
    )


def _lines(what: str, blocks: list[ExecutedBlock]) -> list[str]:
    total = sum(block.instructions for block in blocks)
    shown = [f"  `{block.first}`: {block.times} times, {block.instructions} instructions" for block in blocks]
    return [f"{what}: {total}", *shown[:_MOST_BLOCKS]]
