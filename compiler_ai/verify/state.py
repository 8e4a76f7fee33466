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
from compiler_ai.verify.prototype import Prototype, Type

RED_ZONE_BYTES = 128
ARRAY_BYTES = 1 << 28  # two pointers into one array are no farther apart
DEAD_STACK_BYTES = 2048  # below the stack pointer, at least, that are varied
_FRAMES_BYTES = 8 << 20  # above the stack pointer lie the callers' frames
_FLAGS = 0x8D5  # CF PF AF ZF SF OF
_INTEGER_ARGUMENTS = ("rdi", "rsi", "rdx", "rcx", "r8", "r9")
_VECTOR_ARGUMENTS = 8  # xmm0 to xmm7
_CALLEE_SAVED = ("rbx", "r12", "r13", "r14", "r15")
_SCRATCH = ("rax", "r10", "r11", *_INTEGER_ARGUMENTS)


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
) -> EntryState:
    """The same call with other contents in everything that no callee may rely on: so much of the dead stack, scratch and callee-saved
    registers that carry no argument, the upper part of narrow arguments, status flags (AMD64 ABI, 3.2.1 to 3.2.3)."""
    chance = random.Random(seed)
    registers = state.registers
    general = dict(registers.general)
    general.update((name, chance.getrandbits(64)) for name in _CALLEE_SAVED)
    if not 0 <= registers["rbp"] - registers["rsp"] < _FRAMES_BYTES:  # else it may be a frame pointer, to be followed
        general["rbp"] = random.Random(f"{seed} rbp").getrandbits(64)
    for name in _SCRATCH[: len(_SCRATCH) if prototype is not None and not prototype.variadic else 3]:
        if name in ("rax", "r10", "r11"):
            if name == "rax" and (prototype is None or prototype.variadic):
                continue  # al counts a variadic call's vector registers
            general[name] = chance.getrandbits(64)
    if prototype is not None and not prototype.variadic:
        _vary_arguments(general, prototype, chance)
    patches = dict(state.patches)
    stack = general["rsp"]
    patches[stack - dead_stack_bytes] = _garbage(seed, dead_stack_bytes)
    flags = (registers.rflags & ~_FLAGS) | (chance.getrandbits(12) & _FLAGS)
    xstate = _vary_vectors(registers.xstate, prototype, layout, chance)
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
    """(register, type) of the integer and pointer parameters that come in registers; [] when that is uncertain."""
    places = integer_places(prototype) or ()
    kinds = [kind for _, kind in prototype.parameters if kind.kind in ("integer", "pointer")]
    return [(name, kind) for (name, _), kind in zip(places, kinds, strict=False)]


def stack_parameters(prototype: Prototype) -> list[tuple[int, Type]]:
    """(offset from the stack pointer at entry, type) of the integer and pointer parameters for which no register is left; [] when
    that is uncertain."""
    in_registers = len(integer_places(prototype) or ())
    kinds = [kind for _, kind in prototype.parameters if kind.kind in ("integer", "pointer")]
    vectors = sum(kind.kind == "float" for _, kind in prototype.parameters)
    if not in_registers or vectors > _VECTOR_ARGUMENTS:
        return []
    return [(8 + 8 * number, kind) for number, kind in enumerate(kinds[in_registers:])]


def _vary_arguments(general: dict[str, int], prototype: Prototype, chance: random.Random) -> None:
    places = integer_places(prototype)
    if places is None:
        return
    used = dict(places)
    for name in _INTEGER_ARGUMENTS:
        if name not in used:
            general[name] = chance.getrandbits(64)
        elif used[name] < 8:
            # GCC and Clang extend to 32 bits at the call (and rely on it in the callee), never beyond.
            general[name] = (general[name] & 0xFFFFFFFF) | chance.getrandbits(32) << 32


def integer_places(prototype: Prototype) -> tuple[tuple[str, int], ...] | None:
    """(register, size) of the integer and pointer parameters; None when an aggregate makes the assignment uncertain."""
    places = []
    free = list(_INTEGER_ARGUMENTS)
    if prototype.returns.kind in ("aggregate", "unknown") and not 0 < prototype.returns.size_bytes <= 16:
        free.pop(0)
    for _, kind in prototype.parameters:
        if kind.kind in ("aggregate", "unknown", "complex") or kind.size_bytes > 8:
            return None
        if kind.kind in ("integer", "pointer") and free:
            places.append((free.pop(0), kind.size_bytes))
    return tuple(places)


def _vary_vectors(xstate: bytes, prototype: Prototype | None, layout: XStateLayout, chance: random.Random) -> bytes:
    if len(xstate) < 576 or prototype is None or prototype.variadic:
        return xstate
    floats = [kind for _, kind in prototype.parameters if kind.kind == "float"]
    if any(kind.kind in ("aggregate", "unknown", "complex") for _, kind in prototype.parameters):
        return xstate
    vectors = {}
    for number in range(16):
        if number < len(floats):
            size = min(floats[number].size_bytes, 8)
            vectors[number] = layout.vector(xstate, number)[:size] + chance.randbytes(16 - size)
        else:
            vectors[number] = chance.randbytes(16)
    mxcsr = struct.unpack_from("<I", xstate, 24)[0] or 0x1F80
    return layout.build(vectors, mxcsr=mxcsr, base=xstate)
