"""States in which what a callee reads has every value, a byte at a time: what it makes of several bytes together decides a condition
behind the call, and no comparison of the body's own tells which bytes these are."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Sequence
from itertools import islice, zip_longest
from random import Random

from compiler_ai.sandbox.process import Trace
from compiler_ai.verify.accesses import Decoder
from compiler_ai.verify.code import OwnCode
from compiler_ai.verify.everyvalue import Span, values_of
from compiler_ai.verify.machine import Body, Context, Machine
from compiler_ai.verify.mutate import Seed, changed
from compiler_ai.verify.state import EntryState

_LOOK_STEPS = 1_500
_MOST_BEHIND = 8  # instructions from a callee's return to the condition that its result decides
_MOST_SEEDS = 60  # whose runs are looked at
_SEEDS_A_SITE, _BYTES_A_SEED = 3, 12


def within_calls(
    machine: Machine,
    body: Body,
    own: Callable[[Context], OwnCode],
    seeds: Sequence[Seed],
    sites: Callable[[], set[int]],
    most: int,
) -> Iterator[EntryState]:
    """At most so many for each of the `sites`, conditions relative to the entry, as long as it is among them: of those runs in which the
    callee read most."""
    found: dict[int, list[tuple[Seed, list[Span]]]] = {}
    usable = [seed for seed in reversed(seeds) if seed.state.answers is None]
    for seed in usable[:_MOST_SEEDS]:
        context = machine.context(seed.state)
        loaded = body.at(context)
        trace = machine.trace(seed.state, loaded, _LOOK_STEPS)
        wanted = {loaded.entry + site for site in sites()}
        code, decoder = own(context).function_ranges, body.decoder(context)
        for at, spans in _read_before(trace, code, decoder, wanted, set(seed.reads)).items():
            found.setdefault(at - loaded.entry, []).append((seed, spans))
    for site, looks in found.items():
        looks.sort(key=lambda look: -len(look[1]))
        streams = [_every_value(seed, span) for seed, spans in looks[:_SEEDS_A_SITE] for span in spans[:_BYTES_A_SEED]]
        states = (state for group in zip_longest(*streams) for state in group if state is not None)
        for state in islice(states, most):
            if site not in sites():
                break
            yield state


def _read_before(
    trace: Trace, own: Sequence[Span], decoder: Decoder, wanted: Container[int], variable: Container[Span]
) -> dict[int, list[Span]]:
    """What can be varied of what the last call before each of the wanted conditions read, by the condition's address, in the order of
    the run; where it is executed several times, the time with most."""
    found: dict[int, list[Span]] = {}
    read: dict[Span, None] = {}
    behind = _MOST_BEHIND
    for step in trace:
        if not any(low <= step.rip < high for low, high in own):
            if behind:
                read, behind = {}, 0
            for operand in decoder.decoded(step.rip).operands:
                start = decoder.address(operand, step.general)
                span = start, start + operand.size_bytes
                if operand.reads and span in variable:
                    read[span] = None
        else:
            behind += 1
            if step.rip in wanted and behind <= _MOST_BEHIND and len(read) > len(found.get(step.rip, ())):
                found[step.rip] = list(read)
    return found


def _every_value(seed: Seed, span: Span) -> Iterator[EntryState]:
    """The seed with each value of the first byte of a span, in any order."""
    start, _ = span
    general = dict(seed.state.registers.general)
    for value in values_of(1, Random(f"{start:#x} {seed.state.name}")):
        yield changed(seed.state, f"{value:#x} at {start:#x}", general, {start: bytes([value])})
