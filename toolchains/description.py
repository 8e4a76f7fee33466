"""What a target description says. A new target is a new instance of `Toolchain` and its tests, never a branch in the engine."""

from __future__ import annotations

from dataclasses import dataclass


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
    nop: str = "nop"
