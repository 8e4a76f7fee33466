"""What a compiler's arguments mean, asked from the compiler's own predefined macros.

Distributions configure GCC differently (Debian: PIE by default; Ubuntu: CET and stack protector too), so the effective
defaults are read and then given to the other compiler explicitly.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from compiler_ai.toolchains.description import Toolchain

# GCC's -m name -> clang's, where they differ; and the macro, where it is not the name in capitals.
_CLANG_NAMES = {"abm": "lzcnt"}
_MACROS = {"cx16": "__GCC_HAVE_SYNC_COMPARE_AND_SWAP_16", "sahf": "__LAHF_SAHF__", "fxsr": "__FXSR__"}


def parse_macros(text: str) -> dict[str, str]:
    """`#define NAME VALUE` lines, as -dM -E prints them."""
    macros = {}
    for line in text.splitlines():
        if line.startswith("#define "):
            name, _, value = line[len("#define ") :].partition(" ")
            macros[name] = value
    return macros


def features(macros: Mapping[str, str], toolchain: Toolchain) -> frozenset[str]:
    """The ISA extensions (GCC's -m names) that a compile with these predefined macros may use."""
    names = {name for name, _ in toolchain.cpu_flags} | set(toolchain.baseline_features)
    return frozenset(name for name in names if _MACROS.get(name, f"__{name.upper().replace('.', '_')}__") in macros)


def clang_feature(name: str) -> str:
    return _CLANG_NAMES.get(name, name)


def fast_math(macros: Mapping[str, str]) -> bool:
    return "__FAST_MATH__" in macros


def position_arguments(macros: Mapping[str, str]) -> tuple[str, ...]:
    """The position independence that a compile with these macros has, as explicit arguments."""
    if "__PIE__" in macros:
        return ("-fpie" if macros["__PIE__"] == "1" else "-fPIE",)
    if "__PIC__" in macros:
        return ("-fpic" if macros["__PIC__"] == "1" else "-fPIC",)
    return ("-fno-pic",)


def data_arguments(macros: Mapping[str, str], arguments: Sequence[str]) -> tuple[str, ...]:
    """What has Clang reach other units' variables as GCC does: in a program directly, without the global offset table."""
    said = [word for word in arguments if word in ("-mdirect-extern-access", "-mno-direct-extern-access")]
    is_direct = "__PIC__" not in macros or "__PIE__" in macros
    return ("-fdirect-access-external-data",) if is_direct and said[-1:] != ["-mno-direct-extern-access"] else ()


def hardening_arguments(macros: Mapping[str, str]) -> tuple[str, ...]:
    """Stack protector and control-flow protection, as explicit arguments."""
    protection = {"1": "branch", "2": "return", "3": "full"}.get(macros.get("__CET__", ""), "none")
    protector = "-fno-stack-protector"
    for macro, argument in (
        ("__SSP__", "-fstack-protector"),
        ("__SSP_STRONG__", "-fstack-protector-strong"),
        ("__SSP_ALL__", "-fstack-protector-all"),
    ):
        if macro in macros:
            protector = argument
    return (protector, f"-fcf-protection={protection}")


def forbidden(arguments: Iterable[str]) -> frozenset[str]:
    """The ISA extensions that the unit's own options switch off."""
    return frozenset(word[len("-mno-") :] for word in arguments if word.startswith("-mno-"))


def without_vectors(arguments: Iterable[str]) -> bool:
    """Whether the unit keeps away from vector registers (kernels, interrupt code): then no extension may be added."""
    return any(
        word in ("-mgeneral-regs-only", "-mno-sse", "-mno-sse2", "-msoft-float", "-mcmodel=kernel", "-mno-mmx")
        for word in arguments
    )
