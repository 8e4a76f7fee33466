"""x86-64 Linux, System V ABI (https://gitlab.com/x86-psABIs/x86-64-ABI, chapter 3)."""

from compiler_ai.toolchains.description import Toolchain

_VECTORS = tuple(f"zmm{i}" for i in range(32))

X86_64 = Toolchain(
    name="x86_64",
    triples=("x86_64-linux-gnu", "x86_64-pc-linux-gnu", "x86_64-redhat-linux", "x86_64-suse-linux"),
    elf_machine="EM_X86_64",
    pointer_bytes=8,
    page_bytes=4096,
    stack_pointer="rsp",
    red_zone_bytes=128,
    integer_arguments=("rdi", "rsi", "rdx", "rcx", "r8", "r9"),
    vector_arguments=_VECTORS[:8],
    integer_returns=("rax", "rdx"),
    vector_returns=_VECTORS[:2],
    callee_saved=frozenset({"rbx", "rbp", "rsp", "r12", "r13", "r14", "r15"}),
    call_clobbered=frozenset(
        {"rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", *_VECTORS, *(f"k{i}" for i in range(8))}
    ),
    library_symbols=frozenset({"memcpy", "memmove", "memset", "memcmp", "bcmp", "strlen"}),
    relocations=frozenset(
        {
            "R_X86_64_64", "R_X86_64_PC32", "R_X86_64_PLT32", "R_X86_64_32", "R_X86_64_32S", "R_X86_64_PC64",
            "R_X86_64_GOTPCREL", "R_X86_64_GOTPCRELX", "R_X86_64_REX_GOTPCRELX", "R_X86_64_TPOFF32",
            "R_X86_64_GOTTPOFF", "R_X86_64_GOTOFF64", "R_X86_64_GOTPC32",
        }
    ),  # fmt: skip
    baseline_features=frozenset({"mmx", "sse", "sse2", "fxsr"}),
    cpu_flags=(
        ("sse3", "pni"), ("ssse3", "ssse3"), ("sse4.1", "sse4_1"), ("sse4.2", "sse4_2"), ("sse4a", "sse4a"),
        ("popcnt", "popcnt"), ("lzcnt", "abm"), ("abm", "abm"), ("movbe", "movbe"), ("aes", "aes"), ("pclmul", "pclmulqdq"),
        ("avx", "avx"), ("avx2", "avx2"), ("fma", "fma"), ("f16c", "f16c"), ("bmi", "bmi1"), ("bmi2", "bmi2"),
        ("sha", "sha_ni"), ("adx", "adx"), ("gfni", "gfni"), ("vaes", "vaes"), ("vpclmulqdq", "vpclmulqdq"),
        ("avx512f", "avx512f"), ("avx512bw", "avx512bw"), ("avx512dq", "avx512dq"), ("avx512vl", "avx512vl"),
        ("avx512cd", "avx512cd"), ("avx512ifma", "avx512ifma"), ("avx512vbmi", "avx512vbmi"),
        ("avx512vbmi2", "avx512_vbmi2"), ("avx512vnni", "avx512_vnni"), ("avx512bitalg", "avx512_bitalg"),
        ("avx512vpopcntdq", "avx512_vpopcntdq"), ("avx512bf16", "avx512_bf16"), ("prfchw", "3dnowprefetch"),
        ("cx16", "cx16"), ("sahf", "lahf_lm"), ("rdrnd", "rdrand"), ("rdseed", "rdseed"), ("clflushopt", "clflushopt"),
    ),
    capstone=("CS_ARCH_X86", "CS_MODE_64"),
)  # fmt: skip
