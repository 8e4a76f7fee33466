"""ptrace(2) for x86-64, as thin as it can be: registers, memory, stops, and system calls made by the tracee."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import struct
from dataclasses import dataclass

from compiler_ai.capture.errors import RemoteCallError
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
# Everything but SIGTRAP, which single steps need (the kernel resets a blocked one's disposition when it forces it).
_QUIET_MASK = ((1 << 64) - 1) & ~(1 << 4)
_XSTATE_ROOM_BYTES = 16384
_ORIG_RAX, _RIP, _RAX, _RSP = 15, 16, 10, 19
_PROTECTION = {"r": 1, "w": 2, "x": 4}
_ARGUMENTS = (14, 13, 12, 7, 9, 8)  # rdi rsi rdx r10 r8 r9 in struct user_regs_struct

_TRAP_TRACE = 2  # si_code
_SYS_KCMP, _KCMP_VM = 312, 1

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
    number, _, code = struct.unpack_from("<iii", room)
    return SignalInfo(number, code, struct.unpack_from("<Q", room, 16)[0])


def has_stepped(thread: int) -> bool:
    """Whether a thread that stopped with SIGTRAP has made a single step, and did not come to a breakpoint."""
    return signal_info(thread).code == _TRAP_TRACE


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

    Returns its result and the threads that it created; these keep signals blocked. Registers and signal mask are as
    before afterwards, and signals that arrive meanwhile stay pending; a group stop that begins meanwhile follows at once when the
    thread goes on. Raises RemoteCallError when the thread ends or stops for anything else.
    """
    created: list[int] = []
    try:
        mask = signal_mask(thread)
        set_signal_mask(thread, _QUIET_MASK)
        try:
            return _step_over_call(thread, gadget, number, arguments, created), created
        finally:
            with contextlib.suppress(ProcessLookupError):
                set_signal_mask(thread, mask)
    except RemoteCallError:
        _discard(created)
        raise
    except OSError as error:
        _discard(created)
        raise RemoteCallError(f"thread {thread} was lost: {error.strerror}") from error


def _step_over_call(thread: int, gadget: int, number: int, arguments: tuple[int, ...], created: list[int]) -> int:
    saved = raw_registers(thread)
    fields = list(USER_REGS_FORMAT.unpack(saved))
    fields[_RIP], fields[_RAX], fields[_ORIG_RAX] = gadget, number, 0xFFFFFFFFFFFFFFFF
    for index, value in zip(_ARGUMENTS, (*arguments, 0, 0, 0, 0, 0, 0), strict=False):
        fields[index] = value & 0xFFFFFFFFFFFFFFFF
    set_raw_registers(thread, USER_REGS_FORMAT.pack(*fields))
    group_stop = False
    while True:
        request(SINGLESTEP, thread)
        status = wait_for(thread)
        if not os.WIFSTOPPED(status):
            raise RemoteCallError(f"thread {thread} ended", status)
        event = status >> 16
        if event in (EVENT_CLONE, EVENT_FORK, EVENT_VFORK):
            created.append(event_message(thread))
        elif event == EVENT_STOP:
            group_stop = True
        else:
            break
    raw = raw_registers(thread)
    set_raw_registers(thread, saved)
    if group_stop:
        request(INTERRUPT, thread)  # it reports the stop again where its tracer can heed it
    if event or os.WSTOPSIG(status) != 5 or instruction_pointer(raw) == gadget:
        raise RemoteCallError(f"thread {thread} stopped with status {status:#x}", status)
    result = int(USER_REGS_FORMAT.unpack(raw)[_RAX])
    return result - (1 << 64) if result >> 63 else result


def _discard(created: list[int]) -> None:
    for thread in created:
        kill(thread)


def kill(process: int) -> None:
    """Kill a traced process that is ours alone, and wait for its end."""
    try:
        os.kill(process, signal.SIGKILL)
        while os.WIFSTOPPED(wait_for(process)):
            pass
    except (ProcessLookupError, ChildProcessError):
        pass


def shares_memory(process: int, other: int) -> bool:
    """kcmp(2), KCMP_VM: whether two processes have one address space, as between vfork and exec."""
    return int(_libc.syscall(_SYS_KCMP, process, other, _KCMP_VM, 0, 0)) == 0


def stack_pointer(raw: bytes) -> int:
    return int(struct.unpack_from("<Q", raw, 8 * _RSP)[0])


def call_number(raw: bytes) -> int:
    """The system call at whose stop the registers were read."""
    return int(struct.unpack_from("<Q", raw, 8 * _ORIG_RAX)[0])


def has_filter(process: int) -> bool:
    """Whether the process runs under seccomp(2), which may kill it for a system call that it does not expect."""
    with open(f"/proc/{process}/status", encoding="ascii", errors="replace") as file:
        return any(line.startswith("Seccomp:") and line.split()[1] != "0" for line in file)


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


@dataclass(frozen=True)
class SharedMapping(Mapping):
    """A mapping whose stores other processes see (MAP_SHARED)."""


def mappings(process: int) -> list[Mapping]:
    """/proc/PID/maps, parsed. Raises OSError when the process is gone."""
    found: list[Mapping] = []
    with open(f"/proc/{process}/maps", encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            fields = line.rstrip("\n").split(None, 5)
            start, _, end = fields[0].partition("-")
            path = fields[5] if len(fields) > 5 else ""
            protection = sum(bit for letter, bit in _PROTECTION.items() if letter in fields[1])
            kind = SharedMapping if fields[1][3] == "s" else Mapping
            found.append(kind(int(start, 16), int(end, 16), protection, path, int(fields[2], 16)))
    return found
