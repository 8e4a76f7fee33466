"""States for comparisons of what is computed from several inputs, such as a code point from its bytes.

Each input is moved by one, and by how much the compared value moves tells which inputs together bring it where it is wanted:
the gradient of Chen and Chen, "Angora" (S&P 2018), solved at once, since what is computed so mostly is a weighted sum.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from compiler_ai.verify.branches import comparisons
from compiler_ai.verify.coverage import Blocks
from compiler_ai.verify.machine import Body, Machine
from compiler_ai.verify.mutate import Seed, changed, is_pointer
from compiler_ai.verify.prototype import Prototype
from compiler_ai.verify.scalars import Argument, with_arguments
from compiler_ai.verify.state import EntryState
from compiler_ai.verify.values import signed_difference

_MOST_INPUTS = 12
_MOST_STEPS = 1_500  # of one run
_MOST_TRIES = 24  # for one comparison


@dataclass(frozen=True)
class Input:
    """A span of memory at `address`, or the `argument` when there is one, with its value."""

    value: int
    size_bytes: int
    address: int = 0
    argument: Argument | None = None

    @property
    def is_float(self) -> bool:
        """Whether it is a floating-point argument."""
        return self.argument is not None and self.argument.type.kind == "float"

    def __str__(self) -> str:
        return str(self.argument or hex(self.address))


def sum_states(
    machine: Machine, body: Body, seeds: Sequence[Seed], prototype: Prototype | None, blocks: Blocks, most_steps: int
) -> Iterator[EntryState]:
    """States that may bring the sides of a condition's comparison to equality or next to it, where more than one input moves
    them; traces of at most `most_steps` instructions are made for it. `blocks` are the body's in the first context."""
    first_entry = body.at(machine.contexts[0]).entry
    sites = [*blocks.branches, *sorted(blocks.selects)]
    tried: Counter[tuple[int, int]] = Counter()
    left = most_steps
    for seed in reversed(seeds):
        loaded = body.at(machine.context(seed.state))
        inputs = [one for one in inputs_of(seed, prototype) if not one.is_float]
        if loaded.entry != first_entry or not 2 <= len(inputs) <= _MOST_INPUTS or seed.state.answers is not None:
            continue

        def differences(state: EntryState) -> dict[int, int]:
            nonlocal left
            trace = machine.trace(state, body.at(machine.context(state)), _MOST_STEPS)
            left -= len(trace)
            decoder = body.decoder(machine.context(state))

            def memory(at: int, size_bytes: int) -> bytes:
                return machine.memory(state, at, size_bytes)

            return {site: signed_difference(*pair) for site, _, pair in comparisons(trace, sites, decoder, memory)}

        now = differences(seed.state)
        moved = [differences(with_inputs(seed.state, {one: _next(one)})) for one in inputs if left > 0]
        if left <= 0:
            return
        for site, difference in now.items():
            weights = {
                one: (after[site] - difference) * (1 if _next(one) > one.value else -1)
                for one, after in zip(inputs, moved, strict=True)
                if after.get(site, difference) != difference
            }
            for change in (0, 1, -1) if len(weights) > 1 else ():
                if tried[site, change] < _MOST_TRIES and difference != change:
                    for solution in solutions(weights, change - difference):
                        tried[site, change] += 1
                        yield with_inputs(seed.state, solution)


def solutions(weights: Mapping[Input, int], lacking: int) -> Iterator[dict[Input, int]]:
    """New values of inputs that move a sum of them, each by its weight, by `lacking`: heavy ones first, as far as they go without
    going too far, or one of them one step farther, which the lighter ones then take back."""
    heaviest = sorted(weights, key=lambda one: -abs(weights[one]))
    for farther in (None, *heaviest):
        rest, values = lacking, {}
        for one in heaviest:
            weight = weights[one]
            steps = abs(rest) // abs(weight) * (1 if (rest > 0) == (weight > 0) else -1)
            if one is farther:
                steps += 1 if (rest > 0) == (weight > 0) else -1
            values[one] = min(max(one.value + steps, 0), (1 << 8 * one.size_bytes) - 1)
            rest -= (values[one] - one.value) * weight
        if rest == 0:
            yield {one: value for one, value in values.items() if value != one.value}


def inputs_of(seed: Seed, prototype: Prototype | None) -> list[Input]:
    """The numbers that a seed's run reads of memory that a caller may have filled, and those that it is passed in registers."""
    spans = [span for span in seed.reads if span[1] - span[0] <= 8 and not is_pointer(seed, span)]
    found = [Input(int.from_bytes(seed.value(span), "little"), span[1] - span[0], span[0]) for span in spans]
    return found + [
        Input(value, one.type.size_bytes, argument=one)
        for one, value in seed.arguments(prototype).items()
        if one.type.kind in ("integer", "float") and not one.on_stack
    ]


def _next(one: Input) -> int:
    return one.value + 1 if one.value + 1 < 1 << 8 * one.size_bytes else one.value - 1


def with_inputs(state: EntryState, values: Mapping[Input, int]) -> EntryState:
    """The state with other values of these inputs."""
    state = with_arguments(state, {one.argument: value for one, value in values.items() if one.argument})
    patches = {
        one.address: value.to_bytes(one.size_bytes, "little") for one, value in values.items() if not one.argument
    }
    how = ", ".join(f"{one} to {value:#x}" for one, value in values.items())
    return changed(state, how, state.registers.general, patches)
