"""Processor state at the entry and exit of a body: general registers, flags, segment bases, extended state."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

# The encoding's order (Intel SDM volume 2, 2.2.1.2); a trace step stores them in it too.
GENERAL = ("rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15")

# struct user_regs_struct of <sys/user.h>.
USER_REGS = (
    *("r15", "r14", "r13", "r12", "rbp", "rbx", "r11", "r10", "r9", "r8", "rax", "rcx", "rdx", "rsi", "rdi"),
    *("orig_rax", "rip", "cs", "rflags", "rsp", "ss", "fs_base", "gs_base", "ds", "es", "fs", "gs"),
)
USER_REGS_FORMAT = struct.Struct(f"<{len(USER_REGS)}Q")
DEFAULT_FLAGS = 0x202
MXCSR_DEFAULT = 0x1F80
X87_CONTROL_DEFAULT = 0x37F
_XSTATE_BV = 512
_LEGACY_BYTES = 576


@dataclass(frozen=True)
class Registers:
    """Register values; a general register that is not named is 0.

    ``xstate`` is the XSAVE area in the standard format (Intel SDM volume 1, 13.4) as PTRACE_GETREGSET NT_X86_XSTATE
    gives it; empty means the processor's initial state.
    """

    general: Mapping[str, int] = field(default_factory=dict)
    rip: int = 0
    rflags: int = DEFAULT_FLAGS
    fs_base: int = 0
    gs_base: int = 0
    xstate: bytes = b""

    def __getitem__(self, name: str) -> int:
        return self.general.get(name, 0)

    def with_general(self, **values: int) -> Registers:
        """The same state with some general registers replaced."""
        return replace(self, general={**self.general, **values})

    def pack(self) -> bytes:
        """As struct user_regs_struct; selectors are left to the runner."""
        values = {**self.general, "rip": self.rip, "rflags": self.rflags}
        values.update(fs_base=self.fs_base, gs_base=self.gs_base)
        return USER_REGS_FORMAT.pack(*(values.get(name, 0) & 0xFFFFFFFFFFFFFFFF for name in USER_REGS))


def unpack_registers(data: bytes, xstate: bytes) -> Registers:
    """The reverse of `Registers.pack`."""
    values = dict(zip(USER_REGS, USER_REGS_FORMAT.unpack(data), strict=True))
    return Registers(
        general={name: values[name] for name in GENERAL},
        rip=values["rip"],
        rflags=values["rflags"],
        fs_base=values["fs_base"],
        gs_base=values["gs_base"],
        xstate=xstate,
    )


@dataclass(frozen=True)
class XStateLayout:
    """Where this machine keeps what in its XSAVE area, from CPUID leaf 0xd.

    ``components`` maps a component number (2 AVX, 5 opmask, 6 ZMM_Hi256, 7 Hi16_ZMM) to (offset, size) in bytes.
    """

    size_bytes: int
    xcr0: int
    components: Mapping[int, tuple[int, int]]

    @property
    def vector_registers(self) -> int:
        """How many vector registers there are: 32 with AVX-512, else 16."""
        return 32 if 7 in self.components else 16

    @property
    def vector_bytes(self) -> int:
        """The width of the widest vector register."""
        return 64 if 6 in self.components else 32 if 2 in self.components else 16

    def build(
        self,
        vectors: Mapping[int, bytes] | None = None,
        masks: Mapping[int, int] | None = None,
        mxcsr: int = MXCSR_DEFAULT,
        base: bytes = b"",
    ) -> bytes:
        """An XSAVE area with the given vector registers (little-endian bytes, up to 64) and opmask registers.

        ``base`` is an area to start from, else the initial state (an empty x87 stack, control word 0x37f).
        """
        area = bytearray(base or bytes(self.size_bytes))
        if not base:
            struct.pack_into("<H", area, 0, X87_CONTROL_DEFAULT)
            struct.pack_into("<I", area, 28, 0xFFFF)
        struct.pack_into("<I", area, 24, mxcsr)
        present = struct.unpack_from("<Q", area, _XSTATE_BV)[0] | 3
        for number, value in (vectors or {}).items():
            padded = value.ljust(64, b"\0")
            for component, offset, start, end in self._pieces(number):
                area[offset : offset + end - start] = padded[start:end]
                present |= 1 << component
        for number, mask in (masks or {}).items():
            struct.pack_into("<Q", area, self.components[5][0] + 8 * number, mask)
            present |= 1 << 5
        struct.pack_into("<Q", area, _XSTATE_BV, present)
        return bytes(area)

    def vector(self, xstate: bytes, number: int) -> bytes:
        """Vector register ``number`` at its full width; a component in its initial state reads as zeros."""
        present = struct.unpack_from("<Q", xstate, _XSTATE_BV)[0]
        value = bytearray(self.vector_bytes)
        for component, offset, start, end in self._pieces(number):
            if present >> component & 1:
                value[start:end] = xstate[offset : offset + end - start]
        return bytes(value)

    def mask(self, xstate: bytes, number: int) -> int:
        """Opmask register ``number``; 0 on a machine without AVX-512."""
        present = struct.unpack_from("<Q", xstate, _XSTATE_BV)[0]
        if 5 not in self.components or not present >> 5 & 1:
            return 0
        return int(struct.unpack_from("<Q", xstate, self.components[5][0] + 8 * number)[0])

    def _pieces(self, number: int) -> list[tuple[int, int, int, int]]:
        """(component, offset, first byte, end byte) of the parts that hold vector register ``number``."""
        if number >= 16:
            return [(7, self.components[7][0] + 64 * (number - 16), 0, 64)]
        pieces = [(1, 160 + 16 * number, 0, 16)]
        if 2 in self.components:
            pieces.append((2, self.components[2][0] + 16 * number, 16, 32))
        if 6 in self.components:
            pieces.append((6, self.components[6][0] + 32 * number, 32, 64))
        return pieces


def mxcsr(xstate: bytes) -> int:
    """MXCSR; it is valid whatever XSTATE_BV says (Intel SDM volume 1, 13.4.2), except when nothing was saved."""
    present = struct.unpack_from("<Q", xstate, _XSTATE_BV)[0]
    return int(struct.unpack_from("<I", xstate, 24)[0]) if present & 6 else MXCSR_DEFAULT


@dataclass(frozen=True)
class X87State:
    """The x87 unit: control word, status word (TOP in bits 11 to 13), abridged tag byte, ST0 to ST7 of 10 bytes each."""

    control: int
    status: int
    tags: int
    stack: tuple[bytes, ...]


def x87(xstate: bytes) -> X87State:
    """The x87 state of an XSAVE area."""
    present = struct.unpack_from("<Q", xstate, _XSTATE_BV)[0]
    if not present & 1:
        return X87State(X87_CONTROL_DEFAULT, 0, 0, tuple(bytes(10) for _ in range(8)))
    control, status, tags = struct.unpack_from("<HHB", xstate, 0)
    return X87State(control, status, tags, tuple(xstate[32 + 16 * i : 42 + 16 * i] for i in range(8)))
