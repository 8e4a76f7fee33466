"""The one-time CPU check of -faicc-isa=dispatch on x86-64.

Sources: Intel SDM volume 1 chapter 14.3 (detecting AVX: OSXSAVE, then XCR0) and 15.2 (AVX-512), volume 2 "CPUID"; AMD APM volume 3
appendix E for leaf 0x80000001. Names are GCC's -m names.
"""

from __future__ import annotations

from collections.abc import Iterable

# feature -> (leaf, subleaf, register, bit)
_BITS: dict[str, tuple[int, int, str, int]] = {
    "sse3": (1, 0, "ecx", 0), "pclmul": (1, 0, "ecx", 1), "ssse3": (1, 0, "ecx", 9), "fma": (1, 0, "ecx", 12),
    "cx16": (1, 0, "ecx", 13), "sse4.1": (1, 0, "ecx", 19), "sse4.2": (1, 0, "ecx", 20), "movbe": (1, 0, "ecx", 22),
    "popcnt": (1, 0, "ecx", 23), "aes": (1, 0, "ecx", 25), "osxsave": (1, 0, "ecx", 27), "avx": (1, 0, "ecx", 28),
    "f16c": (1, 0, "ecx", 29), "rdrnd": (1, 0, "ecx", 30),
    "bmi": (7, 0, "ebx", 3), "avx2": (7, 0, "ebx", 5), "bmi2": (7, 0, "ebx", 8), "avx512f": (7, 0, "ebx", 16),
    "avx512dq": (7, 0, "ebx", 17), "rdseed": (7, 0, "ebx", 18), "adx": (7, 0, "ebx", 19), "avx512ifma": (7, 0, "ebx", 21),
    "clflushopt": (7, 0, "ebx", 23), "avx512cd": (7, 0, "ebx", 28), "sha": (7, 0, "ebx", 29), "avx512bw": (7, 0, "ebx", 30),
    "avx512vl": (7, 0, "ebx", 31), "avx512vbmi": (7, 0, "ecx", 1), "avx512vbmi2": (7, 0, "ecx", 6), "gfni": (7, 0, "ecx", 8),
    "vaes": (7, 0, "ecx", 9), "vpclmulqdq": (7, 0, "ecx", 10), "avx512vnni": (7, 0, "ecx", 11),
    "avx512bitalg": (7, 0, "ecx", 12), "avx512vpopcntdq": (7, 0, "ecx", 14), "avx512bf16": (7, 1, "eax", 5),
    "sahf": (0x80000001, 0, "ecx", 0), "lzcnt": (0x80000001, 0, "ecx", 5), "abm": (0x80000001, 0, "ecx", 5),
    "sse4a": (0x80000001, 0, "ecx", 6), "prfchw": (0x80000001, 0, "ecx", 8),
}  # fmt: skip
# What a feature brings along: assemblers accept those instructions too once the feature is enabled.
_IMPLIED: dict[str, tuple[str, ...]] = {
    "ssse3": ("sse3",), "sse4.1": ("ssse3",), "sse4.2": ("sse4.1", "popcnt"), "avx": ("sse4.2", "osxsave"), "avx2": ("avx",),
    "fma": ("avx",), "f16c": ("avx",), "sse4a": ("sse3",), "abm": ("popcnt",), "vaes": ("avx", "aes"),
    "vpclmulqdq": ("avx", "pclmul"), "avx512f": ("avx2", "fma", "f16c"),
}  # fmt: skip
_YMM_STATE, _ZMM_STATE = 0x06, 0xE6  # XCR0: SSE and AVX; and opmask, upper halves, zmm16 to zmm31
_BASE = frozenset({"mmx", "sse", "sse2", "fxsr"})
_PRESERVED = ("rax", "rbx", "rcx", "rdx")  # what CPUID and XGETBV write

KNOWN = frozenset(_BITS) - {"osxsave"} | _BASE
LANDING_PAD = "endbr64"


def entry(state: str, slow: str) -> str:
    """What stands in front of the rewrite. The byte at `state` is 0 before the check, 1 for the baseline, 2 for the rewrite.

    Writes the flags and nothing else: no argument register, no stack.
    """
    return f"\tcmpb\t$1, {state}(%rip)\n\tjbe\t{slow}\n"


def slow(features: Iterable[str], state: str, labels: tuple[str, str, str], baseline: str, unwind: bool) -> str:
    """Where `entry` jumps to: on to the baseline, or the check itself, once; then back to `entry`.

    `labels` are its own, that of `entry` and a prefix for more. Every thread that comes here stores the same byte.
    Raises KeyError for a feature that is not in KNOWN.
    """
    own, again, prefix = labels
    refused, stored = f"{prefix}_refused", f"{prefix}_stored"
    code = [f"{own}:", *(["\t.cfi_startproc"] if unwind else []), f"\tje\t{baseline}"]
    for position, register in enumerate(_PRESERVED):
        code += [f"\tpushq\t%{register}"]
        if unwind:
            code += ["\t.cfi_adjust_cfa_offset 8", *(["\t.cfi_rel_offset 3, 0"] if position == 1 else [])]
    code += _questions(features, refused)
    code += [f"\tmovb\t$2, {state}(%rip)", f"\tjmp\t{stored}"]
    code += [f"{refused}:", f"\tmovb\t$1, {state}(%rip)", f"{stored}:"]
    for register in reversed(_PRESERVED):
        code += [f"\tpopq\t%{register}"]
        if unwind:
            code += ["\t.cfi_adjust_cfa_offset -8", *(["\t.cfi_restore 3"] if register == "rbx" else [])]
    code += [f"\tjmp\t{again}", *(["\t.cfi_endproc"] if unwind else [])]
    return "\n".join(code) + "\n"


def required(features: Iterable[str]) -> frozenset[str]:
    """`features` with everything that they imply, without what every processor of the target has. Raises KeyError."""
    found: set[str] = set()
    pending = [feature for feature in features if feature not in _BASE]
    while pending:
        feature = pending.pop()
        if feature not in found:
            _BITS[feature]
            found.add(feature)
            pending += _IMPLIED.get(feature, ())
            if feature.startswith("avx512"):
                pending.append("avx512f")
    return frozenset(found)


def _questions(features: Iterable[str], refused: str) -> list[str]:
    needed = required(features)
    masks: dict[tuple[int, int], dict[str, int]] = {}
    for feature in needed:
        leaf, subleaf, register, bit = _BITS[feature]
        registers = masks.setdefault((leaf, subleaf), {})
        registers[register] = registers.get(register, 0) | 1 << bit
    if (7, 1) in masks:
        masks.setdefault((7, 0), {})
    code: list[str] = []
    for limit, start in ((0, 0), (0x80000000, 0x80000000)):  # the highest leaf of each range
        leaves = [leaf for leaf, _ in masks if leaf >= start and (start or leaf < 0x80000000)]
        if leaves:
            code += [f"\tmovl\t${limit:#x}, %eax", "\tcpuid", f"\tcmpl\t${max(leaves):#x}, %eax", f"\tjb\t{refused}"]
    for leaf, subleaf in sorted(masks):
        code += [f"\tmovl\t${leaf:#x}, %eax", f"\tmovl\t${subleaf}, %ecx", "\tcpuid"]
        if (leaf, subleaf) == (7, 0) and (7, 1) in masks:
            code += ["\tcmpl\t$1, %eax", f"\tjb\t{refused}"]
        for register, mask in sorted(masks[leaf, subleaf].items()):
            code += _all_of(register, mask, refused)
        if leaf == 1 and "osxsave" in needed:
            state = _ZMM_STATE if "avx512f" in needed else _YMM_STATE
            code += ["\txorl\t%ecx, %ecx", "\txgetbv", *_all_of("eax", state, refused)]
    return code


def _all_of(register: str, mask: int, refused: str) -> list[str]:
    return [f"\tandl\t${mask:#x}, %{register}", f"\tcmpl\t${mask:#x}, %{register}", f"\tjne\t{refused}"]
