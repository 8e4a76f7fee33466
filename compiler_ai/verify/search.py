"""States worth trying for what branches compare: those that may turn a branch towards blocks that no test has reached, and
those that bring the two sides of a comparison together."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, islice, zip_longest
from operator import itemgetter
from random import Random

from compiler_ai.sandbox.pages import PAGE_BYTES, page_floor
from compiler_ai.sandbox.process import Trace
from compiler_ai.verify.accesses import Decoder
from compiler_ai.verify.answered import answered_instead, granted_answers
from compiler_ai.verify.answered import constants as constants_of
from compiler_ai.verify.branches import (
    Compared,
    Dispatch,
    Extensions,
    IsTurned,
    Span,
    alike_in_low_bits,
    by_any_sides,
    compared,
    dispatches,
    loaded,
    nearest_bytes,
    wishes,
)
from compiler_ai.verify.calls import returned
from compiler_ai.verify.coverage import Blocks
from compiler_ai.verify.elsewhere import elsewhere
from compiler_ai.verify.machine import Body, Machine
from compiler_ai.verify.mutate import Seed, Wish, agreeing, changed, exact, extremes, granted, mutations, other_argument
from compiler_ai.verify.prototype import Prototype
from compiler_ai.verify.state import EntryState
from compiler_ai.verify.testcase import inside

_LOOK_STEPS = 1_500
_EXTENSIONS_A_SEED = 4
_MOST_TURNS = 5
_LACKING_STATES = 3
_NEAR_STEPS = 300
_MOST_NEAR = 16  # states looked at for one condition
_IN_ORDER = 2  # turns; in later ones seeds come in any order, so that wishes are tried on others
_MOST_TRIES = 4  # of one wish, each from another seed
# Beside the differences that `wishes` tells apart; from the last one on, indices of tables.
_HIGH_BIT, _EXTREMES, _OTHER_SIGN, _ALIKE, _INDICES = range(8, 13)
_MOST_SEEDS = 40  # whose runs are looked at
_MOST_STRETCHES = 12  # of those runs, in which one condition's sides are made to agree
_KINDS_OF_BYTES = ((0x20, 0x80), (0x80, 0xC0))  # ASCII, and what follows the first byte of a character in UTF-8
_STRETCHES_BYTES = ((300, 300), (16, 16), (300, 150), (16, 8))  # with where they still differ


def directed_states(
    machine: Machine,
    body: Body,
    seeds: list[Seed],
    prototype: Prototype | None,
    constants: tuple[int, ...],
    blocks: Blocks,
    open_sites: Callable[[], set[int]],
    narrow: bool = False,
    broad: bool = False,
    latest: bool = False,
    turn: int = 0,
    wanted: Callable[[], set[int]] | None = None,
    is_turned: IsTurned = by_any_sides,
) -> Iterator[EntryState]:
    """An endless stream, as long as there are seeds, which may grow meanwhile; `open_sites` gives the conditions to turn, and
    `wanted` the blocks to reach, relative to the entry: what leads to others through a table is tried later. `narrow` changes
    nothing but what was compared, where it was loaded just before, again and again from every seed; `broad` a few times for each
    condition, and jumps through tables last. `latest` takes the latest seeds first: they came farthest. What is drawn differs from
    `turn` to turn. `is_turned(site, first, second, size)`, with the condition relative to the entry, leaves sides out that are of no use.

    `blocks` are the body's in the first context.
    """
    first_entry = body.at(machine.contexts[0]).entry
    looked: set[int] = set()
    tried: Counter[tuple[int, int]] = Counter()
    chance = Random(f"directed {turn}")
    most_tries = len(seeds) + _MOST_SEEDS if narrow and not broad else _MOST_TRIES
    streams: dict[int, Iterator[EntryState]] = {}
    later: deque[tuple[tuple[int, int], Seed, Wish]] = deque()  # what leads to other blocks through a table

    def led_by_table(key: tuple[int, int], seed: Seed, wish: Wish) -> Iterator[EntryState]:
        found = _exact_or_elsewhere(seed, prototype, wish) if tried[key] < most_tries else []
        if not found and tried[key] < most_tries:
            found = _besides([], seed, prototype, wish, 6)  # the index may be an argument
        tried[key] += bool(found)
        yield from found

    while seeds:
        is_moving = False
        while len(looked) < len(seeds):
            fresh = [index for index in range(len(seeds)) if index not in looked]
            index = chance.choice(fresh) if turn > _IN_ORDER else fresh[-1 if latest else 0]
            looked.add(index)
            seed = seeds[index]
            context = machine.context(seed.state)
            loaded = body.at(context)
            shift = loaded.entry - first_entry
            sites = [loaded.entry + offset for offset in open_sites()]
            trace = machine.trace(seed.state, loaded, _LOOK_STEPS)
            what = compared(trace, sites, body.decoder(context), seed.memory)
            seen = {at: one.differences for at, one in what.items()}
            gave = [] if seed.state.answers is not None else returned(trace, inside(loaded), machine.callees)
            for (at, change), wish in wishes(
                trace, what, body.decoder(context), seed.memory, seen, is_turned=_from_entry(is_turned, loaded.entry)
            ):
                tried[at - shift, change] += 1
                if tried[at - shift, change] > most_tries:
                    continue
                yield from granted_answers(seed.state, wish, trace.outcome.events)
                yield from answered_instead(seed.state, wish, gave)
                found = _exact_or_elsewhere(seed, prototype, wish)
                if not (narrow and found):
                    found += _besides(found, seed, prototype, wish, 2 if narrow or found else 6)
                yield from found
            for site, at in nearest_bytes(trace, what, body.decoder(context)) if not broad else ():
                key = site - shift, _ALIKE
                found = list(_alike(machine, seed, at, turn)) if tried[key] < most_tries else []
                tried[key] += bool(found)
                yield from found
            jumps = [at + shift for at in blocks.indirect]
            own = constants_of(loaded, context.image.pages)
            for jump in reversed(dispatches(trace, jumps, body.decoder(context), seed.memory, own)):
                leading = _leading(jump, loaded.entry, wanted) if not broad else ()
                for number, wish in enumerate(jump.wishes()):
                    key = jump.site - shift, _INDICES + wish.wanted
                    if number in leading:
                        yield from led_by_table(key, seed, wish)
                    else:
                        later.append((key, seed, wish))
        while later and len(looked) == len(seeds):
            yield from led_by_table(*later.popleft())
        for index, seed in enumerate(list(seeds)):
            if index not in streams:
                streams[index] = mutations(seed, prototype, constants, f"directed {turn} {seed.state.name}")
            state = next(streams[index], None)
            if state is not None:
                is_moving = True
                yield state
        if len(looked) == len(seeds) and not (is_moving or later):
            return


def _from_entry(is_turned: IsTurned, entry: int) -> IsTurned:
    return lambda site, first, second, size_bytes: is_turned(site - entry, first, second, size_bytes)


def _besides(
    found: Sequence[EntryState], seed: Seed, prototype: Prototype | None, wish: Wish, most: int
) -> list[EntryState]:
    """At most so many of the granted states that are not among those found already."""
    names = {state.name for state in found}
    others = (state for _, state in granted(seed, prototype, wish, most + len(found)) if state.name not in names)
    return list(islice(others, most))


def _exact_or_elsewhere(seed: Seed, prototype: Prototype | None, wish: Wish) -> list[EntryState]:
    return list(exact(seed, wish)) or list(elsewhere(seed, prototype, wish))


def _leading(jump: Dispatch, entry: int, wanted: Callable[[], set[int]] | None) -> Container[int]:
    """The indices that lead to the blocks `wanted` (relative to the entry): all when that is not known."""
    if wanted is None or not jump.targets:
        return range(jump.last_index + 1)
    blocks = wanted()
    return {index for index, target in enumerate(jump.targets) if target - entry in blocks}


def leading_to(blocks: Blocks, entry: int, uncovered: set[int]) -> set[int]:
    """The conditional jumps with a side among the blocks `uncovered`; these and the result relative to the entry."""
    wanted = {entry + offset for offset in uncovered}
    return {at - entry for at, sides in blocks.branches.items() if wanted & set(sides)}


def boundary_states(
    machine: Machine,
    body: Body,
    seeds: Sequence[Seed],
    prototype: Prototype | None,
    blocks: Blocks,
    lacks: Callable[[int, int], bool] | None = None,
    most_seeds: int = _MOST_SEEDS,
) -> Iterator[EntryState]:
    """States that may bring what branches compare to equality or next to it, where a comparison with the wrong condition shows, and
    states in which what is widened has the other sign.

    `blocks` are the body's in the first context; `lacks` says whether a condition (relative to the entry) still lacks a test on
    which it compares equal (0) or what differs in sign (`SIGNS`).
    """
    first_entry = body.at(machine.contexts[0]).entry
    extensions = Extensions(body.decoder(machine.contexts[0]))
    sites, looks = _looks(machine, body, seeds, blocks, most_seeds)
    turns = {at: _turns(looks, at) for at in sites}
    found: dict[tuple[int, int], list[tuple[int, int, EntryState]]] = {}
    near: dict[int, list[tuple[int, EntryState, Seed]]] = {at: [] for at in sites}
    for number, look in enumerate(looks):
        seed, trace, decoder = look.seed, look.trace, look.decoder
        mine = {at: one for at, one in look.what.items() if number in turns[at]}
        for key, wish in wishes(trace, mine, decoder, seed.memory, {}):
            answers = ((0, state) for state in granted_answers(seed.state, wish, trace.outcome.events))
            states = [*answers, *granted(seed, prototype, wish, most=4)]
            found.setdefault(key, []).extend((likeness, n, state) for n, (likeness, state) in enumerate(states))
            near[key[0]].extend((len(trace), state, seed) for _, state in states if state.answers is None)
        for address, wish in alike_in_low_bits(trace, mine, decoder, seed.memory):
            found.setdefault((address, _HIGH_BIT), []).extend(
                (likeness, n, state) for n, (likeness, state) in enumerate(granted(seed, prototype, wish, most=4))
            )
        for address, wish in islice(extensions.wishes(trace, seed.memory), _EXTENSIONS_A_SEED):
            states = [*((0, state) for state in exact(seed, wish)), *granted(seed, prototype, wish, most=2)]
            found.setdefault((address, _OTHER_SIGN), []).extend(
                (likeness, n, state) for n, (likeness, state) in enumerate(states)
            )
        jumps = dispatches(trace, blocks.indirect, decoder, seed.memory)
        for wish in chain.from_iterable(jump.wishes() for jump in jumps):
            found.setdefault((0, 1 + wish.wanted), []).extend((0, 0, state) for state in exact(seed, wish))
    groups = {key: (s for _, _, s in sorted(group, key=itemgetter(1, 0))) for key, group in found.items()}
    extreme = {(at, _EXTREMES): _extreme_states(machine, body, at, near[at], prototype) for at in sites}

    def is_lacking(key: tuple[int, int]) -> bool:
        at, what = key
        return what == _EXTREMES or (at in turns and lacks is not None and lacks(at - first_entry, what))

    yield from _in_turn({**groups, **extreme}, is_lacking)


def _looks(
    machine: Machine, body: Body, seeds: Sequence[Seed], blocks: Blocks, most_seeds: int
) -> tuple[list[int], list[_Look]]:
    """The addresses of the conditions, and runs from at most so many of the seeds in which they are looked at."""
    first_entry = body.at(machine.contexts[0]).entry
    sites = [*blocks.branches, *sorted(blocks.selects)]
    # The latest were kept for reaching what is hardest to reach; on buffers of its own, all that a seed reads can vary; and the
    # program's own calls get farthest.
    usable = [seed for seed in reversed(seeds) if body.at(machine.context(seed.state)).entry == first_entry]
    own = [seed for seed in usable if seed.state.extra], [seed for seed in usable if not seed.state.extra]
    order = [seed for pair in zip_longest(*own) for seed in pair if seed is not None]
    looks = [_looked_at(machine, body, seed, sites, _LOOK_STEPS) for seed in order[:most_seeds]]
    return sites, looks


def stretch_states(
    machine: Machine,
    body: Body,
    seeds: Sequence[Seed],
    prototype: Prototype | None,
    constants: Sequence[int],
    blocks: Blocks,
) -> Iterator[EntryState]:
    """States in which what a condition compares goes on to agree, or differs in one byte only, as they are and with one of the
    arguments changed.

    `blocks` are the body's in the first context.
    """
    sites, looks = _looks(machine, body, seeds, blocks, _MOST_SEEDS)
    turns = {at: _turns(looks, at, _MOST_STRETCHES) for at in sites}
    found: list[list[EntryState | None]] = []
    for number, look in enumerate(looks):
        mine = {at: one for at, one in look.what.items() if number in turns[at]}
        for _, span, like in loaded(look.trace, mine, look.decoder, look.seed.memory):
            plain = list(_stretches(machine, look.seed, span, like))
            chance = Random(f"stretch {len(found)}")
            moved = [
                other_argument(state, prototype, constants, chance, partial(machine.memory, state)) for state in plain
            ]
            found.append([state for pair in zip(plain, moved, strict=True) for state in pair])
    for states in zip_longest(*found):
        yield from (state for state in states if state is not None)


def _stretches(machine: Machine, seed: Seed, span: Span, like: Span | int) -> Iterator[EntryState]:
    """The seed with what lies at a span, and behind it, the same as at the other one, or this value again and again, as far as there
    is room, or the same but for one byte: a loop that goes on as long as they agree comes to its other ends."""
    start, width = span[0], span[1] - span[0]
    room = _room(machine, seed.state, start)
    for most, hole in _STRETCHES_BYTES if room else ():
        size = min(most, room)
        if isinstance(like, int):
            value = (like & (1 << 8 * width) - 1).to_bytes(width, "little")
            data = bytearray((value * (size // width + 1))[:size])
        else:
            data = bytearray(agreeing(like[0], start, size, seed.memory))
        if hole < size:
            data[hole] ^= 1
        what = f"{like:#x}" if isinstance(like, int) else f"at {like[0]:#x}"
        how = f"{size} bytes at {start:#x} as {what}" + (f" but the one at {hole}" if hole < size else "")
        yield changed(seed.state, how, dict(seed.state.registers.general), {start: bytes(data)})


def _alike(machine: Machine, seed: Seed, address: int, turn: int) -> Iterator[EntryState]:
    """The seed with the bytes from `address` on, or up to it, all of one kind: what a callee makes of several bytes together shows in
    none of them alone."""
    chance = Random(f"alike {turn} {address:#x} {seed.state.name}")
    for first, last in ((0, 0), (-1, 0), (-2, 0), (0, 1), (0, 2)):
        start, size = address + first, last - first + 1
        if _room(machine, seed.state, start) >= size:
            for low, high in _KINDS_OF_BYTES:
                data = bytes(chance.randrange(low, high) for _ in range(size))
                how = f"{size} bytes at {start:#x} alike"
                yield changed(seed.state, how, dict(seed.state.registers.general), {start: data})


def _room(machine: Machine, state: EntryState, address: int) -> int:
    """How many of the bytes from `address` on, up to the longest stretch, a caller may have filled."""
    context = machine.context(state)
    most = max(size for size, _ in _STRETCHES_BYTES)
    for page in range(page_floor(address), address + most, PAGE_BYTES):
        is_captured = page in context.initial and page in context.writable  # not what only answered calls have
        if not is_captured and all(pages.find(page) is None for pages in state.extra):
            return max(0, page - address)
    return most


def _extreme_states(
    machine: Machine,
    body: Body,
    at: int,
    near: Sequence[tuple[int, EntryState, Seed]],
    prototype: Prototype | None,
) -> Iterator[EntryState]:
    """For each way in which the condition at `at` compares what is equal or next to it, the shortest run with all else at its
    extremes. `near` are states that may compare so, each with the steps of the run that it was made of, and that seed."""
    wanted, made = {0, 1, -1}, []
    for _, state, seed in sorted(near, key=itemgetter(0))[:_MOST_NEAR]:
        changed = replace(seed, state=state, memory=partial(machine.memory, state))
        look = _looked_at(machine, body, changed, [at], _NEAR_STEPS)
        found = wanted & look.what[at].differences if at in look.what else set()
        if found:
            wanted -= found
            made.append(extremes(changed, prototype))
        if not wanted:
            break
    for states in zip_longest(*made):
        yield from (state for state in states if state is not None)


@dataclass(frozen=True)
class _Look:
    """A seed's run, and what the conditions compared in it by address."""

    seed: Seed
    trace: Trace
    decoder: Decoder
    what: Mapping[int, Compared]


def _looked_at(machine: Machine, body: Body, seed: Seed, sites: Sequence[int], most_steps: int) -> _Look:
    context = machine.context(seed.state)
    trace = machine.trace(seed.state, body.at(context), most_steps)
    decoder = body.decoder(context)
    return _Look(seed, trace, decoder, compared(trace, sites, decoder, seed.memory))


def _turns(looks: Sequence[_Look], at: int, most: int = _MOST_TURNS) -> set[int]:
    """The numbers of the runs, at most `most`, in which the condition at `at` is worth turning: the one that comes there most often,
    after which there is most that can change, and a few others that differ most in how other comparisons come out."""
    left = {number: _outcomes(look) for number, look in enumerate(looks) if at in look.what}
    found: list[int] = []
    known: set[tuple[int, int]] = set()
    while left and len(found) < most:
        number = max(left, key=lambda n: (len(left[n] - known), -n) if found else (looks[n].what[at].times, -n))
        known |= left.pop(number)
        found.append(number)
    return set(found)


def _outcomes(look: _Look) -> set[tuple[int, int]]:
    return {(site, difference) for site, one in look.what.items() for difference in one.differences}


def _in_turn(
    groups: Mapping[tuple[int, int], Iterator[EntryState]], is_lacking: Callable[[tuple[int, int]], bool]
) -> Iterator[EntryState]:
    """One state of each group after the other, and some of those that are for what no test has shown yet."""
    left = dict(groups)
    while left:
        for key, states in list(left.items()):
            for number in range(_LACKING_STATES):
                if number == 0 or is_lacking(key):
                    state = next(states, None)
                    if state is None:
                        left.pop(key, None)
                        break
                    yield state
