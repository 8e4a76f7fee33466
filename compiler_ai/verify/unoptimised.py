"""What the source itself does from a state, as the unit compiled without optimisation shows.

A baseline may survive, by the way that it counts, a call that no working program makes: `for (i = 0; i < n; i++) p[i]` of 8-byte
elements with n = 2^61 + 3 reads three of them when GCC compares with the wrapped end p + 8 * n. Where the unoptimised code touches
memory that is not there, so does the program as its author wrote it (ISO C11, 6.5.6: undefined), and what another body does there is no difference.
"""

from __future__ import annotations

from compiler_ai.sandbox.errors import SandboxError
from compiler_ai.sandbox.process import Outcome, OutcomeKind, cpu_limit_ns
from compiler_ai.verify.machine import Body, Machine
from compiler_ai.verify.state import EntryState

_SIGSEGV = 11
_UNMAPPED, _FORBIDDEN = 1, 2  # SEGV_MAPERR, SEGV_ACCERR; a misaligned vector access comes as SI_KERNEL
_STACK_BYTES = 1 << 20  # unoptimised frames are larger: a fault this little below the caller's says nothing


class Unoptimised:
    """The unit's code at -O0; without an object, or when it cannot be loaded, nothing is known of any state."""

    def __init__(self, machine: Machine, object_bytes: bytes, function: str) -> None:
        self._machine = machine
        self._body: Body | None = None
        try:
            self._body = Body(object_bytes, function) if object_bytes else None
        except SandboxError:
            pass

    def distrust(self) -> None:
        """It does not do what the program did: nothing that it does says anything any more."""
        self._body = None

    def run(self, state: EntryState, baseline_cpu_ns: int) -> Outcome | None:
        """Its run, within what a candidate may take; None when there can be none."""
        if self._body is None or state.answers is not None:
            return None
        try:
            body = self._body.at(self._machine.context(state))
        except SandboxError:
            self._body = None
            return None
        return self._machine.run(state, body, cpu_limit_ns(baseline_cpu_ns))

    def faults(self, state: EntryState, baseline_cpu_ns: int) -> bool:
        """Whether its run ends at memory that is not there; False when that cannot be told."""
        outcome = self.run(state, baseline_cpu_ns)
        return outcome is not None and lacks_memory(outcome, state.registers["rsp"])


def lacks_memory(outcome: Outcome, stack_pointer: int) -> bool:
    """Whether a run ended at memory that is not there, its own frame left out."""
    if outcome.kind is not OutcomeKind.FAULT:
        return False
    in_frame = 0 <= stack_pointer - outcome.fault_address < _STACK_BYTES
    return outcome.signal == _SIGSEGV and outcome.signal_code in (_UNMAPPED, _FORBIDDEN) and not in_frame
