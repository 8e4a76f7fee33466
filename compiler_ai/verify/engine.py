"""The verifier of one function: replayed captures, mutated captures and generated inputs, traces, block coverage.

Built once per function (`Verifier`), asked once per candidate (`check`). Cheap checks come first; the first difference ends
a check with its counterexample. What no test reached is never called tested.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from compiler_ai.artifacts import Counterexample, Evidence, Grade
from compiler_ai.capture.errors import CaptureError
from compiler_ai.capture.format import Capture
from compiler_ai.capture.format import load as load_capture
from compiler_ai.sandbox.errors import SandboxError
from compiler_ai.sandbox.image import CaptureImage, build_image
from compiler_ai.sandbox.loader import LoadedObject, load
from compiler_ai.sandbox.pages import PAGE_BYTES, PageSet, page_floor
from compiler_ai.sandbox.process import Outcome, OutcomeKind, Sandbox, cpu_limit_ns
from compiler_ai.sandbox.state import Registers
from compiler_ai.verify import inputs
from compiler_ai.verify.accesses import Accesses, Decoder
from compiler_ai.verify.coverage import UnknownTargetError, block_starts, reader
from compiler_ai.verify.equivalence import breaks_abi, describe_end, difference, is_dead
from compiler_ai.verify.prototype import Prototype
from compiler_ai.verify.state import EntryState, varied

_FILLS = 2
_BLOCK_BYTES = 64
_LOOK_STEPS = 10_000  # of a captured call, to see which bytes are worth mutating


@dataclass(frozen=True)
class Settings:
    """Bounds of verification. `preserved` are call-clobbered registers that in-unit callers rely on; `local` says that GCC may
    call the function with a stack aligned to 8 only (its unit calls it); times in seconds, stack in bytes."""

    captures: int = 10
    mutated: int = 70
    generated: int = 70
    traces: int = 6
    trace_steps: int = 50_000
    slowest_test_ns: int = 30_000_000
    prepare_s: float = 20.0
    check_s: float = 20.0
    stack_allowance_bytes: int = 512
    preserved: frozenset[str] = frozenset()
    local: bool = False
    seed: int = 1


@dataclass
class _Test:
    """An entry state with what the baseline did from it, once for each fill."""

    state: EntryState
    fills: list[tuple[EntryState, Outcome]]
    limit_ns: int
    accesses: Accesses | None = None


@dataclass
class _Context:
    """One capture's image with both bodies' load address and the baseline loaded there."""

    capture: Capture
    image: CaptureImage
    baseline: LoadedObject
    initial: dict[int, bytes] = field(default_factory=dict)
    writable: set[int] = field(default_factory=set)


class Verifier:
    """Judges candidates of one function. `unusable` says why no candidate can be judged, "" when they can."""

    def __init__(
        self,
        sandbox: Sandbox,
        baseline_object: bytes,
        function: str,
        captures: Sequence[Path],
        prototype: Prototype | None,
        settings: Settings | None = None,
    ) -> None:
        self._sandbox = sandbox
        self._function = function
        self._object = baseline_object
        self._prototype = prototype
        self.settings = settings or Settings()
        self._contexts: list[_Context] = []
        self._tests: list[_Test] = []
        self._reserve: Iterator[EntryState] | None = None
        self.notes: list[str] = []
        self._prepare(captures)
        self.unusable = (
            "" if self._tests else "no usable test: " + (self.notes[0] if self.notes else "it was never captured")
        )

    @property
    def images(self) -> list[tuple[Capture, CaptureImage]]:
        """The captures that replay exactly, for measuring."""
        return [(context.capture, context.image) for context in self._contexts]

    # Preparation -------------------------------------------------------------------------------------------------

    def _prepare(self, captures: Sequence[Path]) -> None:
        deadline_s = time.monotonic() + self.settings.prepare_s
        chance = random.Random(self.settings.seed)
        chosen = list(captures)
        if len(chosen) > self.settings.captures:
            chosen = sorted(chance.sample(chosen, self.settings.captures))
        for path in chosen:
            if self._contexts and time.monotonic() > deadline_s:
                break
            try:
                self._add_capture(path)
            except (CaptureError, SandboxError) as error:
                self.notes.append(f"{path.name}: {error}")
        if not self._contexts:
            return
        stream = self._candidates_for_tests()
        deadline_s = max(deadline_s, time.monotonic() + 0.6 * self.settings.prepare_s)  # captures alone are no test set
        wanted = len(self._tests) + self.settings.mutated + self.settings.generated
        for state in stream:
            if len(self._tests) >= wanted or time.monotonic() > deadline_s:
                break
            test = self._test(state)
            if test is not None:
                self._tests.append(test)
        self._reserve = stream
        self._trace_shortest()

    def _add_capture(self, path: Path) -> None:
        capture = load_capture(path)
        if capture.impure or capture.exit_registers is None:
            return
        image = build_image(capture)
        baseline = load(self._object, self._function, image.bases[0], image.resolver)
        context = _Context(capture, image, baseline, {address: page.data for address, page in capture.pages.items()})
        context.writable = {address for address, page in capture.pages.items() if page.prot & 2}
        state = EntryState(f"capture {path.stem}", "captured", image, image.registers)
        outcome = self._run(state, baseline, 2_000_000_000)
        reason = _replay_difference(capture, outcome)
        if reason:
            self.notes.append(f"{path.name}: GCC's own body does not replay: {reason}")
            return
        self._contexts.append(context)
        test = self._test(state)
        if test is None:
            self.notes.append(f"{path.name}: GCC's own body depends on what no callee may rely on")
            return
        self._tests.append(test)

    def _candidates_for_tests(self) -> Iterator[EntryState]:
        """Mutated and generated states in turn, as long as there are any."""
        streams: list[Iterator[EntryState]] = []
        captured = sorted((t for t in self._tests if t.state.origin == "captured"), key=lambda t: t.limit_ns)
        for test in captured[:3]:
            context = self._context(test.state)
            accesses, _ = self._trace(test.fills[0][0], context.baseline, _LOOK_STEPS)
            reads = sorted(
                span
                for span in accesses.reads
                if not is_dead(span[0], test.state.registers["rsp"]) and span[1] - span[0] <= _BLOCK_BYTES
            )
            reads = [
                span
                for span in reads
                if span[0] != test.state.registers["rsp"] and page_floor(span[0]) in context.writable
            ]
            base = inputs.Base(test.state.name, test.state, reads, context.initial)
            streams.append(inputs.mutated(base, self._prototype, self.settings.seed))
        if self._prototype is not None and self._tests:
            streams += [self._generated(self._tests[0].state)] * max(1, len(streams))  # as many turns as all the others
        if self.settings.local and self._tests:
            streams.append(self._misaligned(self._tests[0].state))
        while streams:
            for stream in list(streams):
                state = next(stream, None)
                if state is None:
                    streams = [other for other in streams if other is not stream]
                else:
                    yield state

    def _generated(self, base: EntryState) -> Iterator[EntryState]:
        assert self._prototype is not None
        for group in inputs.generated(base, self._prototype, self.settings.seed, 100_000):
            for state in group:
                outcome = self._run(state, self._context(state).baseline, self.settings.slowest_test_ns)
                if outcome.kind is OutcomeKind.RETURNED:
                    yield state
                    break
                if outcome.kind is not OutcomeKind.FAULT:
                    break

    def _misaligned(self, base: EntryState) -> Iterator[EntryState]:
        """The same call with the stack 8 bytes lower: GCC may call a local function with less alignment."""
        stack = base.registers["rsp"]
        moved = {stack - 8: base.image.return_address.to_bytes(8, "little")}
        context = self._context(base)
        page = context.initial.get(page_floor(stack))
        if page is not None and self._prototype is not None and len(self._prototype.parameters) <= 6:
            registers = base.registers.with_general(rsp=stack - 8)
            yield replace(base, name=f"{base.name}, stack at 8", origin="mutated", registers=registers, patches=moved)

    def _test(self, state: EntryState) -> _Test | None:
        """The state with the baseline's outcomes, or None when it is no valid test."""
        baseline = self._context(state).baseline
        fills: list[tuple[EntryState, Outcome]] = []
        limit_ns = 1_000_000_000 if state.origin == "captured" else self.settings.slowest_test_ns
        for fill in range(_FILLS):
            filled = varied(state, self._prototype, self._sandbox.layout, fill + 17 * self.settings.seed)
            outcome = self._run(filled, baseline, limit_ns)
            if breaks_abi(outcome, filled.registers):
                return None
            fills.append((filled, outcome))
        (first_state, first), (_, second) = fills[0], fills[1]
        if self._differ(first, second, first_state, frozenset()):
            return None
        return _Test(state, fills, cpu_limit_ns(max(first.cpu_ns, second.cpu_ns)))

    def _trace_shortest(self) -> None:
        """Trace the baseline on the tests that are cheapest to trace, different origins first."""
        left = self.settings.traces
        by_cost = sorted(self._tests, key=lambda test: (test.fills[0][1].cpu_ns, test.state.name))
        for origin in ("generated", "mutated", "captured", "generated", "mutated"):
            for test in [t for t in by_cost if t.state.origin == origin and t.accesses is None][: max(2, left // 3)]:
                if left <= 0:
                    return
                accesses, complete = self._trace(test.fills[0][0], self._context(test.state).baseline)
                if complete:
                    test.accesses = accesses
                    left -= 1

    # Judging -----------------------------------------------------------------------------------------------------

    def replay(self, candidate_object: bytes) -> Counterexample | None:
        """Only the captured calls: cheap, and enough to refute most wrong bodies. Raises SandboxError."""
        loaded: dict[int, LoadedObject] = {}
        for test in self._tests:
            if test.state.origin == "captured":
                body = self._loaded(candidate_object, self._context(test.state), loaded)
                found = self._check_test(test, body, set())
                if found:
                    return Counterexample(test.state.name, found)
        return None

    def check(self, candidate_object: bytes) -> Evidence:
        """Judge one candidate. Raises SandboxError when the sandbox fails (not when the candidate does)."""
        deadline_s = time.monotonic() + self.settings.check_s
        loaded: dict[int, LoadedObject] = {}
        counts = {"captured": 0, "mutated": 0, "generated": 0}
        try:
            first = self._loaded(candidate_object, self._contexts[0], loaded)
        except SandboxError as error:
            return Evidence(Grade.UNKNOWN, notes=(f"it cannot be loaded: {error}",))
        try:
            starts = {start - first.entry for start in self._blocks(first)}
        except UnknownTargetError as error:
            return Evidence(Grade.UNKNOWN, notes=(f"its basic blocks cannot be told: {error}",))
        uncovered = set(starts)
        for test in self._tests:
            found = self._check_test(test, self._loaded(candidate_object, self._context(test.state), loaded), uncovered)
            if found:
                return self._refuted(test, found, counts, starts, uncovered)
            counts[test.state.origin] += 1
        traced = 0
        for test in [test for test in self._tests if test.accesses is not None]:
            body = self._loaded(candidate_object, self._context(test.state), loaded)
            found, whole = self._check_accesses(test, body)
            traced += whole
            if found:
                return self._refuted(test, found, counts, starts, uncovered)
        while uncovered and self._reserve is not None and time.monotonic() < deadline_s:
            state = next(self._reserve, None)
            if state is None:
                break
            extra = self._test(state)
            if extra is None:
                continue
            self._tests.append(extra)
            found = self._check_test(extra, self._loaded(candidate_object, self._context(state), loaded), uncovered)
            if found:
                return self._refuted(extra, found, counts, starts, uncovered)
            counts[state.origin] += 1
        notes: list[str] = []
        grade = Grade.TESTED
        if uncovered:
            grade = Grade.UNKNOWN
            places = ", ".join(f"+{offset:#x}" for offset in sorted(uncovered)[:6])
            notes.append(f"{len(uncovered)} of {len(starts)} blocks were reached by no test: {places}")
        if not traced:
            grade = Grade.UNKNOWN
            notes.append("no run was short enough, and its accesses plain enough, to compare every load and store")
        return _evidence(grade, counts, starts, uncovered, None, notes)

    def _check_test(self, test: _Test, candidate: LoadedObject, uncovered: set[int]) -> str:
        for state, expected in test.fills:
            marks = [candidate.entry + offset for offset in uncovered]
            outcome = self._run(state, candidate, test.limit_ns, marks)
            uncovered -= {address - candidate.entry for address in outcome.covered}
            if outcome.kind is OutcomeKind.TIMEOUT:
                outcome = self._run(state, candidate, 10 * test.limit_ns)  # the machine may be busy
            found = self._differ(expected, outcome, state, self.settings.preserved)
            if found:
                return found
        return ""

    def _check_accesses(self, test: _Test, candidate: LoadedObject) -> tuple[str, bool]:
        """What one traced run does that it must not (stores, reads, stack), and whether every access could be compared."""
        expected = test.accesses
        if expected is None:
            return "", False
        state = test.fills[0][0]
        found, complete = self._trace(state, candidate)
        if not complete:
            return "", False
        stack = state.registers["rsp"]
        if expected.lowest_stack - found.lowest_stack > self.settings.stack_allowance_bytes:
            return f"it uses {expected.lowest_stack - found.lowest_stack} bytes of stack more", True
        written = _outside(found.writes, stack)
        allowed = _outside(expected.writes, stack)
        invented = written - allowed
        if invented and not found.uncertain and not expected.uncertain:
            return f"it stores to {min(invented):#x}, which the baseline does not", True
        if found.below_red_zone:
            return f"it stores below the red zone at {min(found.below_red_zone):#x}", True
        if expected.uncertain:
            return "", False
        blocks = {byte // _BLOCK_BYTES for byte in _outside(expected.reads, stack)} | {
            b // _BLOCK_BYTES for b in allowed
        }
        own = [(region.address, region.end) for region in candidate.pages.regions]
        own += state.image.library  # what its memset reads to choose a way is not the function's doing
        for start, end in found.reads:
            if is_dead(start, stack) or any(low <= start and end <= high for low, high in own):
                continue
            for block in range(start // _BLOCK_BYTES, (end - 1) // _BLOCK_BYTES + 1):
                if block not in blocks:
                    return f"it reads {start:#x}, which the baseline does not", True
        return "", not found.uncertain

    # Running -----------------------------------------------------------------------------------------------------

    def _context(self, state: EntryState) -> _Context:
        return next(context for context in self._contexts if context.image is state.image)

    def _loaded(self, candidate: bytes, context: _Context, loaded: dict[int, LoadedObject]) -> LoadedObject:
        key = id(context)
        if key not in loaded:
            loaded[key] = load(
                candidate, self._function, context.image.bases[0], context.image.resolver, like=context.baseline
            )
        return loaded[key]

    def _run(self, state: EntryState, body: LoadedObject, limit_ns: int, marks: Sequence[int] = ()) -> Outcome:
        return self._sandbox.run(
            self._pages(state, body),
            _entering(state.registers, body.entry),
            state.image.return_address,
            patches=list(state.patches.items()),
            breakpoints=marks,
            cpu_limit_ns=limit_ns,
        )

    def _trace(self, state: EntryState, body: LoadedObject, max_steps: int = 0) -> tuple[Accesses, bool]:
        """The run's accesses, and whether that is all of them: a long run is traced in part."""
        pages = self._pages(state, body)
        trace = self._sandbox.trace(
            pages,
            _entering(state.registers, body.entry),
            state.image.return_address,
            patches=list(state.patches.items()),
            max_steps=max_steps or self.settings.trace_steps,
        )
        accesses = Decoder(reader(pages), state.registers.fs_base, state.registers.gs_base).accesses(trace)
        return accesses, trace.outcome.kind is OutcomeKind.RETURNED

    def _pages(self, state: EntryState, body: LoadedObject) -> list[PageSet]:
        return [state.image.pages, body.pages, *state.extra]

    def _differ(self, expected: Outcome, outcome: Outcome, state: EntryState, preserved: frozenset[str]) -> str:
        context = self._context(state)

        def initial(page: int) -> bytes:
            data = bytearray(self._page(context, state, page))
            for address, patch in state.patches.items():
                for at in range(max(address, page), min(address + len(patch), page + PAGE_BYTES)):
                    data[at - page] = patch[at - address]
            return bytes(data)

        return difference(expected, outcome, state.registers, self._prototype, self._sandbox.layout, initial, preserved)

    def _page(self, context: _Context, state: EntryState, page: int) -> bytes:
        if page in context.initial:
            return context.initial[page]
        for pages in (state.image.pages, *state.extra):
            region = pages.find(page)
            if region is not None and not region.path:
                return region.data[page - region.address : page - region.address + PAGE_BYTES]
        return bytes(PAGE_BYTES)

    def _blocks(self, body: LoadedObject) -> frozenset[int]:
        region = body.pages.find(body.entry)
        assert region is not None
        code = region.data[body.entry - region.address :][: body.size_bytes]
        targets = _table_targets(body)
        return block_starts(code, body.entry, targets)

    def _refuted(
        self, test: _Test, found: str, counts: dict[str, int], starts: set[int], uncovered: set[int]
    ) -> Evidence:
        return _evidence(Grade.REFUTED, counts, starts, uncovered, Counterexample(test.state.name, found), [])


def _table_targets(body: LoadedObject) -> list[int]:
    """Addresses inside the body that the object's read-only data holds, absolute or relative to the table's own words."""
    low, high = body.entry, body.entry + body.size_bytes
    found = []
    for region in body.pages.regions:
        if region.path or region.prot & 4:
            continue
        data = region.data
        tables: list[int] = []
        for at in range(0, len(data) - 7, 8):
            value = int.from_bytes(data[at : at + 8], "little")
            if low <= value < high:
                found.append(value)
        for at in range(0, len(data) - 3, 4):
            offset = int.from_bytes(data[at : at + 4], "little", signed=True)
            if not offset:
                continue
            here = region.address + at
            inside = low <= here + offset < high
            if inside:
                tables = [here]
                found.append(here + offset)
            elif tables and low <= tables[0] + offset < high:
                found.append(tables[0] + offset)
            else:
                tables = []
            if tables and low <= tables[0] + offset < high:
                found.append(tables[0] + offset)
    return found


def _entering(registers: Registers, entry: int) -> Registers:
    return replace(registers, rip=entry)


def _replay_difference(capture: Capture, outcome: Outcome) -> str:
    if outcome.kind is not OutcomeKind.RETURNED:
        return describe_end(outcome)
    assert capture.exit_registers is not None
    stack = capture.registers["rsp"]
    for name in ("rbx", "rbp", "r12", "r13", "r14", "r15", "rsp"):
        if outcome.registers[name] != capture.exit_registers[name]:
            return f"{name} differs from the capture"
    for page in set(capture.changed) | {p for p in outcome.changed if p in capture.pages}:
        expected = capture.changed.get(page, capture.pages[page].data if page in capture.pages else b"")
        mine = outcome.changed.get(page, capture.pages[page].data if page in capture.pages else b"")
        if mine != expected:
            for at in range(min(len(mine), len(expected))):
                if mine[at] != expected[at] and not is_dead(page + at, stack):
                    return f"byte {page + at:#x} differs from the capture"
    return ""


def _outside(spans: set[tuple[int, int]], stack_pointer: int) -> set[int]:
    return {byte for start, end in spans if not is_dead(start, stack_pointer) for byte in range(start, end)}


def _evidence(
    grade: Grade,
    counts: dict[str, int],
    starts: set[int],
    uncovered: set[int],
    counterexample: Counterexample | None,
    notes: Sequence[str],
) -> Evidence:
    return Evidence(
        grade=grade,
        captures=counts["captured"],
        mutated=counts["mutated"],
        generated=counts["generated"],
        blocks_total=len(starts),
        blocks_covered=len(starts) - len(uncovered),
        counterexample=counterexample,
        notes=tuple(notes),
    )
