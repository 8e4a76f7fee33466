"""x86-64 vector instructions that fault on a misaligned memory operand (Intel SDM volume 2, 2.4 "AVX and SSE Instruction Exception
Classification": types 1, 2 and 4; those with a VEX or EVEX prefix fault only where they move, and say so)."""

from __future__ import annotations

from compiler_ai.toolchains.description import AlignmentRules

_COMPARISONS = "eq|lt|le|unord|neq|nlt|nle|ord"
_FLOAT = (
    r"(?:add|sub|mul|div|min|max|sqrt|rcp|rsqrt|andn?|x?or|shuf|unpck[lh]|blendv?|hadd|hsub|addsub|dp|round"
    rf"|cmp(?:{_COMPARISONS})?)p[sd]|cvtdq2ps|cvtt?p[sd]2dq|cvtpd2ps|movs[hl]dup"
)
_INTEGER = (
    r"p(?!mov|insr|extr|cmp[ei]str|ush|op|ause|refetch)[a-z]+|mpsadbw|aes[a-z]+|sha(?:1|256)[a-z0-9]+|gf2p8[a-z]+"
)

X86_64_ALIGNMENT = AlignmentRules(
    moves=(
        ("movaps", "movups"),
        ("movapd", "movupd"),
        ("movdqa", "movdqu"),
        ("vmovaps", "vmovups"),
        ("vmovapd", "vmovupd"),
        ("vmovdqa", "vmovdqu"),
        ("vmovdqa32", "vmovdqu32"),
        ("vmovdqa64", "vmovdqu64"),
    ),
    loads=((_FLOAT, "movups"), (_INTEGER, "movdqu")),
    scratch=tuple((f"xmm{i}", rf"%[xyz]mm{i}\b") for i in range(15, -1, -1)),
    registers=("%xmm", "%ymm", "%zmm"),
    # Streaming stores are not here: a candidate has exactly those of GCC's body, which faults as well.
    faulting=r"(?!v|mov(?:up|dqu|nt[pdqi])|lddqu|pcmp[ei]str|cmpxchg).*|movntdqa|vmov(?:ap[sd]|dqa(?:32|64)?|ntdqa)",
    operand_bytes=16,
)
