"""Other data in the blocks that few tests come to: with only some of it shows what a body computes wrongly there.

A run that comes to such a block is varied in what it loaded last and in its arguments: first each of these alone, which tells what may
be changed without leaving the way, and what decides from where others are loaded; then several of them together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from random import Random

from compiler_ai.sandbox.process import Trace
from compiler_ai.verify.accesses import Decoder
from compiler_ai.verify.mutate import Seed
from compiler_ai.verify.prototype import Prototype
from compiler_ai.verify.state import EntryState
from compiler_ai.verify.sums import Input, inputs_of, with_inputs
from compiler_ai.verify.values import FLOATS, float_bytes, mutated_number

_MOST_LOADS = 10  # the last ones up to the block, and a little farther
_STEPS_FARTHER = 24
_CHANGED = (0.2, 0.5, 0.9)  # of the inputs that may be changed
_STYLES = ("", "any", "negative")  # of all numbers of a state
_WIDE_BYTES, _SMALL = 4, range(1, 17)
_SHORT_STEPS = 300  # of a run that is stepped to see what it loads


def other_data(
    seed: Seed,
    trace: Trace,
    block: int,
    decoder: Decoder,
    prototype: Prototype | None,
    constants: Sequence[int],
    comes_there: Callable[[EntryState], bool],
    traced: Callable[[EntryState], Trace],
    most_tries: int,
    chance: Random,
) -> Iterator[EntryState]:
    """The seed's state with other numbers in what its run (`trace`) loads up to its last visit of the block at this address and a little
    later, and in its arguments, as long as it `comes_there`; at most so many states are tried."""
    loads = _loads(trace, block, decoder)
    inputs = [one for one in inputs_of(seed, prototype) if one.argument or (one.address, one.size_bytes) in loads]
    free, operands = [], []  # what may be changed, and what of it leaves the others where they are
    for one in inputs[:most_tries]:
        state = with_inputs(seed.state, {one: _other(one, inputs, seed, constants, chance)})
        if comes_there(state):
            free.append(one)
            if len(trace) > _SHORT_STEPS or _loads(traced(state), block, decoder) == loads:
                operands.append(one)
            yield state
    for number in range(most_tries - len(inputs) if free else 0):
        share, style = chance.choice(_CHANGED), chance.choice(_STYLES)
        changed = [one for one in free if chance.random() < share] if number % 2 else operands
        values = {one: _other(one, inputs, seed, constants, chance, style) for one in changed or free}
        state = with_inputs(seed.state, values)
        if comes_there(state):
            yield state


def small_counts(
    seed: Seed, trace: Trace, block: int, decoder: Decoder, prototype: Prototype | None, chance: Random
) -> Iterator[EntryState]:
    """The seed's state with a small number in place of one of its arguments or of what its run (`trace`) loads up to its last visit of
    the block at this address and a little later: many of those are counts, and what is wrong for small ones only shows for few others."""
    loads = _loads(trace, block, decoder)
    wide = [
        one
        for one in inputs_of(seed, prototype)
        if (one.argument or (one.address, one.size_bytes) in loads)
        and one.size_bytes >= _WIDE_BYTES
        and not _holds_a_float(one, seed)
    ]
    for value in chance.sample(_SMALL, len(_SMALL)):
        yield from (with_inputs(seed.state, {one: value}) for one in wide)


def _holds_a_float(one: Input, seed: Seed) -> bool:
    return one.is_float or (not one.argument and (one.address, one.address + one.size_bytes) in seed.floats)


def _loads(trace: Trace, block: int, decoder: Decoder) -> set[tuple[int, int]]:
    """(address, size in bytes) of what was loaded last up to the last visit of a block and a little later; none when the trace does not
    get there."""
    steps = list(trace)
    visits = [number for number, step in enumerate(steps) if step.rip == block]
    found: set[tuple[int, int]] = set()
    for step in reversed(steps[: visits[-1] + _STEPS_FARTHER] if visits else []):
        for operand in decoder.decoded(step.rip).operands:
            if operand.reads:
                found.add((decoder.address(operand, step.general), operand.size_bytes))
        if len(found) >= _MOST_LOADS:
            break
    return found


def _other(
    one: Input,
    inputs: Sequence[Input],
    seed: Seed,
    constants: Sequence[int],
    chance: Random,
    style: str = "",
) -> int:
    """Another value, in the style that is asked for or of a kind by chance: any, a small one, one with nothing but high bits, a
    neighbour or an extreme, another input's or next to it."""
    if _holds_a_float(one, seed):
        value = chance.choice((chance.choice(FLOATS), chance.uniform(-100, 100)))
        return int.from_bytes(float_bytes(value, one.size_bytes), "little")
    bits = 8 * one.size_bytes
    if style:
        return chance.getrandbits(bits) | (1 << bits - 1 if style == "negative" else 0)
    few = chance.randrange(1, bits + 1)
    data = one.value.to_bytes(one.size_bytes, "little")
    value = chance.choice(
        (
            chance.getrandbits(bits),
            chance.getrandbits(few),
            -chance.getrandbits(few),
            chance.getrandbits(few) << bits - few,
            int.from_bytes(mutated_number(data, chance, constants), "little"),
            chance.choice(inputs).value + chance.choice((-1, 0, 0, 1)),
        )
    )
    return value & (1 << bits) - 1
