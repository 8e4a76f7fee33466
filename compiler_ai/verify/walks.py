"""States that lead an interpreter through its tables: what one instruction of its program does may show in the next one only."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

from compiler_ai.verify.branches import Dispatch, dispatches
from compiler_ai.verify.coverage import Blocks
from compiler_ai.verify.machine import Body, Machine
from compiler_ai.verify.mutate import Seed, changed, exact, is_pointer
from compiler_ai.verify.state import EntryState
from compiler_ai.verify.values import mutated_number

_MOST_WALKS = 100
_TRIES = 8  # indices tried in one walk
_VARIANTS = 2
_VARIED = 0.3  # of the numbers that were loaded between jumps
_LOOK_STEPS = 1_500


def walks(
    machine: Machine, body: Body, seeds: Sequence[Seed], blocks: Blocks, seed_of: Callable[[EntryState], Seed]
) -> Iterator[EntryState]:
    """States in which jumps through tables one after the other have indices that were seldom tried together, and in which what is
    loaded between them varies. `blocks` are the body's in the first context; empty where no run comes to such jumps twice.
    Deterministic."""
    chance = random.Random("walks")
    tried: Counter[tuple[int, int]] = Counter()  # an index and the one before

    met = partial(_met, machine, body, blocks)
    starts = [(seed, jumps) for seed in seeds if len(jumps := met(seed)) > 1]
    for start, jumps in (chance.choice(starts) for _ in range(_MOST_WALKS) if starts):
        seed = seed_of(_patched(start.state, _operands(start, jumps, chance)))
        found = met(seed)
        here, before = chance.randrange(max(1, len(found))), -1
        for _ in range(_TRIES if found else 0):
            jump = found[here]
            index = min(range(jump.last_index + 1), key=lambda n: (tried[before, n], chance.random()))
            tried[before, index] += 1
            turned = next(exact(seed, jump.wish(index)), seed.state)
            state = _patched(turned, _operands(seed, found[: here + 1], chance))
            if before >= 0:
                yield state
            further = seed_of(state)
            following = met(further)
            passed = sum(one.step <= jump.step for one in following)
            if passed < len(following):  # else it ended there: another index is tried
                seed, found, here, before = further, following, passed, index
                yield from (_patched(state, _operands(seed, found, chance)) for _ in range(_VARIANTS))


def _met(machine: Machine, body: Body, blocks: Blocks, seed: Seed) -> list[Dispatch]:
    """The jumps through tables in the seed's run whose index can be varied, in the order of the run."""
    context = machine.context(seed.state)
    loaded = body.at(context)
    shift = loaded.entry - body.at(machine.contexts[0]).entry
    trace = machine.trace(seed.state, loaded, _LOOK_STEPS)
    found = dispatches(trace, [at + shift for at in blocks.indirect], body.decoder(context), seed.memory)
    return [dispatch for dispatch in found if set(dispatch.near[:1]) & set(seed.reads)]


def _operands(seed: Seed, jumps: Sequence[Dispatch], chance: random.Random) -> Mapping[int, bytes]:
    """Other numbers, by address, for some that were loaded before these jumps and are none of their indices."""
    spans = {span for jump in jumps for span in jump.near[1:]} - {jump.near[0] for jump in jumps}
    return {
        span[0]: mutated_number(seed.value(span), chance, ())
        for span in sorted(spans & set(seed.reads))
        if not is_pointer(seed, span) and chance.random() < _VARIED
    }


def _patched(state: EntryState, patches: Mapping[int, bytes]) -> EntryState:
    return changed(state, f"{len(patches)} numbers", dict(state.registers.general), patches) if patches else state
