"""States in which what a callee reads has every value, a byte at a time: what it makes of several bytes together decides a condition
behind the call, and no comparison of the body's own tells which bytes these are."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from random import Random

from compiler_ai.sandbox.errors import SandboxError
from compiler_ai.sandbox.pages import page_ceil
from compiler_ai.sandbox.process import Trace
from compiler_ai.verify.accesses import Decoder
from compiler_ai.verify.code import OwnCode
from compiler_ai.verify.everyvalue import Span, values_of
from compiler_ai.verify.machine import Body, Context, Machine
from compiler_ai.verify.mutate import Seed, changed
from compiler_ai.verify.prototype import Prototype
from compiler_ai.verify.state import EntryState, integer_parameters, passed

_LOOK_STEPS = 1_500
_MOST_BEHIND = 8  # instructions from a callee's return to the condition that its result decides
_MOST_SEEDS = 200  # whose runs are looked at
_SEEDS_A_SITE, _BYTES_A_SEED = 2, 4
_DEPTH = 4  # bytes that a callee comes to by such changes
_TRIES = 48  # values of one byte, until with one of them the callee reads on


@dataclass(frozen=True)
class _Look:
    """What can be varied of what the last call before a condition read, in the order of the run."""

    seed: Seed
    spans: Sequence[Span]


class WithinCalls:
    """`own` gives the body's own code in a context, `seed_of` what can be varied of a state."""

    def __init__(
        self,
        machine: Machine,
        body: Body,
        own: Callable[[Context], OwnCode],
        seed_of: Callable[[EntryState], Seed],
        prototype: Prototype | None,
    ) -> None:
        self._machine, self._body, self._own, self._seed_of = machine, body, own, seed_of
        self._parameters = integer_parameters(prototype) if prototype is not None else []

    def states(self, seeds: Sequence[Seed], sites: Container[int]) -> dict[int, Iterator[EntryState]]:
        """By such of the `sites`, conditions relative to the entry, as come soon after a call: first of the runs in which the callee read most."""
        found: dict[int, list[_Look]] = {}
        usable = [seed for seed in reversed(seeds) if seed.state.answers is None]
        for seed in usable[:_MOST_SEEDS] if self._makes_calls() else ():
            for site, look in self._looks(seed, sites).items():
                found.setdefault(site, []).append(look)
        return {
            site: chain.from_iterable(self._deeper_and_deeper(look, site) for look in self._chosen(looks, site))
            for site, looks in found.items()
        }

    def _makes_calls(self) -> bool:
        try:
            return bool(self._body.instrumented(self._machine.contexts[0], {}, conditions=True).calling)
        except SandboxError:
            return True

    def _looks(self, seed: Seed, sites: Container[int]) -> dict[int, _Look]:
        context = self._machine.context(seed.state)
        entry, decoder = self._body.at(context).entry, self._body.decoder(context)
        trace = self._machine.trace(seed.state, self._body.at(context), _LOOK_STEPS)
        read = _read_before(trace, entry, self._own(context).function_ranges, decoder, sites, set(seed.reads))
        return {site: _Look(seed, spans) for site, spans in read.items()}

    def _chosen(self, looks: Sequence[_Look], site: int) -> Iterator[_Look]:
        """Those in which the callee read most; of each also, first, the call on memory that ends with its page: what follows when a callee
        is content may lead out of memory that was made."""
        for look in sorted(looks, key=lambda look: -len(look.spans))[:_SEEDS_A_SITE]:
            ending = self._ending(look.seed.state, page_ceil(look.spans[-1][1]))
            within = (self._looks(self._seed_of(state), {site}).get(site) for state in ending)
            yield from islice((one for one in within if one is not None), 1)
            yield look

    def _deeper_and_deeper(self, look: _Look, site: int) -> Iterator[EntryState]:
        """Every value of the last bytes that are read, then of the next that is read with one of these values, and so on; and calls on
        memory that ends before or behind one of them."""
        for depth in range(_DEPTH):
            spans = look.spans[-1:] if depth else look.spans[-_BYTES_A_SEED:]
            for place in dict.fromkeys(chain.from_iterable(spans)):
                yield from self._ending(look.seed.state, place)
            streams = [_every_value(look.seed, span) for span in spans]
            yield from (state for group in zip(*streams, strict=True) for state in group)
            farther = self._farther(look, site)
            if farther is None:
                return
            look = farther

    def _ending(self, state: EntryState, end: int) -> Iterator[EntryState]:
        """The call with each of its pointers beyond `end` moved there, and with each of its numbers as what another one needs for that."""
        general = state.registers.general
        pointers = [name for name, kind in self._parameters if kind.kind == "pointer"]
        for name, kind in self._parameters:
            if name in pointers and general[name] > end:
                yield changed(state, f"{name} at {end:#x}", {**general, name: end}, {})
            for start in (general[one] for one in pointers if general[one] < end) if kind.kind == "integer" else ():
                yield changed(state, f"{name} to {end - start:#x}", {**general, name: passed(end - start, kind)}, {})

    def _farther(self, look: _Look, site: int) -> _Look | None:
        """With another value of the last byte, so that more is read."""
        for state in islice(_every_value(look.seed, look.spans[-1]), _TRIES):
            found = self._looks(self._seed_of(state), {site}).get(site)
            if found is not None and len(found.spans) > len(look.spans):
                return found
        return None


def _read_before(
    trace: Trace, entry: int, own: Sequence[Span], decoder: Decoder, sites: Container[int], variable: Container[Span]
) -> dict[int, list[Span]]:
    """What can be varied of what the last call before each of the conditions read, by the condition; where it is executed several
    times, the time with most."""
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
            continue
        behind += 1
        site = step.rip - entry
        if site in sites and behind <= _MOST_BEHIND and len(read) > len(found.get(site, ())):
            found[site] = list(read)
    return found


def _every_value(seed: Seed, span: Span) -> Iterator[EntryState]:
    """The seed with each value of the first byte of a span, in any order."""
    start, _ = span
    general = dict(seed.state.registers.general)
    for value in values_of(1, Random(f"{start:#x} {seed.state.name}")):
        yield changed(seed.state, f"{value:#x} at {start:#x}", general, {start: bytes([value])})
