"""The bytes that go to and come from the runner; runtime/protocol.h is the other side of this file."""

from __future__ import annotations

import enum
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from compiler_ai.sandbox.errors import SandboxError
from compiler_ai.sandbox.events import CallEvent, unpack_events
from compiler_ai.sandbox.pages import PAGE_BYTES, PageSet
from compiler_ai.sandbox.state import GENERAL, USER_REGS_FORMAT, Registers, XStateLayout, unpack_registers

PROTOCOL_VERSION = 5
HEADER = struct.Struct("<IIQ")
_LOAD = struct.Struct("<IIQQ")
_REGION = struct.Struct("<QQQIIQ")
_RUN = struct.Struct("<IIIIQQQQQQQQQ")
_PATCH = struct.Struct("<QQ")
_OUTCOME = struct.Struct("<IiiIQQQIIII")
_HELLO = struct.Struct("<IIQQ")


class Operation(enum.IntEnum):
    """What a request asks for."""

    HELLO = 1
    LOAD = 2
    UNLOAD = 3
    RUN = 4
    TIME = 5


class OutcomeKind(enum.Enum):
    """How a run ended."""

    RETURNED = "returned"
    FAULT = "fault"
    TIMEOUT = "timeout"
    SYSCALL = "syscall"
    MAX_STEPS = "max-steps"
    LEFT = "left"  # it called a function that does not return (only when calls are answered)
    MAX_EVENTS = "max-events"  # it made more calls than are answered


_KINDS = tuple(OutcomeKind)


@dataclass(frozen=True)
class Outcome:
    """What one run of a body did, as its parent saw it.

    ``signal``, ``signal_code`` (si_code) and ``fault_address`` tell about a fault; ``registers`` are those at the end.
    ``written`` are the addresses of all pages with a store (also of the same value) or a patch; ``changed`` maps those
    whose contents differ from the run's start to their 4096 bytes. ``covered`` are the breakpoints that were reached.
    ``cpu_ns`` is the child's CPU time, ``steps`` counts the instructions of a trace, ``events`` are the answered calls, or those that a trace saw being made.
    """

    kind: OutcomeKind
    signal: int
    signal_code: int
    fault_address: int
    registers: Registers
    written: frozenset[int]
    changed: Mapping[int, bytes]
    covered: frozenset[int]
    cpu_ns: int
    steps: int = 0
    events: tuple[CallEvent, ...] = ()

    @property
    def rip(self) -> int:
        """The instruction pointer at the end."""
        return self.registers.rip

    @property
    def xstate(self) -> bytes:
        """The XSAVE area at the end."""
        return self.registers.xstate


def padded(data: bytes) -> bytes:
    """``data`` followed by zeros up to a multiple of 8 bytes."""
    return data + bytes(-len(data) % 8)


def pack_load(number: int, pages: PageSet) -> bytes:
    """OP_LOAD's payload."""
    paths: dict[str, int] = {}
    path_bytes = b""
    contents: list[bytes] = []
    content_bytes = 0
    regions: list[bytes] = []
    for region in pages.regions:
        if region.path:
            if region.path not in paths:
                paths[region.path] = len(path_bytes)
                path_bytes += region.path.encode(errors="surrogateescape") + b"\0"
            regions.append(
                _REGION.pack(region.address, region.file_bytes, region.offset, region.prot, 1, paths[region.path])
            )
        else:
            regions.append(_REGION.pack(region.address, len(region.data), content_bytes, region.prot, 0, 0))
            contents.append(region.data)
            content_bytes += len(region.data)
    head = _LOAD.pack(number, len(regions), len(path_bytes), content_bytes)
    return b"".join((head, *regions, padded(path_bytes), padded(b"".join(contents))))


def pack_unload(number: int) -> bytes:
    """OP_UNLOAD's payload."""
    return _LOAD.pack(number, 0, 0, 0)


def pack_run(
    sets: Sequence[int],
    registers: Registers,
    return_address: int,
    patches: Sequence[tuple[int, bytes]],
    breakpoints: Sequence[int],
    cpu_limit_ns: int,
    wall_limit_ns: int,
    trace_path: str = "",
    max_steps: int = 0,
    inside: tuple[int, int] = (0, 0),
    log_plan: bytes = b"",
    answers: bytes = b"",
) -> bytes:
    """OP_RUN's payload. ``breakpoints`` are sorted and distinct; ``log_plan`` is that of a body that logs its accesses,
    ``answers`` is `events.pack_answers`'s."""
    path = trace_path.encode() + b"\0" if trace_path else b""
    head = _RUN.pack(
        len(sets), len(registers.xstate), len(breakpoints), len(patches), len(path),
        max_steps, cpu_limit_ns, wall_limit_ns, return_address, bool(log_plan), *inside, len(answers),
    )  # fmt: skip
    parts = [head, registers.pack(), padded(struct.pack(f"<{len(sets)}I", *sets)), padded(registers.xstate)]
    parts.append(struct.pack(f"<{len(breakpoints)}Q", *breakpoints))
    for address, data in patches:
        parts.append(_PATCH.pack(address, len(data)))
        parts.append(padded(data))
    parts += [padded(path), log_plan, answers]
    return b"".join(parts)


def unpack_outcome(data: bytes, breakpoints: Sequence[int]) -> tuple[Outcome, bytes]:
    """The reply to OP_RUN, and what follows the outcome in it."""
    (kind, signal, code, xstate_bytes, fault_address, cpu_ns, steps, marks, written_count, changed_count, event_count) = (
        _OUTCOME.unpack_from(data)
    )  # fmt: skip
    at = _OUTCOME.size
    general = data[at : at + USER_REGS_FORMAT.size]
    at += USER_REGS_FORMAT.size
    xstate = data[at : at + xstate_bytes]
    at += xstate_bytes + -xstate_bytes % 8
    hits = data[at : at + marks]
    at += marks + -marks % 8
    written = struct.unpack_from(f"<{written_count}Q", data, at)
    at += 8 * written_count
    changed: dict[int, bytes] = {}
    for _ in range(changed_count):
        (address,) = struct.unpack_from("<Q", data, at)
        changed[address] = data[at + 8 : at + 8 + PAGE_BYTES]
        at += 8 + PAGE_BYTES
    events, size = unpack_events(data[at:], event_count)
    at += size
    outcome = Outcome(
        kind=_KINDS[kind],
        signal=signal,
        signal_code=code,
        fault_address=fault_address,
        registers=unpack_registers(general, xstate),
        written=frozenset(written),
        changed=changed,
        covered=frozenset(address for address, hit in zip(breakpoints, hits, strict=True) if hit),
        cpu_ns=cpu_ns,
        steps=steps,
        events=events,
    )
    return outcome, data[at:]


def unpack_hello(data: bytes) -> XStateLayout:
    """The reply to OP_HELLO; raises SandboxError when the runner speaks another version."""
    version, size_bytes, xcr0, _ = _HELLO.unpack_from(data)
    if version != PROTOCOL_VERSION:
        raise SandboxError(f"the runner speaks protocol {version}, not {PROTOCOL_VERSION}")
    pairs = struct.iter_unpack("<II", data[_HELLO.size :])
    components = {number: pair for number, pair in enumerate(pairs) if pair[1]}
    return XStateLayout(size_bytes, xcr0, components)


_TIME = struct.Struct("<IIIIQQQQQQQQQ")
_TIME_REPLY = struct.Struct("<IiQQQQQII")
_RANGE = struct.Struct("<QQ")
TIME_COLD = 1
TIME_REPEAT = 2


@dataclass(frozen=True)
class TimedState:
    """An entry state to time, and the (address, bytes) that put the memory back before each call."""

    registers: Registers
    restore: Sequence[tuple[int, bytes]] = ()


@dataclass(frozen=True)
class Ticks:
    """Paired timings of two bodies.

    ``pairs`` are (first, second) in net ticks of the time-stamp counter a block: the calibrated cost of calling an empty
    function is subtracted, down to a twentieth of that cost, below which nothing can be resolved. A block is ``calls_per_block`` calls. ``repeated`` tells
    that calls were timed back to back, which is done only for bodies that change little.
    """

    pairs: tuple[tuple[int, int], ...]
    calls_per_block: int
    overhead_ticks: int
    ticks_per_s: int
    repeated: bool

    def ns_per_call(self, ticks: float) -> float:
        """A block's ticks as ns a call."""
        return ticks * 1e9 / self.ticks_per_s / self.calls_per_block


def pack_time(
    sets: Sequence[int],
    entries: tuple[int, int],
    states: Sequence[TimedState],
    flush: Sequence[tuple[int, int]],
    pair_count: int,
    flags: int,
    block_ns: int,
    limits_ns: tuple[int, int],
    seed: int,
) -> bytes:
    """OP_TIME's payload; ``flush`` are (address, size in bytes), ``limits_ns`` the CPU and wall limits."""
    first = states[0].registers
    parts = [
        _TIME.pack(
            len(sets), len(states), pair_count, flags, *entries, block_ns, *limits_ns, seed, len(flush),
            first.fs_base, first.gs_base,
        ),
        padded(struct.pack(f"<{len(sets)}I", *sets)),
    ]  # fmt: skip
    parts += [_RANGE.pack(address, size) for address, size in flush]
    for state in states:
        general = [state.registers[name] & 0xFFFFFFFFFFFFFFFF for name in GENERAL]
        parts.append(struct.pack("<18Q", *general, len(state.registers.xstate), len(state.restore)))
        parts.append(padded(state.registers.xstate))
        for address, data in state.restore:
            parts.append(_RANGE.pack(address, len(data)))
            parts.append(padded(data))
    return b"".join(parts)


def unpack_time(data: bytes) -> Ticks:
    """The reply to OP_TIME; raises SandboxError when a body faulted, made a system call or took too long."""
    kind, signal, fault_address, rip, calls, overhead, rate, count, repeated = _TIME_REPLY.unpack_from(data)
    if _KINDS[kind] is not OutcomeKind.RETURNED:
        reason = f"signal {signal} at {rip:#x}, address {fault_address:#x}"
        raise SandboxError(f"a timed body did not return: {_KINDS[kind].value} ({reason})")
    values = struct.unpack_from(f"<{2 * count}Q", data, _TIME_REPLY.size)
    # Work of a tiny body overlaps with the calling sequence: below a twentieth of that there is nothing to resolve.
    floor = max(1, overhead // 20)
    net = [max(floor, value - overhead) for value in values]
    return Ticks(tuple(zip(net[::2], net[1::2], strict=True)), calls, overhead, rate, bool(repeated))
