"""Calls out of a body that are answered instead of made, and what is noted of each; runtime/events.h says how."""

from __future__ import annotations

import enum
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

_REQUEST = struct.Struct("<Q16sQQ8I")
_CALLEE = struct.Struct("<QBBBBBxxx")
_PARAMETER = struct.Struct("<BBBxI")
_CHOSEN = struct.Struct("<QQ")
_WRITTEN = struct.Struct("<4Q")
_EVENT = struct.Struct("<5Q6Q128s3Q4I")
MAX_EVENTS = 255
MAX_NOTED = 1024  # calls of a trace
STACKED_BYTES, MAX_FRAME_BYTES = 8 + 512, 8192  # at least and at most, of a frame
REGISTER_PARAMETERS = 6
_NO_PARAMETER = 0xFF


class Returns(enum.IntEnum):
    """What kind of value a callee returns, as far as answers go."""

    UNKNOWN = 0
    NOTHING = 1
    INTEGER = 2
    FLOAT = 3
    POINTER = 4


class Use(enum.IntEnum):
    """What a callee may do with an argument, as far as answers go."""

    OPAQUE = 0
    INTEGER = 1
    TO_NUMBER = 2  # it may write a number through it
    TO_POINTER = 3  # ... a pointer
    TO_BYTES = 4  # ... as many bytes as other arguments say
    TO_OBJECT = 5  # ... some words of an object


@dataclass(frozen=True)
class Parameter:
    """A parameter in a general register: its size (of what it points to, for TO_NUMBER and TO_OBJECT), and for TO_BYTES the numbers of the
    parameters whose product is the count."""

    use: Use = Use.OPAQUE
    size_bytes: int = 0
    factors: tuple[int, ...] = ()


@dataclass(frozen=True)
class Callee:
    """What answers to one callee look like. `sizes` are the numbers of the parameters whose product is the size of the
    memory that it returns."""

    returns: Returns = Returns.UNKNOWN
    return_bytes: int = 0
    signed: bool = False
    boolean: bool = False
    never_returns: bool = False
    sizes: tuple[int, ...] = ()
    parameters: tuple[Parameter, ...] = ()  # in the order of rdi, rsi, rdx, rcx, r8, r9


@dataclass(frozen=True)
class Answers:
    """How the calls of one run are answered: pseudo-randomly from `seed`, or as `chosen` (call number from 0 -> value) says.

    `arena` is writable memory of the image, `slot_count` times `slot_bytes`, that returned pointers lead to. `effects`:
    callees also write through their arguments; `written` (call number, address, size in bytes, value) besides. The run ends at call `max_events` (from 0); memory is digested at the first
    `digest_events` calls and at the last.
    """

    seed: int
    callees: Mapping[int, Callee] = field(default_factory=dict, hash=False)
    arena: int = 0
    slot_bytes: int = 1
    slot_count: int = 0
    max_events: int = 64
    digest_events: int = 32
    effects: bool = False
    chosen: tuple[tuple[int, int], ...] = ()
    written: tuple[tuple[int, int, int, int], ...] = ()


@dataclass(frozen=True)
class CallEvent:
    """The state at the callee's first instruction: `arguments` are rdi, rsi, rdx, rcx, r8, r9, `vectors` xmm0 to xmm7, `frame` the memory from
    the stack pointer on: what the caller may pass on the stack and its own frame, as far as there was room. `digest` (None: not taken)
    stands for all memory that changed so far, the body's own frame left out; `answer` is what the callee returned, `garbage` what it left in
    other registers, itself or inverted."""

    target: int
    return_to: int
    stack_pointer: int
    rflags: int
    rax: int
    arguments: tuple[int, ...]
    vectors: tuple[bytes, ...]
    digest: int | None
    answer: int
    garbage: int
    mxcsr: int
    x87_tags: int
    frame: bytes

    def in_frame(self, address: int, size_bytes: int) -> bytes | None:
        """Bytes of the frame; None where it was not noted."""
        at = address - self.stack_pointer
        return self.frame[at : at + size_bytes] if at >= 0 and at + size_bytes <= len(self.frame) else None


def pack_answers(answers: Answers, key: bytes, callees: bytes) -> bytes:
    """An answer_request; `key` is that of the digests, `callees` is `pack_callees` of the same answers'."""
    head = _REQUEST.pack(
        answers.seed & 0xFFFFFFFFFFFFFFFF, key, answers.arena, answers.slot_bytes, answers.slot_count,
        min(answers.max_events, MAX_EVENTS), answers.digest_events, answers.effects, len(answers.callees),
        len(answers.chosen), len(answers.written), 0,
    )  # fmt: skip
    chosen = (_CHOSEN.pack(*pair) for pair in answers.chosen)
    return b"".join((head, callees, *chosen, *(_WRITTEN.pack(*one) for one in answers.written)))


def pack_callees(callees: Mapping[int, Callee]) -> bytes:
    """The part of an answer_request that says how they answer."""
    return b"".join(_pack_callee(address, callee) for address, callee in sorted(callees.items()))


def _pack_callee(address: int, callee: Callee) -> bytes:
    flags = callee.never_returns | callee.signed << 1 | callee.boolean << 2
    parts = [_CALLEE.pack(address, callee.returns, callee.return_bytes, flags, *_two(callee.sizes))]
    for parameter in (*callee.parameters, *(Parameter(),) * REGISTER_PARAMETERS)[:REGISTER_PARAMETERS]:
        parts.append(_PARAMETER.pack(parameter.use, *_two(parameter.factors), parameter.size_bytes))
    return b"".join(parts)


def _two(numbers: Sequence[int]) -> tuple[int, int]:
    first, second = (*numbers, _NO_PARAMETER, _NO_PARAMETER)[:2]
    return first, second


def unpack_events(data: bytes, count: int) -> tuple[tuple[CallEvent, ...], int]:
    """So many call_event and their frames from the front of `data`, and how many bytes that was."""
    events = []
    frame_at = count * _EVENT.size
    for values in _EVENT.iter_unpack(data[:frame_at]):
        target, return_to, stack, rflags, rax, *general, vectors, digest, answer, garbage = values[:15]
        mxcsr, x87_tags, frame_bytes, has_digest = values[15:]
        events.append(
            CallEvent(
                target, return_to, stack, rflags, rax, tuple(general),
                tuple(vectors[at : at + 16] for at in range(0, len(vectors), 16)),
                digest if has_digest else None, answer, garbage, mxcsr, x87_tags, data[frame_at : frame_at + frame_bytes],
            )
        )  # fmt: skip
        frame_at += frame_bytes
    return tuple(events), frame_at + -frame_at % 8
