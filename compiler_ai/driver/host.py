"""What the processor that aicc runs on can do, in GCC's -m names."""

from __future__ import annotations

from collections.abc import Iterable

from compiler_ai.toolchains.description import Toolchain
from compiler_ai.toolchains.x86_64 import X86_64


def features(toolchain: Toolchain = X86_64, cpuinfo: str = "/proc/cpuinfo") -> frozenset[str]:
    """The ISA extensions of this machine's processor; only the baseline ones when /proc/cpuinfo cannot be read."""
    flags: set[str] = set()
    try:
        with open(cpuinfo, encoding="utf-8") as file:
            for line in file:
                if line.startswith(("flags", "Features")):
                    flags.update(line.partition(":")[2].split())
                    break
    except OSError:
        pass
    return toolchain.baseline_features | {name for name, flag in toolchain.cpu_flags if flag in flags}


def missing_features(wanted: Iterable[str]) -> tuple[str, ...]:
    have = features()
    return tuple(name for name in wanted if name not in have)


def machine_name(cpuinfo: str = "/proc/cpuinfo") -> str:
    """The processor's model name, for evidence and reports; "unknown" when it cannot be read."""
    try:
        with open(cpuinfo, encoding="utf-8") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return "unknown"
