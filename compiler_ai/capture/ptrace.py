"""ptrace(2) for x86-64, as thin as it can be: registers, memory, stops, and system calls made by the tracee."""

from __future__ import annotations

import contextlib
import ctypes
import os
import struct
from dataclasses import dataclass

from compiler_ai.capture.format import GENERAL, Mapping, Registers
from compiler_ai.sandbox.state import USER_REGS, USER_REGS_FORMAT

CONT, SINGLESTEP, GETREGS, SETREGS, SYSCALL, DETACH = 7, 9, 12, 13, 24, 17
SETOPTIONS, GETEVENTMSG, GETSIGINFO, GETREGSET, SEIZE, INTERRUPT, LISTEN = (
    0x4200, 0x4201, 0x4202, 0x4204, 0x4206, 0x4207, 0x4208,
)  # fmt: skip
GETSIGMASK, SETSIGMASK = 0x420A, 0x420B
GET_RSEQ_CONFIGURATION = 0x420F
O_TRACESYSGOOD, O_TRACEFORK, O_TRACEVFORK, O_TRACECLONE, O_TRACEEXEC, O_EXITKILL = 1, 2, 4, 8, 16, 1 << 20
EVENT_FORK, EVENT_VFORK, EVENT_CLONE, EVENT_EXEC, EVENT_STOP = 1, 2, 3, 4, 128
WALL = 0x40000000
_NT_X86_XSTATE = 0x202
_SYNCHRONOUS = (
    4,
    5,
    7,
    8,
    11,
    31,
)  # SIGILL, SIGTRAP, SIGBUS, SIGFPE, SIGSEGV, SIGSYS: caused by the instruction itself
_ASYNCHRONOUS_MASK = ((1 << 64) - 1) & ~sum(1 << (number - 1) for number in _SYNCHRONOUS)
_XSTATE_ROOM_BYTES = 16384
_ORIG_RAX, _RIP, _RAX = 15, 16, 10
_PROTECTION = {"r": 1, "w": 2, "x": 4}
_ARGUMENTS = (14, 13, 12, 7, 9, 8)  # rdi rsi rdx r10 r8 r9 in struct user_regs_struct

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.restype = ctypes.c_long
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]


class _IoVector(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


def request(number: int, thread: int, address: int = 0, data: int = 0) -> int:
    """One ptrace call. Raises OSError (ProcessLookupError when the thread is gone)."""
    ctypes.set_errno(0)
    result = _libc.ptrace(number, thread, address, data)
    if result == -1 and (number := ctypes.get_errno()):
        raise OSError(number, os.strerror(number))
    return int(result)


def disable_randomisation() -> None:
    """personality(ADDR_NO_RANDOMIZE), kept across exec."""
    _libc.personality(0x0040000)


def event_message(thread: int) -> int:
    value = ctypes.c_ulong()
    request(GETEVENTMSG, thread, 0, ctypes.addressof(value))
    return value.value


@dataclass(frozen=True)
class SignalInfo:
    """siginfo_t's signal, code and faulting address."""

    signal: int
    code: int
    address: int


def signal_info(thread: int) -> SignalInfo:
    room = ctypes.create_string_buffer(128)
    request(GETSIGINFO, thread, 0, ctypes.addressof(room))
    signal, _, code = struct.unpack_from("<iii", room)
    return SignalInfo(signal, code, struct.unpack_from("<Q", room, 16)[0])


def raw_registers(thread: int) -> bytes:
    room = ctypes.create_string_buffer(USER_REGS_FORMAT.size)
    request(GETREGS, thread, 0, ctypes.addressof(room))
    return room.raw


def set_raw_registers(thread: int, raw: bytes) -> None:
    room = ctypes.create_string_buffer(raw, len(raw))
    request(SETREGS, thread, 0, ctypes.addressof(room))


def instruction_pointer(raw: bytes) -> int:
    return int(struct.unpack_from("<Q", raw, 8 * _RIP)[0])


def with_instruction_pointer(raw: bytes, address: int) -> bytes:
    return raw[: 8 * _RIP] + struct.pack("<Q", address) + raw[8 * _RIP + 8 :]


def registers(thread: int) -> Registers:
    """Everything: general registers, flags, bases and extended state."""
    room = ctypes.create_string_buffer(_XSTATE_ROOM_BYTES)
    vector = _IoVector(ctypes.addressof(room), _XSTATE_ROOM_BYTES)
    request(GETREGSET, thread, _NT_X86_XSTATE, ctypes.addressof(vector))
    values = dict(zip(USER_REGS, USER_REGS_FORMAT.unpack(raw_registers(thread)), strict=True))
    general = {name: values[name] for name in GENERAL}
    bases = values["fs_base"], values["gs_base"]
    return Registers(general, values["rip"], values["rflags"], *bases, room.raw[: vector.length])


def rseq_configuration(thread: int) -> tuple[int, int, int]:
    """(address, size, signature) of the thread's restartable sequence area; address 0 when there is none."""
    room = ctypes.create_string_buffer(24)
    try:
        request(GET_RSEQ_CONFIGURATION, thread, 24, ctypes.addressof(room))
    except OSError:
        return 0, 0, 0
    address, size, signature = struct.unpack_from("<QII", room)
    return address, size, signature


def wait_for(thread: int) -> int:
    return os.waitpid(thread, WALL)[1]


def signal_mask(thread: int) -> int:
    """The thread's blocked signals, bit n-1 for signal n."""
    value = ctypes.c_uint64()
    request(GETSIGMASK, thread, 8, ctypes.addressof(value))
    return value.value


def set_signal_mask(thread: int, mask: int) -> None:
    value = ctypes.c_uint64(mask)
    request(SETSIGMASK, thread, 8, ctypes.addressof(value))


def remote_call(thread: int, gadget: int, number: int, *arguments: int) -> tuple[int, list[int]]:
    """Make a stopped thread do one system call at `gadget`, the address of a `syscall` instruction.

    Returns its result and the threads that it created; these keep asynchronous signals blocked. Registers and signal mask
    are as before afterwards, and signals that arrive meanwhile stay pending. Raises OSError when the thread stops for
    anything else.
    """
    mask = signal_mask(thread)
    set_signal_mask(thread, _ASYNCHRONOUS_MASK)
    try:
        return _step_over_call(thread, gadget, number, arguments)
    finally:
        with contextlib.suppress(ProcessLookupError):
            set_signal_mask(thread, mask)


def _step_over_call(thread: int, gadget: int, number: int, arguments: tuple[int, ...]) -> tuple[int, list[int]]:
    saved = raw_registers(thread)
    fields = list(USER_REGS_FORMAT.unpack(saved))
    fields[_RIP], fields[_RAX], fields[_ORIG_RAX] = gadget, number, 0xFFFFFFFFFFFFFFFF
    for index, value in zip(_ARGUMENTS, (*arguments, 0, 0, 0, 0, 0, 0), strict=False):
        fields[index] = value & 0xFFFFFFFFFFFFFFFF
    set_raw_registers(thread, USER_REGS_FORMAT.pack(*fields))
    created = []
    while True:
        request(SINGLESTEP, thread)
        status = wait_for(thread)
        if not os.WIFSTOPPED(status) or os.WSTOPSIG(status) & 0x7F != 5:
            raise OSError(5, f"a system call made in thread {thread} ended with status {status:#x}")
        event = status >> 16
        if event in (EVENT_CLONE, EVENT_FORK, EVENT_VFORK):
            created.append(event_message(thread))
        if event == 0:
            break
    after = USER_REGS_FORMAT.unpack(raw_registers(thread))
    set_raw_registers(thread, saved)
    result = after[_RAX]
    return (result - (1 << 64) if result >> 63 else result), created


class Memory:
    """A process's memory through /proc/PID/mem, whatever its protections."""

    def __init__(self, process: int) -> None:
        self._file = open(f"/proc/{process}/mem", "r+b", buffering=0)  # noqa: SIM115  # closed by close()

    def read(self, address: int, size: int) -> bytes:
        return os.pread(self._file.fileno(), size, address)

    def write(self, address: int, data: bytes) -> None:
        os.pwrite(self._file.fileno(), data, address)

    def close(self) -> None:
        self._file.close()


def mappings(process: int) -> list[Mapping]:
    """/proc/PID/maps, parsed."""
    found = []
    with open(f"/proc/{process}/maps", encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            fields = line.rstrip("\n").split(None, 5)
            start, _, end = fields[0].partition("-")
            path = fields[5] if len(fields) > 5 else ""
            protection = sum(bit for letter, bit in _PROTECTION.items() if letter in fields[1])
            found.append(Mapping(int(start, 16), int(end, 16), protection, path, int(fields[2], 16)))
    return found
