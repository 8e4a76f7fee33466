"""Short captured calls on one image, so that they can be timed in turn, as a program makes them.

The same short call over and over is known by heart to a processor's branch predictors: a body full of branches comes out
faster than it ever is in the program.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from compiler_ai.sandbox.errors import SandboxError
from compiler_ai.sandbox.image import CaptureImage
from compiler_ai.sandbox.loader import SPAN_BYTES, LoadedObject, load
from compiler_ai.sandbox.pages import PAGE_BYTES, PageSet, Prot, coalesce, page_floor, without
from compiler_ai.sandbox.process import OutcomeKind, Sandbox, TimedState
from compiler_ai.sandbox.state import MXCSR_DEFAULT, X87_CONTROL_DEFAULT, mxcsr, x87
from compiler_ai.sandbox.timing import REPEAT_RESTORE_BYTES, can_repeat
from compiler_ai.verify.accesses import RED_ZONE_BYTES, Accesses, Decoder
from compiler_ai.verify.code import reader
from compiler_ai.verify.equivalence import DEAD_REACH_BYTES, MXCSR_CONTROL
from compiler_ai.verify.settings import Settings

LEAST_CALLS = 4
MOST_LONG = 3  # as long as there are not more short ones
MOST_STEPS = 3000  # in a longer call, what precedes it matters less

Span = tuple[int, int]


@dataclass(frozen=True)
class Turns:
    """Calls that share an image; `states` are their entry states, each with what another call leaves otherwise than it needs it, and `short`
    the calls as they were captured. `long` are calls to be timed by themselves."""

    image: CaptureImage
    states: tuple[TimedState, ...]
    short: tuple[CaptureImage, ...]
    long: tuple[CaptureImage, ...] = ()


@dataclass(frozen=True)
class _Call:
    """A captured call and the half-open ranges of bytes that it reads as its caller left them, and those that it writes."""

    image: CaptureImage
    needed: frozenset[Span]
    written: frozenset[Span]
    frame: Span  # of any body that may come to be timed, with the return address
    pages: Mapping[int, tuple[Prot, bytes]]  # all that it has of its own, none of a file

    def data(self, start: int, end: int) -> bytes:
        parts = []
        while start < end:
            page = page_floor(start)
            stop = min(end, page + PAGE_BYTES)
            parts.append(self.pages[page][1][start - page : stop - page])
            start = stop
        return b"".join(parts)


def in_turn(sandbox: Sandbox, baseline_object: bytes, function: str, images: Iterable[CaptureImage]) -> Turns | None:
    """The calls of one process among these that can be timed in turn. None where most are long, where what they access cannot be told, or
    where too few are left without those that find much otherwise than the others."""
    calls: list[_Call] = []
    long: list[CaptureImage] = []
    for image in images:
        if calls and _process(image) != _process(calls[0].image):
            continue
        try:
            body = load(baseline_object, function, image.bases[0], image.resolver, trap_unresolved=True)
            call = _call(sandbox, body, image)
        except SandboxError:
            continue
        if call is not None:
            calls.append(call)
        else:
            long.append(image)
        if len(long) > max(MOST_LONG, len(calls)):
            return None
    while len(calls) >= LEAST_CALLS:
        values, contested = _needs(calls)
        restores = [_restore(call, contested) for call in calls]
        sizes_bytes = [sum(len(data) for _, data in restore) for restore in restores]
        if max(sizes_bytes) > REPEAT_RESTORE_BYTES:
            del calls[sizes_bytes.index(max(sizes_bytes))]
            continue
        pages = _merged(calls, values)
        if any(_lies_in(pages, base) for base in calls[0].image.bases):
            return None
        states = (TimedState(call.image.registers, restore) for call, restore in zip(calls, restores, strict=True))
        short = tuple(call.image for call in calls)
        return Turns(replace(calls[0].image, pages=pages), tuple(states), short, tuple(long))
    return None


def _process(image: CaptureImage) -> tuple[object, ...]:
    """Images in which this is the same lie in the same address space, and compute alike."""
    registers = image.registers
    return image.resolver.load_bias, registers.fs_base, registers.gs_base, image.library, _control(registers.xstate)


def _control(xstate: bytes) -> tuple[int, int]:
    """How floating-point instructions round and what they flush: MXCSR without its flags, and the x87 control word."""
    return (mxcsr(xstate) & MXCSR_CONTROL, x87(xstate).control) if xstate else (MXCSR_DEFAULT, X87_CONTROL_DEFAULT)


def _call(sandbox: Sandbox, body: LoadedObject, image: CaptureImage) -> _Call | None:
    """None for a call that is too long or whose accesses cannot be told. Raises SandboxError, also for one that does not come back."""
    sets = [image.pages, body.pages]
    registers = replace(image.registers, rip=body.entry)
    trace = sandbox.trace(sets, registers, image.return_address, max_steps=MOST_STEPS)
    if trace.outcome.kind is OutcomeKind.MAX_STEPS:
        return None
    if trace.outcome.kind is not OutcomeKind.RETURNED:
        raise SandboxError(f"a captured call does not come back: {trace.outcome.kind.value}")
    if not can_repeat(sandbox.layout, registers, [trace.outcome]):
        return None
    accesses = Decoder(reader(sets), registers.fs_base, registers.gs_base).accesses(trace)
    if accesses.uncertain:
        return None
    pages = dict(_own_pages(image.pages))
    needed = frozenset(span for span in _from_outside(accesses, registers["rsp"]) if _is_in(span, pages))
    frame = accesses.lowest_stack - Settings.stack_allowance_bytes - RED_ZONE_BYTES, registers["rsp"] + 8
    return _Call(image, needed, frozenset(accesses.writes), frame, pages)


def _from_outside(accesses: Accesses, stack_pointer: int) -> Iterator[Span]:
    """What is read outside of the body's own frame; the return address is each timed call's own."""
    for start, end in accesses.reads:
        in_frame = stack_pointer - DEAD_REACH_BYTES <= start and end <= stack_pointer + 8
        if not in_frame:
            yield start, end


def _is_in(span: Span, pages: Mapping[int, object]) -> bool:
    return page_floor(span[0]) in pages and page_floor(span[1] - 1) in pages


def _own_pages(pages: PageSet) -> Iterator[tuple[int, tuple[Prot, bytes]]]:
    for region in pages.regions:
        for at in range(0, len(region.data), PAGE_BYTES):
            yield region.address + at, (region.prot, region.data[at : at + PAGE_BYTES])


def _needs(calls: Sequence[_Call]) -> tuple[dict[int, int], set[int]]:
    """The value of each byte that any call needs, the first one's, and the addresses at which another call needs or leaves another."""
    values: dict[int, int] = {}
    contested: set[int] = set()
    for call in calls:
        for start, end in call.needed:
            for address, value in enumerate(call.data(start, end), start):
                if values.setdefault(address, value) != value:
                    contested.add(address)
    for call in calls:
        for start, end in call.written:
            contested.update(address for address in range(start, end) if address in values)
        lowest, end = call.frame
        contested.update(address for address in values if lowest <= address < end)
    return values, contested


def _restore(call: _Call, contested: set[int]) -> tuple[tuple[int, bytes], ...]:
    """(address, bytes) of all that the call reads at once with a contested byte: loads of what was stored in parts are slow."""
    joined: list[list[int]] = []
    for start, end in sorted(call.needed):
        if contested.isdisjoint(range(start, end)):
            continue
        if joined and start <= joined[-1][1]:
            joined[-1][1] = max(joined[-1][1], end)
        else:
            joined.append([start, end])
    return tuple((start, call.data(start, end)) for start, end in joined)


def _merged(calls: Sequence[_Call], values: Mapping[int, int]) -> PageSet:
    """All calls' pages, every byte that a call needs as it needs it, unless it is contested."""
    protections: dict[int, Prot] = {}
    contents: dict[int, bytearray] = {}
    for call in calls:
        for address, (prot, data) in call.pages.items():
            protections[address] = protections.get(address, Prot.NONE) | prot
            contents.setdefault(address, bytearray(data))
    for address, value in values.items():
        page = page_floor(address)
        contents[page][address - page] = value
    own = coalesce((address, protections[address], bytes(data)) for address, data in contents.items())
    files = [part for region in calls[0].image.pages.regions if region.path for part in without(region, contents)]
    return PageSet(tuple(sorted([*own, *files], key=lambda region: region.address)))


def _lies_in(pages: PageSet, base: int) -> bool:
    return any(region.address < base + SPAN_BYTES and base < region.end for region in pages.regions)
