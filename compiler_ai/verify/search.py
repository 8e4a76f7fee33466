"""States worth trying for what branches compare: those that may turn a branch towards blocks that no test has reached, and
those that bring the two sides of a comparison together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from compiler_ai.verify.answered import granted_answers
from compiler_ai.verify.branches import Extensions, table_wishes, wishes
from compiler_ai.verify.coverage import Blocks
from compiler_ai.verify.machine import Body, Machine
from compiler_ai.verify.mutate import Seed, exact, granted, mutations
from compiler_ai.verify.prototype import Prototype
from compiler_ai.verify.state import EntryState

_LOOK_STEPS = 1_500
_EXTENSIONS_A_SEED = 4


def directed_states(
    machine: Machine,
    body: Body,
    seeds: list[Seed],
    prototype: Prototype | None,
    constants: tuple[int, ...],
    blocks: Blocks,
    open_sites: Callable[[], set[int]],
    narrow: bool = False,
) -> Iterator[EntryState]:
    """An endless stream, as long as there are seeds, which may grow meanwhile; `open_sites` gives the conditions to turn,
    relative to the entry. `narrow` changes nothing but what was compared, where it was loaded just before, and takes the
    latest seeds first: they came farthest.

    `blocks` are the body's in the first context.
    """
    first_entry = body.at(machine.contexts[0]).entry
    looked: set[int] = set()
    streams: dict[int, Iterator[EntryState]] = {}
    while seeds:
        while len(looked) < len(seeds):
            fresh = [index for index in range(len(seeds)) if index not in looked]
            looked.add(fresh[-1 if narrow else 0])
            seed = seeds[fresh[-1 if narrow else 0]]
            context = machine.context(seed.state)
            loaded = body.at(context)
            shift = loaded.entry - first_entry
            sites = [loaded.entry + offset for offset in open_sites()]
            trace = machine.trace(seed.state, loaded, _LOOK_STEPS)
            for wish in wishes(trace, sites, body.decoder(context), seed.memory, {}, {}):
                yield from granted_answers(seed.state, wish, trace.outcome.events)
                found = list(exact(seed, wish)) if narrow else []
                yield from found or granted(seed, prototype, wish, 2 if narrow else 6)
            jumps = [at + shift for at in blocks.indirect]
            for wish in table_wishes(trace, jumps, body.decoder(context), seed.memory):
                yield from exact(seed, wish)
        for index, seed in enumerate(list(seeds)):
            if index not in streams:
                streams[index] = mutations(seed, prototype, constants, f"directed {seed.state.name}")
            state = next(streams[index], None)
            if state is not None:
                yield state
        if len(looked) == len(seeds) and not any(seed.reads or prototype for seed in seeds):
            return


def leading_to(blocks: Blocks, entry: int, uncovered: set[int]) -> set[int]:
    """The conditional jumps with a side among the blocks `uncovered`; these and the result relative to the entry."""
    wanted = {entry + offset for offset in uncovered}
    return {at - entry for at, sides in blocks.branches.items() if wanted & set(sides)}


def boundary_states(
    machine: Machine, body: Body, seeds: Sequence[Seed], prototype: Prototype | None, blocks: Blocks
) -> Iterator[EntryState]:
    """States that may bring what branches compare to equality or next to it, where a comparison with the wrong condition shows, and
    states in which what is widened has the other sign.

    `blocks` are the body's in the first context.
    """
    first_entry = body.at(machine.contexts[0]).entry
    seen: dict[int, set[int]] = {}
    tried: dict[tuple[int, int], int] = {}
    extensions = Extensions(body.decoder(machine.contexts[0]))
    sites = [*blocks.branches, *sorted(blocks.selects)]
    # The latest were kept for reaching what is hardest to reach; on buffers of its own, all that a seed reads can vary.
    latest_first = list(reversed(seeds))
    for seed in sorted(latest_first, key=lambda seed: not seed.state.extra):
        context = machine.context(seed.state)
        loaded = body.at(context)
        if loaded.entry != first_entry:
            continue  # what was seen is kept by address
        trace = machine.trace(seed.state, loaded, _LOOK_STEPS)
        for wish in wishes(trace, sites, body.decoder(context), seed.memory, seen, tried):
            yield from granted_answers(seed.state, wish, trace.outcome.events)
            yield from granted(seed, prototype, wish, most=4)
        for wish in islice(extensions.wishes(trace, seed.memory), _EXTENSIONS_A_SEED):
            yield from list(exact(seed, wish)) or granted(seed, prototype, wish, most=2)
        for wish in table_wishes(trace, blocks.indirect, body.decoder(context), seed.memory):
            yield from exact(seed, wish)
