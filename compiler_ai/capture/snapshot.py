"""Captures one call in a copy of the process: every page that the call touches is saved on the fault it causes."""

from __future__ import annotations

import errno
import os
import resource
import signal
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import pairwise

from compiler_ai.capture import library, ptrace, systemcalls
from compiler_ai.capture.errors import RemoteCallError
from compiler_ai.capture.format import PAGE_BYTES, Capture, Mapping, Module, Page
from compiler_ai.capture.modules import ModuleFile, Target
from compiler_ai.toolchains.x86_64 import X86_64

# Canonical, and in no mapping that Linux makes with address space randomisation off.
RETURN_ADDRESS = 0x6A1C_C0DE_0000
# Blocked in the copy: everything but what instructions cause (SIGILL, SIGTRAP, SIGBUS, SIGFPE, SIGSEGV, SIGSYS) and SIGXCPU.
_COPY_MASK = ((1 << 64) - 1) & ~sum(1 << (number - 1) for number in (4, 5, 7, 8, 11, 24, 31))
_EXITS = {60: "it ends its thread and never returns", 231: "it ends its process and never returns"}
_LEAVES = "it leaves by longjmp or another way than its return"
_SYS_MPROTECT, _SYS_RSEQ, _SYS_CLONE = 10, 334, 56
_RSEQ_UNREGISTER = 1
_WRITE, _EXECUTE = 2, 4
_STACK_GROWTH_BYTES = 8 << 20
_MATHEMATICAL = "libm.so"
_LINKED_BYTES = 8 * PAGE_BYTES  # more than a library's table of addresses takes
_CLOCK_AREAS = ("[vvar]", "[vvar_vclock]", "[vsyscall]")


@dataclass(frozen=True)
class SnapshotLimits:
    """Bounds of one capture; a call beyond them is abandoned with the reason."""

    pages: int = 4096
    cpu_s: int = 3


class AbandonedError(Exception):
    """The call cannot be captured; the message says why."""


def find_gadget(process: int, memory: ptrace.Memory) -> int:
    """The address of a `syscall` instruction in the process: the vdso has one, else any executable mapping.

    Raises AbandonedError.
    """
    found = [m for m in ptrace.mappings(process) if m.prot & _EXECUTE and m.file != "[vsyscall]"]
    for mapping in sorted(found, key=lambda m: m.file != "[vdso]"):
        try:
            position = memory.read(mapping.start, mapping.end - mapping.start).find(b"\x0f\x05")
        except OSError:
            continue
        if position >= 0:
            return mapping.start + position
    raise AbandonedError("no system call instruction was found in the process")


def take(
    thread: int,
    target: Target,
    module: ModuleFile,
    bias: int,
    armed: dict[int, bytes],
    gadget: int,
    ordinal: int,
    limits: SnapshotLimits,
) -> Capture:
    """Capture the call whose entry `thread` is stopped at; the thread itself is left exactly as it was.

    `armed` maps the addresses of breakpoints in the process to the bytes that belong there. Raises AbandonedError, and
    RemoteCallError with a status when `thread` stopped or ended meanwhile, which its tracer has to heed.
    """
    try:
        if ptrace.has_filter(thread):
            raise AbandonedError("the process runs under seccomp, which might end it for being copied")
        entry = ptrace.raw_registers(thread)
    except OSError as error:
        raise AbandonedError(f"the thread was lost: {error.strerror}") from error
    result, created = ptrace.remote_call(thread, gadget, _SYS_CLONE, 0)
    if result <= 0 or not created:
        raise AbandonedError(f"the process could not be copied: {os.strerror(-result)}")
    copy = created[0]
    try:
        ptrace.wait_for(copy)
        return _Snapshot(copy, entry, target, module, bias, armed, gadget, limits).run(ordinal)
    except (OSError, RemoteCallError) as error:
        raise AbandonedError(f"the copy was lost: {error}") from error
    finally:
        ptrace.kill(copy)


class _Snapshot:
    """One copy of the process, from its creation to the return of the call."""

    def __init__(
        self,
        copy: int,
        entry: bytes,
        target: Target,
        module: ModuleFile,
        bias: int,
        armed: dict[int, bytes],
        gadget: int,
        limits: SnapshotLimits,
    ) -> None:
        self._copy = copy
        self._entry = entry
        self._target = target
        self._module = module
        self._bias = bias
        self._armed = armed
        self._gadget = gadget
        self._limits = limits
        self._memory = ptrace.Memory(copy)
        self._mappings: list[Mapping] = []
        self._library: tuple[library.LibraryFile, int] | None = None  # with its load bias
        self._pages: dict[int, Page] = {}
        self._frame_end = 0  # the stack pointer behind the call's return

    def run(self, ordinal: int) -> Capture:
        try:
            return self._run(ordinal)
        finally:
            self._memory.close()

    def _run(self, ordinal: int) -> Capture:
        copy = self._copy
        ptrace.request(ptrace.SETOPTIONS, copy, 0, ptrace.O_TRACESYSGOOD | ptrace.O_EXITKILL)
        ptrace.set_signal_mask(copy, _COPY_MASK)
        _, most_s = resource.prlimit(copy, resource.RLIMIT_CPU)
        most_s = self._limits.cpu_s + 1 if most_s < 0 else min(most_s, self._limits.cpu_s + 1)
        resource.prlimit(copy, resource.RLIMIT_CPU, (min(most_s, self._limits.cpu_s), most_s))
        for address, original in self._armed.items():
            self._memory.write(address, original)
        self._mappings = ptrace.mappings(copy)
        self._library = library.of(self._mappings, X86_64.library_symbols)
        symbols = self._bound_symbols()
        address, size, signature = ptrace.rseq_configuration(copy)
        if address:
            ptrace.remote_call(copy, self._gadget, _SYS_RSEQ, address, size, _RSEQ_UNREGISTER, signature)
        self._protect_everything()
        ptrace.set_raw_registers(copy, self._entry)  # the copy itself stands behind the clone
        entry = ptrace.registers(copy)
        self._frame_end = entry["rsp"] + 8
        self._memory.write(entry["rsp"], RETURN_ADDRESS.to_bytes(8, "little"))
        impure = self._until_return()
        after = None if impure else ptrace.registers(copy)
        self._pages = {**self._library_pages(), **self._mathematical_pages(entry.fs_base), **self._pages}
        changed = {}
        if not impure:
            for page_address, page in self._pages.items():
                data = self._memory.read(page_address, PAGE_BYTES)
                if data != page.data:
                    changed[page_address] = data
        return Capture(
            function=self._target.symbol,
            address=self._target.value,
            module=Module(self._module.path, self._module.build_id, self._bias),
            registers=entry,
            exit_registers=after,
            pages=dict(sorted(self._pages.items())),
            changed=changed,
            mappings=tuple(Mapping(m.start, m.end, m.prot, m.file, m.offset) for m in self._mappings),
            symbols=symbols,
            return_address=RETURN_ADDRESS,
            impure=impure,
            cpu_ns=_cpu_ns(copy),
            ordinal=ordinal,
        )

    def _bound_symbols(self) -> dict[str, int]:
        """The addresses that the module's GOT is bound to, and those of functions that a compiler may call on its own."""
        symbols: dict[str, int] = {}
        if self._library is not None:
            known, bias = self._library
            symbols = {name: bias + at for name, at in known.functions.items()}
            symbols |= self._words({name: bias + slot for name, slot in known.slots.items()})
        return symbols | self._words({name: self._bias + slot for name, slot in self._module.slots.items()})

    def _words(self, slots: dict[str, int]) -> dict[str, int]:
        words = {}
        for name, address in slots.items():
            try:
                value = int.from_bytes(self._memory.read(address, 8), "little")
            except OSError:
                continue
            if value:
                words[name] = value
        return words

    def _library_pages(self) -> dict[int, Page]:
        """The C library's own variables: its memset and memcpy read them, whether or not this call came there."""
        if self._library is None:
            return {}
        known, bias = self._library
        return self._untouched(range(bias + known.data[0], bias + known.data[1], PAGE_BYTES))

    def _mathematical_pages(self, thread_pointer: int) -> dict[int, Page]:
        """What mathematical functions come to only where their argument is out of range: the variables of their library, and errno. The
        addresses that the dynamic linker has put there lie just before the variables."""
        found: dict[int, Page] = {}
        for before, mapping in pairwise(self._mappings):
            if mapping.prot & _WRITE and os.path.basename(mapping.file).startswith(_MATHEMATICAL):
                follows = before.file == mapping.file and before.end == mapping.start
                start = before.start if follows and before.end - before.start <= _LINKED_BYTES else mapping.start
                found |= self._untouched(range(start, mapping.end, PAGE_BYTES))
        if found:
            page = thread_pointer & ~(PAGE_BYTES - 1)
            found |= self._untouched(range(page - PAGE_BYTES, page + PAGE_BYTES, PAGE_BYTES))
        return found

    def _untouched(self, addresses: Iterable[int]) -> dict[int, Page]:
        """Those of the pages that there are and that the call did not come to."""
        pages = {}
        for address in addresses:
            mapping = next((m for m in self._mappings if m.start <= address < m.end and m.prot), None)
            if mapping is not None and address not in self._pages:
                pages[address] = Page(mapping.prot, self._memory.read(address, PAGE_BYTES))
        return pages

    def _protect_everything(self) -> None:
        for mapping in self._mappings:
            if mapping.file in ("[vdso]", "[vsyscall]") or mapping.prot == 0:
                continue
            result, _ = ptrace.remote_call(
                self._copy, self._gadget, _SYS_MPROTECT, mapping.start, mapping.end - mapping.start, 0
            )
            if result < 0 and mapping.file not in _CLOCK_AREAS:
                raise AbandonedError(f"a mapping cannot be protected: {os.strerror(-result)}")

    def _until_return(self) -> str:
        """Let the call run to its end; return "" or why it is impure. Raises AbandonedError."""
        copy = self._copy
        while True:
            ptrace.request(ptrace.SYSCALL, copy)
            status = ptrace.wait_for(copy)
            if not os.WIFSTOPPED(status):
                raise AbandonedError(f"the call ended its process (status {status:#x})")
            number, raw = os.WSTOPSIG(status), ptrace.raw_registers(copy)
            at_return = ptrace.instruction_pointer(raw) == RETURN_ADDRESS
            if number == signal.SIGSEGV and at_return and ptrace.stack_pointer(raw) == self._frame_end:
                return ""
            if self._has_left(raw):
                return _LEAVES
            if number == signal.SIGTRAP | 0x80:
                made = ptrace.call_number(raw)
                return _EXITS.get(
                    made, f"it makes a system call ({systemcalls.named(made, X86_64.system_call_headers)})"
                )
            if number == signal.SIGXCPU:
                raise AbandonedError(f"the call takes more than {self._limits.cpu_s} s, or never returns")
            if number != signal.SIGSEGV:
                raise AbandonedError(f"the call ends in {signal.Signals(number).name}")
            impure = self._touched(ptrace.signal_info(copy).address & ~(PAGE_BYTES - 1))
            if impure:
                return impure

    def _has_left(self, raw: bytes) -> bool:
        """Whether the stack, still the same one, is back beyond the call's own frame, or was so: what came afterwards overwrote the
        return address."""
        if self._memory.read(self._frame_end - 8, 8) != RETURN_ADDRESS.to_bytes(8, "little"):
            return True
        stack = next((m for m in self._mappings if m.start < self._frame_end <= m.end), None)
        return stack is not None and self._frame_end < ptrace.stack_pointer(raw) < stack.end

    def _touched(self, address: int) -> str:
        """Save the page at `address` and give it back its protection; return why the call is impure, or ""."""
        mapping = next((m for m in self._mappings if m.start <= address < m.end), None)
        if mapping is None:
            mapping = self._grown_stack(address)
        if mapping is None or mapping.prot == 0 or address in self._pages:
            raise AbandonedError(f"the call faults at {address:#x}")
        if mapping.file in _CLOCK_AREAS:
            return "it reads the clock"
        if isinstance(mapping, ptrace.SharedMapping) and mapping.prot & _WRITE:
            return "it uses memory that other processes share"
        if len(self._pages) >= self._limits.pages:
            raise AbandonedError(f"the call touches more than {self._limits.pages} pages")
        try:
            data = self._memory.read(address, PAGE_BYTES)
        except OSError as error:
            raise AbandonedError(
                f"page {address:#x} cannot be read: {errno.errorcode.get(error.errno or 0)}"
            ) from error
        self._pages[address] = Page(mapping.prot, data)
        result, _ = ptrace.remote_call(self._copy, self._gadget, _SYS_MPROTECT, address, PAGE_BYTES, mapping.prot)
        if result < 0:
            raise AbandonedError(f"page {address:#x} cannot be opened again: {os.strerror(-result)}")
        return ""

    def _grown_stack(self, address: int) -> Mapping | None:
        stack = next((m for m in self._mappings if m.file == "[stack]"), None)
        if stack is not None and stack.start - _STACK_GROWTH_BYTES <= address < stack.start:
            return replace(stack, start=address, end=stack.start)
        return None


def _cpu_ns(thread: int) -> int:
    """The CPU time of a thread (proc(5), schedstat); it includes the faults, so it is an upper bound."""
    try:
        with open(f"/proc/{thread}/schedstat", encoding="ascii") as file:
            return int(file.read().split()[0])
    except (OSError, ValueError, IndexError):
        return 0
