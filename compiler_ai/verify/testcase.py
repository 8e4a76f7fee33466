"""A test: an entry state with what the baseline did from it, plain and traced."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from compiler_ai.sandbox.events import MAX_NOTED, CallEvent
from compiler_ai.sandbox.footprint import Footprint
from compiler_ai.sandbox.loader import LoadedObject
from compiler_ai.sandbox.process import Outcome, OutcomeKind, Trace
from compiler_ai.verify.accesses import Accesses
from compiler_ai.verify.calls import Callees, made_calls
from compiler_ai.verify.equivalence import describe_end
from compiler_ai.verify.machine import Body, Machine
from compiler_ai.verify.state import EntryState


@dataclass(frozen=True)
class Traced:
    """What a single-stepped run did. `calls` are those that were made, not those answered. `complete` is False for one that was cut off; `executed` are addresses relative to the
    body's entry."""

    trace: Trace
    accesses: Accesses
    calls: Sequence[CallEvent]
    executed: frozenset[int]
    complete: bool

    @property
    def steps(self) -> int:
        return len(self.trace)


@dataclass(frozen=True)
class Logged:
    """What a run of an instrumented body did: its outcome and footprint, the blocks it entered, relative to the body's
    entry, and whether one of them `calls` something. `lacking` says what of it is not known, "" when nothing is."""

    outcome: Outcome
    footprint: Footprint | None
    entered: frozenset[int]
    calls: bool
    lacking: str


@dataclass(eq=False)
class Test:
    """`fills` are the state with different contents of all that no callee may rely on, each with the baseline's outcome;
    `limit_ns` is what a candidate may take; `traced` the baseline's trace once one was made, `longer_than` so many steps, when one was cut off there,
    `logged` what an instrumented baseline did; `first_calls` its runs up to the first call of an address; `is_undefined` whether the source itself breaks there, once asked;
    `kinds` what the baseline's conditions decided on, as far as that was looked at, and `is_novel` that one did as in no test before;
    `is_variation`: another test differs from it in its data only; `comes_to`: blocks, relative to the baseline's entry, as far as they were
    watched."""

    state: EntryState
    fills: list[tuple[EntryState, Outcome]]
    limit_ns: int
    traced: Traced | None = None
    longer_than: int = 0
    logged: Logged | None = None
    first_calls: dict[int, Outcome] = field(default_factory=dict)
    is_undefined: bool | None = None
    kinds: frozenset[tuple[int, object]] = frozenset()
    is_novel: bool = False
    is_variation: bool = False
    comes_to: frozenset[int] = frozenset()


def trace_body(machine: Machine, state: EntryState, body: Body, callees: Callees, max_steps: int) -> Traced:
    """Single-steps `body` from `state`."""
    context = machine.context(state)
    loaded = body.at(context)
    trace = machine.trace(state, loaded, max_steps)
    decoder = body.decoder(context)
    return Traced(
        trace,
        decoder.accesses(trace),
        made_calls(trace, callees) if state.answers is None else (),
        frozenset(address - loaded.entry for address in set(memoryview(trace.data).cast("Q")[::18])),
        trace.outcome.kind in (OutcomeKind.RETURNED, OutcomeKind.LEFT) and _are_noted(trace.outcome.events),
    )


def _are_noted(events: Sequence[CallEvent]) -> bool:
    """Whether there was room for all calls."""
    return len(events) < MAX_NOTED and all(event.frame for event in events)


def log_body(machine: Machine, state: EntryState, body: Body, callees: Callees, max_entries: int) -> Logged:
    """Runs an instrumented copy of `body` from `state`. Raises SandboxError when it cannot be instrumented."""
    context = machine.context(state)
    copy = body.instrumented(context, callees.specified())
    outcome, footprint = machine.log(state, copy, max_entries)
    lacking = ""
    if footprint is None or outcome.kind is not OutcomeKind.RETURNED:
        lacking = describe_end(outcome)
    elif footprint.left_for:
        lacking = f"it calls {callees.names.get(footprint.left_for, hex(footprint.left_for))}"
    entry = body.at(context).entry
    entered = frozenset(copy.blocks[number] - entry for number in footprint.marked) if footprint else frozenset()
    calls = footprint is not None and bool(footprint.marked & copy.calling)
    return Logged(outcome, footprint, entered, calls, lacking)


def inside(loaded: LoadedObject) -> list[tuple[int, int]]:
    """The address ranges that a loaded object occupies."""
    return [(region.address, region.end) for region in loaded.pages.regions]
