"""An entry state to test on, and the variations of what a function must not depend on."""

from __future__ import annotations

import random
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache

from compiler_ai.sandbox.image import CaptureImage
from compiler_ai.sandbox.pages import PageSet
from compiler_ai.sandbox.state import Registers, XStateLayout
from compiler_ai.verify.passing import GENERAL_ARGUMENTS, passing
from compiler_ai.verify.prototype import MOST_MEMBERS, Prototype, Type

RED_ZONE_BYTES = 128
ARRAY_BYTES = 1 << 28  # two pointers into one array are no farther apart
DEAD_STACK_BYTES = 2048  # below the stack pointer, at least, that are varied
_FRAMES_BYTES = 8 << 20  # above the stack pointer lie the callers' frames
_FLAGS = 0x8D5  # CF PF AF ZF SF OF
_X87_BYTES = 10
_CALLEE_SAVED = ("rbx", "r12", "r13", "r14", "r15")
_SCRATCH = ("rax", "r10", "r11")


@dataclass(frozen=True)
class Answering:
    """Calls out of the unit are answered, pseudo-randomly from `seed` but for the `chosen` (call number from 0 -> value);
    `effects`: callees also write through their arguments; `written` (call number, address, size in bytes, value) besides. The run ends
    at call `max_events`."""

    seed: int
    effects: bool = False
    chosen: tuple[tuple[int, int], ...] = ()
    written: tuple[tuple[int, int, int, int], ...] = ()
    max_events: int = 64


@dataclass(frozen=True)
class EntryState:
    """One test: where it comes from, the image it runs on, registers, and what is written before the start.

    `extra` are page sets besides the image's (fresh buffers between unmapped pages); `size` orders states by how much work
    they are likely to be. `answers`: calls out of the unit are not made but answered.
    """

    name: str
    origin: str  # "captured", "mutated", "generated" or "answered"
    image: CaptureImage
    registers: Registers
    patches: Mapping[int, bytes] = field(default_factory=dict)
    extra: tuple[PageSet, ...] = ()
    size: int = 0
    answers: Answering | None = None


def varied(
    state: EntryState,
    prototype: Prototype | None,
    layout: XStateLayout,
    seed: int,
    dead_stack_bytes: int = DEAD_STACK_BYTES,
    with_padding: bool = False,
) -> EntryState:
    """The same call with other contents in everything that no callee may rely on: so much of the dead stack, scratch and callee-saved
    registers, all of the registers and the stack that carries no argument, the upper part of narrow arguments and what no member of an
    aggregate takes, unless it is kept `with_padding`, status flags (AMD64 ABI, 3.2.1 to 3.2.3)."""
    chance = random.Random(seed)
    registers = state.registers
    general = dict(registers.general)
    general.update((name, chance.getrandbits(64)) for name in _CALLEE_SAVED)
    if not 0 <= registers["rbp"] - registers["rsp"] < _FRAMES_BYTES:  # else it may be a frame pointer, to be followed
        general["rbp"] = random.Random(f"{seed} rbp").getrandbits(64)
    is_known = prototype is not None and not prototype.variadic
    for name in _SCRATCH:
        if name != "rax" or is_known:  # al counts a variadic call's vector registers
            general[name] = chance.getrandbits(64)
    patches, xstate = dict(state.patches), registers.xstate
    masks = _counted(prototype, with_padding) if prototype is not None and is_known else None
    if masks is not None:
        _vary_arguments(general, masks, chance)
        patches |= _stack_garbage(state, masks, chance)
        xstate = _vary_vectors(xstate, masks, layout, chance)
    stack = general["rsp"]
    patches[stack - dead_stack_bytes] = _garbage(seed, dead_stack_bytes)
    flags = (registers.rflags & ~_FLAGS) | (chance.getrandbits(12) & _FLAGS)
    varied_registers = replace(registers, general=general, rflags=flags, xstate=xstate)
    return replace(state, registers=varied_registers, patches=patches)


@lru_cache(maxsize=8)
def _garbage(seed: int, size_bytes: int) -> bytes:
    """The same object for all states: a frame may be large."""
    return random.Random(f"{seed} dead stack").randbytes(size_bytes)


def passed(value: int, kind: Type) -> int:
    """`value` as a caller passes an argument of this integer type: in range, and extended to 32 bits where it is narrower
    (GCC and Clang both extend at the call and rely on it in the callee)."""
    bits = 8 * min(8, kind.size_bytes or 8)
    value &= 1 if kind.boolean else (1 << bits) - 1
    if bits < 32 and kind.signed and value >> (bits - 1):
        value |= 0xFFFFFFFF & -(1 << bits)
    return value


def integer_parameters(prototype: Prototype) -> list[tuple[str, Type]]:
    """(register, type) of the integers and pointers that have a register for themselves, parts of aggregates too; [] when that is
    uncertain."""
    found = passing(prototype)
    return [
        (part.place, part.members[0].type)
        for part in (found.parts if found is not None else ())
        if isinstance(part.place, str)
        and [(at, kind.kind in ("integer", "pointer")) for at, kind in part.members] == [(0, True)]
    ]


def stack_parameters(prototype: Prototype) -> list[tuple[int, Type]]:
    """(offset from the stack pointer at entry, type) of the integers and pointers that lie there; [] when that is uncertain."""
    found = passing(prototype)
    return [
        (part.place + at, kind)
        for part in (found.parts if found is not None else ())
        if isinstance(part.place, int)
        for at, kind in part.members
        if kind.kind in ("integer", "pointer")
    ]


@lru_cache(maxsize=16)
def _counted(prototype: Prototype, with_padding: bool) -> Mapping[str, int] | None:
    """By register and byte of the stack ("8" is the first one), a mask of the bits that count; None when the places are not known."""
    found = passing(prototype)
    if found is None:
        return None
    masks = {"rdi": _mask(8)} if found.result_in_memory else {}
    for parameter in found.parameters:
        is_padded = (
            parameter.type.kind == "aggregate" and len(parameter.type.members) < MOST_MEMBERS and not with_padding
        )
        for part in parameter.parts:
            spans = [(at, kind.size_bytes) for at, kind in part.members] if is_padded else [(0, part.size_bytes)]
            if parameter.type.kind in ("integer", "pointer"):
                spans = [(0, max(4, part.size_bytes))]  # GCC and Clang extend to 32 bits at the call, never beyond
            if parameter.type.kind == "float" and part.size_bytes == 16:
                spans = [(0, _X87_BYTES)]
            for at, size in spans:
                if isinstance(part.place, str):
                    masks[part.place] = masks.get(part.place, 0) | _mask(size) << 8 * at
                else:
                    masks |= {str(part.place + at + byte): 0xFF for byte in range(size)}
    return masks | {"stack": found.stack_bytes}


def has_padding(prototype: Prototype | None) -> bool:
    """Whether some of what its parameters have in registers or on the stack belongs to no member."""
    return prototype is not None and not prototype.variadic and _counted(prototype, False) != _counted(prototype, True)


def _vary_arguments(general: dict[str, int], masks: Mapping[str, int], chance: random.Random) -> None:
    for name in GENERAL_ARGUMENTS:
        mask = masks.get(name, 0)
        general[name] = general.get(name, 0) & mask | chance.getrandbits(64) & ~mask & _mask(8)


def _stack_garbage(state: EntryState, masks: Mapping[str, int], chance: random.Random) -> dict[int, bytes]:
    """What lies among the arguments on the stack, as far as it is there."""
    stack = state.registers["rsp"]
    gaps = [at for at in range(8, 8 + masks["stack"]) if str(at) not in masks]
    return {stack + at: chance.randbytes(1) for at in gaps if state.image.pages.find(stack + at) is not None}


def _mask(size_bytes: int) -> int:
    return (1 << 8 * size_bytes) - 1


def _vary_vectors(xstate: bytes, masks: Mapping[str, int], layout: XStateLayout, chance: random.Random) -> bytes:
    if len(xstate) < 576:
        return xstate
    vectors = {}
    for number in range(16):
        mask = masks.get(f"xmm{number}", 0)
        held = int.from_bytes(layout.vector(xstate, number)[:16], "little") & mask
        vectors[number] = (held | chance.getrandbits(128) & ~mask & _mask(16)).to_bytes(16, "little")
    mxcsr = struct.unpack_from("<I", xstate, 24)[0] or 0x1F80
    return layout.build(vectors, mxcsr=mxcsr, base=xstate)
