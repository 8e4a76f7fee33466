"""States that may reach blocks that no test has reached: what branches compared, turned; then variations of all seeds."""

from __future__ import annotations

from collections.abc import Iterator

from compiler_ai.verify.branches import wishes
from compiler_ai.verify.coverage import Blocks
from compiler_ai.verify.machine import Body, Machine
from compiler_ai.verify.mutate import Seed, granted, mutations
from compiler_ai.verify.prototype import Prototype
from compiler_ai.verify.state import EntryState

_LOOK_STEPS = 1_500


def directed_states(
    machine: Machine,
    body: Body,
    seeds: list[Seed],
    prototype: Prototype | None,
    constants: tuple[int, ...],
    blocks: Blocks,
    uncovered: set[int],
) -> Iterator[EntryState]:
    """An endless stream, as long as there are seeds; `seeds` may grow and `uncovered` (relative to the entry) shrink meanwhile.

    `blocks` are the body's in the first context.
    """
    first_entry = body.at(machine.contexts[0]).entry
    looked = 0
    streams: dict[int, Iterator[EntryState]] = {}
    while seeds:
        while looked < len(seeds):
            seed = seeds[looked]
            looked += 1
            context = machine.context(seed.state)
            loaded = body.at(context)
            shift = loaded.entry - first_entry
            branches = {
                at + shift: (taken + shift, following + shift) for at, (taken, following) in blocks.branches.items()
            }
            trace = machine.trace(seed.state, loaded, _LOOK_STEPS)
            open_blocks = frozenset(loaded.entry + offset for offset in uncovered)
            for wish in wishes(trace, branches, open_blocks, body.decoder(context).code, seed.memory):
                yield from granted(seed, prototype, wish)
        for index, seed in enumerate(list(seeds)):
            if index not in streams:
                streams[index] = mutations(seed, prototype, constants, f"directed {seed.state.name}")
            state = next(streams[index], None)
            if state is not None:
                yield state
        if looked == len(seeds) and not any(seed.reads or prototype for seed in seeds):
            return
