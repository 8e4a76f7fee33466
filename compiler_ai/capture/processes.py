"""The breakpoints of one traced process: where its wanted functions are, what bytes belong there, which are armed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from compiler_ai.capture import ptrace
from compiler_ai.capture.modules import ModuleFile, Target, entry_point, files_bytes

BREAKPOINT = b"\xcc"
_CHECKED_BYTES = 16
_SEARCH_S, _SEARCH_AGAIN_S = 0.05, 1.0


class TracedProcess:
    """`places` maps entry addresses to targets, `sites` the addresses of direct calls to the entries that they call. Nothing is written where the memory is not the module's own code: a library
    may have been unloaded, and something else be there."""

    def __init__(
        self,
        process: int,
        files: Iterable[ModuleFile],
        targets: Sequence[Target],
        call_sites: Mapping[Target, Sequence[int]],
    ) -> None:
        """`call_sites` are link-time addresses. Raises OSError when the process is gone."""
        self.process = process
        self.memory = ptrace.Memory(process)
        self.armed: dict[int, bytes] = {}
        self.ever: set[int] = set()
        self.places: dict[int, tuple[Target, ModuleFile, int]] = {}
        self.sites: dict[int, int] = {}
        self.start = 0  # the program's entry point while a breakpoint waits there
        self.next_search_s = 0.0
        self._code: dict[int, bytes] = {}
        self._files = tuple(files)
        self._targets = targets
        self._call_sites = call_sites

    def close(self) -> None:
        self.memory.close()

    def search(self) -> None:
        """Find the modules that are loaded now. Raises OSError."""
        mappings = ptrace.mappings(self.process)
        places: dict[int, tuple[Target, ModuleFile, int]] = {}
        for module in self._files:
            bias = module.load_bias(mappings)
            if bias is None:
                continue
            for target in self._targets:
                if target.module == module.path:
                    places[bias + target.value] = (target, module, bias)
        sites = {
            bias + site: entry
            for entry, (target, _, bias) in places.items()
            for site in self._call_sites.get(target, ())
            if bias + site not in places
        }
        new = (places.keys() | sites.keys()) - (self.places.keys() | self.sites.keys())
        self._code.update(files_bytes(mappings, new, _CHECKED_BYTES))
        self.places, self.sites = places, sites
        for address in list(self.armed):
            if not self._is_armed(address):
                del self.armed[address]  # its module was unloaded since, and the breakpoint with it

    def search_when_due(self, now_s: float) -> None:
        """Raises OSError."""
        if now_s >= self.next_search_s:
            self.search()
            found = {module.path for _, module, _ in self.places.values()}
            self.next_search_s = now_s + (_SEARCH_S if len(found) < len(self._files) else _SEARCH_AGAIN_S)

    def wait_for_start(self) -> None:
        """Stop when the program reaches its entry point: its libraries are mapped by then. Raises OSError."""
        address = entry_point(self.process)
        if address:
            self._code.update(files_bytes(ptrace.mappings(self.process), [address], _CHECKED_BYTES))
            self.arm(address)
            self.start = address if address in self.armed else 0

    def adopt(self) -> None:
        """For a process that is a copy of another, as fork(2) makes it: find the breakpoints that were copied. Raises OSError."""
        self.search()
        mappings = ptrace.mappings(self.process)
        start = entry_point(self.process)
        self._code.update(files_bytes(mappings, [start], _CHECKED_BYTES))
        for address in (*self.places, *self.sites, start):
            original = self._code.get(address, b"")[:1]
            if original and original != BREAKPOINT and self.memory.read(address, 1) == BREAKPOINT:
                self.armed[address] = original
                self.ever.add(address)
                if address == start:
                    self.start = start

    def arm(self, address: int) -> None:
        code = self._code.get(address, b"")
        try:
            if not code or self.memory.read(address, len(code)) != code or code[:1] == BREAKPOINT:
                return
            self.memory.write(address, BREAKPOINT)
        except OSError:
            return
        self.armed[address] = code[:1]
        self.ever.add(address)

    def disarm(self, address: int) -> None:
        original = self.armed.pop(address, None)
        try:
            if original is not None and self.memory.read(address, 1) == BREAKPOINT:
                self.memory.write(address, original)
        except OSError:
            return  # no longer mapped, or the process has ended

    def _is_armed(self, address: int) -> bool:
        try:
            return self.memory.read(address, 1) == BREAKPOINT
        except OSError:
            return False

    def disarm_all(self) -> None:
        for address in list(self.armed):
            self.disarm(address)
