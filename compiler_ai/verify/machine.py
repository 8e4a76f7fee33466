"""Runs and traces bodies of one function on entry states, each in its capture's image."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from compiler_ai.capture.format import Capture
from compiler_ai.sandbox.events import MAX_FRAME_BYTES, STACKED_BYTES, Answers, CallEvent
from compiler_ai.sandbox.footprint import Callee, Footprint
from compiler_ai.sandbox.image import CaptureImage
from compiler_ai.sandbox.loader import LoadedObject, load
from compiler_ai.sandbox.object import RelocatableObject, read_object
from compiler_ai.sandbox.pages import PAGE_BYTES, PageSet, Prot, page_floor
from compiler_ai.sandbox.process import Outcome, Sandbox, Trace
from compiler_ai.sandbox.state import mxcsr, x87
from compiler_ai.verify.accesses import Decoder
from compiler_ai.verify.answering import described
from compiler_ai.verify.calls import Callees
from compiler_ai.verify.closed import ClosedWorld, close
from compiler_ai.verify.code import reader, section_bases, table_targets
from compiler_ai.verify.instrument import Instrumented, instrument
from compiler_ai.verify.passing import GENERAL_ARGUMENTS, VECTOR_ARGUMENTS
from compiler_ai.verify.state import EntryState
from compiler_ai.verify.unwinding import UnwindTable

_LOG_LIMIT_NS = 60_000_000_000
_TRACE_LIMIT_NS, _STEP_LIMIT_NS = 5_000_000_000, 200_000  # for what is called, and ten times what a single step takes
_TRACES, _TRACES_BYTES = 128, 64 << 20


@dataclass(eq=False)
class Context:
    """One capture with its image and the baseline as loaded there; `foreign` are constants (half-open) that other units may define
    otherwise than this program's do."""

    capture: Capture
    image: CaptureImage
    baseline: LoadedObject
    initial: dict[int, bytes] = field(default_factory=dict)
    writable: set[int] = field(default_factory=set)
    foreign: tuple[tuple[int, int], ...] = ()
    closed: ClosedWorld | None = None  # once calls were answered here


class Body:
    """One object's function, loaded into each context on first use. Raises SandboxError when it cannot be."""

    def __init__(self, object_bytes: bytes, function: str) -> None:
        self.object_bytes = object_bytes
        self.function = function
        self.unit: RelocatableObject = read_object(object_bytes)
        self._loaded: dict[int, LoadedObject] = {}
        self._places: dict[int, int] = {}
        self._first_there: dict[Hashable, int] = {}
        self._decoders: dict[int, Decoder] = {}
        self._instrumented: dict[tuple[int, bool], Instrumented] = {}
        self.frames: dict[int, UnwindTable | None] = {}  # by place, filled by who knows which code is the body's own

    def adopt(self, context: Context) -> None:
        """This is the baseline: what the context loaded is it."""
        self._loaded[id(context)] = context.baseline

    def at(self, context: Context) -> LoadedObject:
        key = id(context)
        if key not in self._loaded:
            image = context.image
            like = context.baseline
            self._loaded[key] = load(self.object_bytes, self.function, image.bases[0], image.resolver, like=like)
        return self._loaded[key]

    def place(self, context: Context) -> int:
        """A number that contexts share where all code, this body's and the image's, is the same at the same addresses, as mostly
        in captures of one run: what is known of the code in one of them holds in all."""
        if id(context) not in self._places:
            image = context.image
            code = (*self.at(context).pages.regions, *(one for one in image.pages.regions if one.prot & Prot.EXEC))
            key = self.at(context).entry, code, image.registers.fs_base, image.registers.gs_base
            self._places[id(context)] = self._first_there.setdefault(key, len(self._first_there))
        return self._places[id(context)]

    def decoder(self, context: Context) -> Decoder:
        """Knows the code of the image and of this body; kept, since decoding costs more than using it."""
        key = self.place(context)
        if key not in self._decoders:
            registers = context.image.registers
            pages = [self.at(context).pages, context.image.pages]
            self._decoders[key] = Decoder(reader(pages), registers.fs_base, registers.gs_base)
        return self._decoders[key]

    def instrumented(self, context: Context, callees: Mapping[int, Callee], conditions: bool = False) -> Instrumented:
        """The copy of this body that logs what it accesses, or instead what its conditions decide on. Raises SandboxError when
        none can be made."""
        key = (self.place(context), conditions)
        if key not in self._instrumented:
            loaded = self.at(context)
            starts = sorted(table_targets(self.unit, section_bases(self.unit, loaded)))
            decoder = self.decoder(context)
            self._instrumented[key] = instrument(loaded, starts, decoder.code, decoder, callees, conditions)
        return self._instrumented[key]


class Machine:
    """The sandbox with the contexts of one function."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.contexts: list[Context] = []
        self.callees = Callees({}, {})
        self._traces: OrderedDict[tuple[int, int, int], tuple[EntryState, LoadedObject, Trace]] = OrderedDict()

    def context(self, state: EntryState) -> Context:
        return next(context for context in self.contexts if context.image is state.image)

    def run(
        self,
        state: EntryState,
        body: LoadedObject,
        limit_ns: int,
        marks: Sequence[int] = (),
        patches: Sequence[tuple[int, bytes]] = (),
    ) -> Outcome:
        """A run to the end. `marks` are addresses whose execution is noted; `patches` come on top of the state's."""
        return self.sandbox.run(
            self._pages(state, body),
            replace(state.registers, rip=body.entry),
            state.image.return_address,
            patches=[*state.patches.items(), *patches],
            breakpoints=marks,
            cpu_limit_ns=limit_ns,
            inside=span(body),
            answers=self._answers(state),
        )

    def trace(self, state: EntryState, body: LoadedObject, max_steps: int) -> Trace:
        """A run instruction by instruction, in which callees outside of the unit leave nothing in scratch registers.

        The latest ones are kept: a seed is traced for what it reads, for its comparisons and as a test."""
        key = id(state), id(body), max_steps
        if key not in self._traces:
            self._traces[key] = state, body, self._trace(state, body, max_steps)
            while (
                len(self._traces) > _TRACES
                or sum(len(kept.data) for _, _, kept in self._traces.values()) > _TRACES_BYTES
            ):
                self._traces.popitem(last=False)
        self._traces.move_to_end(key)
        return self._traces[key][2]

    def _trace(self, state: EntryState, body: LoadedObject, max_steps: int) -> Trace:
        return self.sandbox.trace(
            self._pages(state, body),
            replace(state.registers, rip=body.entry),
            state.image.return_address,
            patches=list(state.patches.items()),
            max_steps=max_steps,
            cpu_limit_ns=_TRACE_LIMIT_NS + max_steps * _STEP_LIMIT_NS,
            inside=span(body),
            answers=self._answers(state),
        )

    def log(
        self, state: EntryState, copy: Instrumented, max_entries: int, limit_ns: int = _LOG_LIMIT_NS
    ) -> tuple[Outcome, Footprint | None]:
        """A run of an instrumented body; what it calls is not instrumented, and only `limit_ns` ends that."""
        return self.sandbox.log(
            [state.image.pages, copy.pages, *state.extra],
            replace(state.registers, rip=copy.entry),
            state.image.return_address,
            copy.plan,
            patches=list(state.patches.items()),
            max_entries=max_entries,
            cpu_limit_ns=limit_ns,
        )

    def page(self, state: EntryState, address: int) -> bytes:
        """The page at `address` as a run from `state` finds it; zeros for what is not mapped."""
        data = self._plain_page(state, address)
        for start, patch in state.patches.items():
            if start < address + PAGE_BYTES and start + len(patch) > address:
                low, high = max(start, address), min(start + len(patch), address + PAGE_BYTES)
                data = data[: low - address] + patch[low - start : high - start] + data[high - address :]
        return data

    def memory(self, state: EntryState, address: int, size_bytes: int) -> bytes:
        """Bytes at `address` as a run from `state` finds them."""
        page = page_floor(address)
        data = b"".join(
            self.page(state, at) for at in range(page, page_floor(address + size_bytes - 1) + 1, PAGE_BYTES)
        )
        return data[address - page : address - page + size_bytes]

    def call_at(self, state: EntryState, end: Outcome) -> CallEvent:
        """The call at whose callee's first instruction a run from `state` ended."""
        registers, layout = end.registers, self.sandbox.layout
        stack = registers["rsp"]
        size = max(STACKED_BYTES, min(state.registers["rsp"] - stack, MAX_FRAME_BYTES))
        first = page_floor(stack)
        pages = range(first, page_floor(stack + size - 1) + 1, PAGE_BYTES)
        data = b"".join(end.changed[at] if at in end.changed else self.page(state, at) for at in pages)
        return CallEvent(
            end.rip, 0, stack, registers.rflags, registers["rax"],
            tuple(registers[name] for name in GENERAL_ARGUMENTS),
            tuple(layout.vector(registers.xstate, number)[:16] for number in range(len(VECTOR_ARGUMENTS))),
            None, 0, 0, mxcsr(registers.xstate), x87(registers.xstate).tags, data[stack - first : stack - first + size],
        )  # fmt: skip

    def filled_pages(self, state: EntryState) -> set[int]:
        """The pages of memory that a caller may have filled."""
        return self.context(state).writable | {
            page
            for pages in state.extra
            for region in pages.regions
            for page in range(page_floor(region.address), region.end, PAGE_BYTES)
        }

    def stack_room_bytes(self, state: EntryState) -> int:
        """How much memory lies below the stack pointer."""
        stack = state.registers["rsp"]
        region = state.image.pages.find(stack - 1)
        while region is not None and (below := state.image.pages.find(region.address - 1)) is not None:
            region = below
        return stack - region.address if region is not None else 0

    def _plain_page(self, state: EntryState, address: int) -> bytes:
        context = self.context(state)
        if address in context.initial:
            return context.initial[address]
        sets = [state.image.pages, *state.extra]
        if context.closed is not None and state.answers is not None:
            sets.append(context.closed.variables)
        for pages in sets:
            region = pages.find(address)
            if region is not None and not region.path:
                return region.data[address - region.address : address - region.address + PAGE_BYTES]
        return bytes(PAGE_BYTES)

    def _pages(self, state: EntryState, body: LoadedObject) -> list[PageSet]:
        if state.answers is not None:
            closed = self.closed(self.context(state))
            own = [pages for pages in state.extra if pages is not closed.variables]
            return [closed.pages, closed.variables, body.pages, *own, closed.arena]
        return [state.image.pages, body.pages, *state.extra]

    def _answers(self, state: EntryState) -> Answers | None:
        return None if state.answers is None else self.closed(self.context(state)).answers(state.answers)

    def closed(self, context: Context) -> ClosedWorld:
        """The context's image for runs with answered calls."""
        if context.closed is None:
            transparent = [at for at in self.callees.names if self.callees.is_transparent(at)]
            context.closed = close(context.capture, context.image, transparent, described(self.callees))
            variables = context.closed.variables.regions
            context.writable |= {at for region in variables for at in range(region.address, region.end, PAGE_BYTES)}
        return context.closed


def span(body: LoadedObject) -> tuple[int, int]:
    """The half-open address range that a loaded object occupies."""
    regions = body.pages.regions
    return min(region.address for region in regions), max(region.end for region in regions)
