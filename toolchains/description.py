"""What a target description says. A new target is a new instance of `Toolchain` and its tests, never a branch in the engine."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class InstructionRules:
    """Which instructions a candidate may contain; mnemonics as capstone prints them in the target's own GNU as syntax.

    ``inherited`` ones (modes, fences, clocks) may occur only when the baseline function has them, the same number of times for
    those that other processors can see; likewise ``inherited_prefixes`` and segment registers in ``inherited_operands``.
    ``assembler_isa`` is -march= of GNU as for the baseline ISA; ``assembler_features`` maps GCC's -m names to as's extension names
    where they differ ("" for none).
    """

    allowed: frozenset[str]
    allowed_patterns: tuple[str, ...]  # regular expressions, matched against the whole mnemonic
    inherited: frozenset[str]
    inherited_prefixes: frozenset[str]
    inherited_operands: frozenset[str]
    refused_operands: frozenset[str]
    implicitly_locked: frozenset[str]  # atomic when they access memory
    padding: frozenset[str]  # what may stand between functions
    entry_marker: str  # landing pad at a function's entry, kept where the baseline has it
    indirect_jump_prefix: str  # what a table jump carries where functions have landing pads
    trap: frozenset[str]  # control does not go past these
    indirect_thunk_prefix: str  # retpolines: where the baseline calls these, no plain indirect branch
    return_thunk: str
    stack_guard_symbols: frozenset[str]
    assembler_isa: str
    assembler_features: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class AlignmentRules:
    """Which vector instructions fault when their memory operand's address is no multiple of its size.

    ``moves`` pairs those that do nothing but move with their forms for any address. ``loads`` are patterns of mnemonics that
    compute with such an operand, each with the move that loads it by itself, into one of ``scratch``: vector registers that
    calls clobber, each with a pattern of its names. Only statements that name a register with one of the prefixes ``registers``
    are concerned. ``faulting`` is a pattern of all that may fault, by capstone's mnemonics,
    when the operand has at least ``operand_bytes``; it may match more than that.
    """

    moves: tuple[tuple[str, str], ...]
    loads: tuple[tuple[str, str], ...]
    scratch: tuple[tuple[str, str], ...]
    registers: tuple[str, ...]
    faulting: str
    operand_bytes: int

    def move(self, mnemonic: str) -> str | None:
        """The form for any address of an aligned move."""
        return dict(self.moves).get(mnemonic)

    def load(self, mnemonic: str) -> str | None:
        """The move that loads a memory operand for `mnemonic`, which needs it aligned."""
        return next((move for pattern, move in self.loads if re.fullmatch(pattern, mnemonic)), None)


@dataclass(frozen=True)
class Toolchain:
    """One target: registers, ABI, object format and tools.

    Register names are those of GNU as without the ``%``; sub-registers are listed by their widest name.
    """

    name: str
    triples: tuple[str, ...]  # what `gcc -dumpmachine` may print
    elf_machine: str  # e_machine as pyelftools names it
    pointer_bytes: int
    page_bytes: int
    stack_pointer: str
    red_zone_bytes: int
    integer_arguments: tuple[str, ...]
    vector_arguments: tuple[str, ...]
    integer_returns: tuple[str, ...]
    vector_returns: tuple[str, ...]
    callee_saved: frozenset[str]
    call_clobbered: frozenset[str]
    library_symbols: frozenset[str]  # what a hosted candidate may call although its unit does not
    relocations: frozenset[str]  # ELF relocation types a candidate may need
    baseline_features: frozenset[str]  # ISA extensions every processor of the target has (GCC's -m names)
    cpu_flags: tuple[tuple[str, str], ...]  # GCC's -m name -> the flag's name in /proc/cpuinfo
    capstone: tuple[str, str]  # capstone's CS_ARCH_* and CS_MODE_* names
    system_call_headers: tuple[str, ...] = ()  # where the C library's headers name them, one of several places
    nop: str = "nop"
    program_counter: str = "pc"  # the register's name in operands that are relative to it
    instructions: InstructionRules | None = None  # None: no candidate passes the screen
    alignment: AlignmentRules | None = None  # None: no instruction faults for an address that is not aligned
