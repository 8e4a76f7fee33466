"""Which x86-64 instructions a candidate may contain (Intel SDM volume 2, AMD APM volumes 3 to 5), in AT&T mnemonics.

Three kinds: what computes (allowed), what observes or changes state outside of the equivalence that verification compares
(only where the baseline has the same), and everything else (refused, whether it is privileged or merely unknown).
"""

from __future__ import annotations

from compiler_ai.toolchains.description import InstructionRules

_CONDITIONS = (
    ["o", "no", "b", "nae", "c", "ae", "nb", "nc", "e", "z", "ne", "nz", "be", "na", "a", "nbe", "s", "ns", "p", "pe", "np", "po", "l", "nge", "ge", "nl", "le", "ng", "g", "nle"]
)  # fmt: skip
_SIZES = ("", "b", "w", "l", "q")


def _sized(*stems: str) -> frozenset[str]:
    return frozenset(stem + size for stem in stems for size in _SIZES)


_INTEGER = _sized(
    "mov", "movabs", "lea", "add", "adc", "sub", "sbb", "and", "or", "xor", "not", "neg", "inc", "dec", "cmp", "test",
    "mul", "imul", "div", "idiv", "shl", "sal", "shr", "sar", "rol", "ror", "rcl", "rcr", "shld", "shrd", "bswap",
    "bt", "bts", "btr", "btc", "bsf", "bsr", "tzcnt", "lzcnt", "popcnt", "movbe", "push", "pop", "xadd", "cmpxchg",
    "xchg", "andn", "bextr", "blsi", "blsmsk", "blsr", "bzhi", "mulx", "pdep", "pext", "rorx", "sarx", "shlx", "shrx",
    "adcx", "adox", "crc32", "nop", "ret", "call", "jmp", "leave",
)  # fmt: skip
_EXTENDING = frozenset(
    [
        "movsbw",
        "movsbl",
        "movsbq",
        "movswl",
        "movswq",
        "movslq",
        "movzbw",
        "movzbl",
        "movzbq",
        "movzwl",
        "movzwq",
        "cbtw",
        "cwtl",
        "cltq",
        "cwtd",
        "cltd",
        "cqto",
    ]
)
_STRING = frozenset(
    f"{prefix}{stem}{size}"
    for prefix in ("", "rep ", "repe ", "repz ", "repne ", "repnz ")
    for stem in ("movs", "stos", "scas", "cmps", "lods")
    for size in ("b", "w", "l", "d", "q")
)
_CONDITIONAL = frozenset(
    name for c in _CONDITIONS for name in (f"j{c}", f"set{c}", *(f"cmov{c}{size}" for size in _SIZES))
) | {"jrcxz", "jecxz"}  # fmt: skip
_X87 = frozenset(
    [
        "fld",
        "flds",
        "fldl",
        "fldt",
        "fst",
        "fsts",
        "fstl",
        "fstp",
        "fstps",
        "fstpl",
        "fstpt",
        "fild",
        "filds",
        "fildl",
        "fildll",
        "fistp",
        "fistps",
        "fistpl",
        "fistpll",
        "fist",
        "fists",
        "fistl",
        "fisttp",
        "fisttps",
        "fisttpl",
        "fisttpll",
        "fld1",
        "fldz",
        "fldpi",
        "fldl2e",
        "fldl2t",
        "fldlg2",
        "fldln2",
        "fadd",
        "fadds",
        "faddl",
        "faddp",
        "fsub",
        "fsubs",
        "fsubl",
        "fsubp",
        "fsubr",
        "fsubrs",
        "fsubrl",
        "fsubrp",
        "fmul",
        "fmuls",
        "fmull",
        "fmulp",
        "fdiv",
        "fdivs",
        "fdivl",
        "fdivp",
        "fdivr",
        "fdivrs",
        "fdivrl",
        "fdivrp",
        "fiadd",
        "fiadds",
        "fiaddl",
        "fisub",
        "fisubs",
        "fisubl",
        "fisubr",
        "fisubrs",
        "fisubrl",
        "fimul",
        "fimuls",
        "fimull",
        "fidiv",
        "fidivs",
        "fidivl",
        "fidivr",
        "fidivrs",
        "fidivrl",
        "fchs",
        "fabs",
        "fsqrt",
        "frndint",
        "fscale",
        "fxch",
        "fucom",
        "fucomp",
        "fucompp",
        "fucomi",
        "fucomip",
        "fucompi",
        "fcom",
        "fcoms",
        "fcoml",
        "fcomp",
        "fcomps",
        "fcompl",
        "fcompp",
        "fcomi",
        "fcomip",
        "fcompi",
        "ftst",
        "fxam",
        "fnstsw",
        "fnop",
        "fcmovb",
        "fcmove",
        "fcmovbe",
        "fcmovu",
        "fcmovnb",
        "fcmovne",
        "fcmovnbe",
        "fcmovnu",
        "wait",
        "ffree",
    ]
)
_FLAGS = frozenset({"cmc", "clc", "stc", "lahf", "sahf"})
_PLAIN = frozenset({"ud2", "endbr64"})
_PREFETCH = frozenset({"prefetcht0", "prefetcht1", "prefetcht2", "prefetchnta", "prefetch", "prefetchw"})

# Vector code is recognised by stem: whatever GNU as accepts for the unit's ISA and reads or writes only its operands.
_VECTOR = (
    r"v?(mov(aps|apd|ups|upd|dqa|dqu|dqa32|dqa64|dqu8|dqu16|dqu32|dqu64|d|q|ss|sd|lps|lpd|hps|hpd|lhps|hlps|mskps|mskpd"
    r"|ddup|shdup|sldup|q2dq|dq2q|w|ntdqa)|lddqu)",
    r"v?(add|sub|mul|div|min|max|sqrt|rcp|rsqrt|and|andn|or|xor|shuf|unpckl|unpckh|blend|blendv|hadd|hsub|addsub|dp|round"
    r"|cmp|comi|ucomi)(ps|pd|ss|sd)",
    r"v?cmp(eq|lt|le|unord|neq|nlt|nle|ord|eq_uq|nge|ngt|false|neq_oq|ge|gt|true|eq_os|lt_oq|le_oq|unord_s|neq_us|nlt_uq"
    r"|nle_uq|ord_s|eq_us|nge_uq|ngt_uq|false_os|neq_os|ge_oq|gt_oq|true_us)(ps|pd|ss|sd)",
    r"v?cvtt?[a-z0-9]+",
    r"v?p(abs|add|adds|addus|sub|subs|subus|avg|min[su]|max[su]|cmpeq|cmpgt|sign|sll|srl|sra|shuf|hadd|hsub)(b|w|d|q)",
    r"v?p(and|andn|or|xor|test|alignr|movmskb|sadbw|maddwd|maddubsw|mulhw|mulhuw|mulhrsw|mullw|mulld|mullq|muludq|muldq"
    r"|mulhrw|haddsw|hsubsw|hminposuw|shufhw|shuflw|slldq|srldq|blendw|blendd|blendvb|clmulqdq"
    r"|clmullqlqdq|clmulhqlqdq|clmullqhqdq|clmulhqhqdq)",
    r"v?p(ack(sswb|ssdw|uswb|usdw)|unpck[lh](bw|wd|dq|qdq)|mov[sz]x(bw|bd|bq|wd|wq|dq)|(insr|extr)(b|w|d|q))",
    r"v?pcmp(estri|estrm|istri|istrm)",
    r"v?(insertps|extractps|mpsadbw|aes(enc|enclast|dec|declast|imc|keygenassist))",
    r"sha(1rnds4|1nexte|1msg1|1msg2|256rnds2|256msg1|256msg2)",
    r"v(broadcast(ss|sd|f128|i128|[fi](32x2|32x4|32x8|64x2|64x4))|(insert|extract)([fi]128|[fi](32x4|32x8|64x2|64x4))"
    r"|perm(d|q|b|w|ps|pd|2f128|2i128|ilps|ilpd|[it]2(b|w|d|q|ps|pd))|pblend(mb|mw|md|mq)|blendmp[sd]"
    r"|pbroadcast(b|w|d|q|mb2q|mw2d)|test(ps|pd)|maskmov(ps|pd)|pmaskmov(d|q)|zeroupper|zeroall"
    r"|(p?gather|p?scatter)(dd|dq|qd|qq|dps|dpd|qps|qpd))",
    r"vf(n)?m(add|sub|addsub|subadd)(132|213|231)(ps|pd|ss|sd)",
    r"vp(and|andn|or|xor|ternlog|rol|ror|rolv|rorv|sllv|srlv|srav|lzcnt|conflict|opcnt|popcnt|compress|expand|align)(b|w|d|q)?",
    r"vp(sllv|srlv|srav|sra|abs|min[su]|max[su]|mull|opcnt|compress|expand)(w|b|q|d)",
    r"vp(cmpu?|cmp(eq|lt|le|neq|nlt|nle|ge|gt)u?|testn?m|mov)(b|w|d|q)",
    r"vpmov(s|us)?(wb|db|dw|qb|qw|qd)|vpmov[bwdq]2m|vpmovm2[bwdq]",
    r"vp(madd52[lh]uq|dpbusds?|dpwssds?|shldv?(w|d|q)|shrdv?(w|d|q)|multishiftqb|shufbitqmb)|vdbpsadbw",
    r"v(align[dq]|compressp[sd]|expandp[sd]|shuf[fi](32x4|64x2)|scalef(ps|pd|ss|sd)|getexp(ps|pd|ss|sd)|getmant(ps|pd|ss|sd)"
    r"|rndscale(ps|pd|ss|sd)|range(ps|pd|ss|sd)|reduce(ps|pd|ss|sd)|fixupimm(ps|pd|ss|sd)|fpclass(ps|pd|ss|sd)[xyz]?"
    r"|rcp14(ps|pd|ss|sd)|rsqrt14(ps|pd|ss|sd))",
    r"k(mov|and|andn|or|xor|xnor|not|add|shiftl|shiftr|ortest|test|unpck)(b|w|d|q|bw|wd|dq)",
    r"v?gf2p8(mulb|affineqb|affineinvqb)",
    r"emms",
)

# The processor's modes, other processors and the clock: a rewrite neither adds nor loses one of these.
_INHERITED = frozenset(
    [
        "mfence",
        "sfence",
        "lfence",
        "pause",
        "ldmxcsr",
        "stmxcsr",
        "vldmxcsr",
        "vstmxcsr",
        "fldcw",
        "fnstcw",
        "fstcw",
        "fnclex",
        "fninit",
        "fnstenv",
        "fldenv",
        "std",
        "cld",
        "rdtsc",
        "rdtscp",
        "cpuid",
        "xgetbv",
        "rdrandw",
        "rdrandl",
        "rdrandq",
        "rdrand",
        "rdseedw",
        "rdseedl",
        "rdseedq",
        "rdseed",
        "clflush",
        "clflushopt",
        "clwb",
        "pushf",
        "pushfq",
        "popf",
        "popfq",
        "int3",
        "cmpxchg8b",
        "cmpxchg16b",
    ]
) | {"xlatb", "rdsspq", "rdsspd"}

# Weakly ordered stores: another processor may see them late, so they are no ordinary stores either.
_NON_TEMPORAL = frozenset(
    [
        "movnti",
        "movntil",
        "movntiq",
        "movntps",
        "movntpd",
        "movntdq",
        "movntq",
        "vmovntps",
        "vmovntpd",
        "vmovntdq",
        "movntss",
        "movntsd",
    ]
)

X86_64_INSTRUCTIONS = InstructionRules(
    allowed=_INTEGER | _EXTENDING | _STRING | _CONDITIONAL | _X87 | _FLAGS | _PLAIN | _PREFETCH,
    allowed_patterns=_VECTOR,
    inherited=_INHERITED | _NON_TEMPORAL,
    inherited_prefixes=frozenset({"lock", "xacquire", "xrelease", "bnd", "notrack"}),
    inherited_operands=frozenset({"fs", "gs"}),
    refused_operands=frozenset(
        {"cs", "ds", "es", "ss", *(f"cr{i}" for i in range(16)), *(f"dr{i}" for i in range(16))}
    ),
    implicitly_locked=frozenset({"xchg", "xchgb", "xchgw", "xchgl", "xchgq"}),
    padding=frozenset({"nop", "nopw", "nopl", "nopq", "int3", "xchgw", "leal", "leaq"}),
    entry_marker="endbr64",
    indirect_jump_prefix="notrack",
    trap=frozenset({"ud2", "int3"}),
    indirect_thunk_prefix="__x86_indirect_thunk_",
    return_thunk="__x86_return_thunk",
    stack_guard_symbols=frozenset({"__stack_chk_fail", "__stack_chk_fail_local"}),
    assembler_isa="generic64+ibt+shstk+sse2+fxsr+mmx",
    assembler_features=(
        ("avx512vbmi2", "avx512_vbmi2"), ("avx512vnni", "avx512_vnni"), ("avx512bitalg", "avx512_bitalg"),
        ("avx512vpopcntdq", "avx512_vpopcntdq"), ("avx512bf16", "avx512_bf16"), ("sahf", ""), ("dispatch", ""),
    ),
)  # fmt: skip
