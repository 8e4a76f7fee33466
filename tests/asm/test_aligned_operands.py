"""Candidates ask for no alignment that GCC's listing does not show: which instructions would, the processor itself says."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from asm_units import compiled
from compiler_ai.toolchains.x86_64 import X86_64
from compiler_ai.toolchains.x86_64_alignment import X86_64_ALIGNMENT

from compiler_ai.artifacts import Candidate
from compiler_ai.asm.aligned_operands import without_aligned_operands
from compiler_ai.asm.listing import parse
from compiler_ai.asm.splice import replace
from compiler_ai.proposers.transplant import Source, transplant
from compiler_ai.screen.decode import Decoder
from compiler_ai.screen.elf import read
from compiler_ai.screen.gate import Screener

KNOWN = """
movaps movapd movdqa movups movupd movdqu lddqu movss movsd movlps movlpd movhps movhpd movd movq movddup movsldup
movshdup addps addpd addss addsd subps subpd subss subsd mulps mulpd mulss mulsd divps divpd divss divsd minps minpd
minss minsd maxps maxpd maxss maxsd sqrtps sqrtpd sqrtss sqrtsd rcpps rcpss rsqrtps rsqrtss andps andpd andnps andnpd
orps orpd xorps xorpd haddps haddpd hsubps hsubpd addsubps addsubpd unpcklps unpckhps unpcklpd unpckhpd shufps shufpd
blendps blendpd blendvps blendvpd dpps dppd roundps roundpd roundss roundsd cmpps cmppd cmpss cmpsd cmpltps cmpeqpd
cmpnless cmpordsd comiss ucomisd insertps cvtdq2ps cvtdq2pd cvtps2dq cvttps2dq cvtpd2dq cvttpd2dq cvtps2pd cvtpd2ps
cvtss2sd cvtsd2ss cvtsi2ssl cvtsi2sdq paddb paddw paddd paddq paddsb paddsw paddusb paddusw psubb psubw psubd psubq
psubsb psubsw psubusb psubusw pmullw pmulld pmulhw pmulhuw pmulhrsw pmuludq pmuldq pmaddwd pmaddubsw psadbw pavgb
pavgw pminsb pminsw pminsd pminub pminuw pminud pmaxsb pmaxsw pmaxsd pmaxub pmaxuw pmaxud pand pandn por pxor pcmpeqb
pcmpeqw pcmpeqd pcmpeqq pcmpgtb pcmpgtw pcmpgtd pcmpgtq psignb psignw psignd pabsb pabsw pabsd phaddw phaddd phaddsw
phsubw phsubd phsubsw phminposuw pshufb pshufd pshufhw pshuflw palignr pblendw pblendvb psllw pslld psllq psrlw psrld
psrlq psraw psrad packsswb packssdw packuswb packusdw punpcklbw punpckhbw punpcklwd punpckhwd punpckldq punpckhdq
punpcklqdq punpckhqdq mpsadbw ptest pinsrb pinsrw pinsrd pinsrq pmovsxbw pmovsxbd pmovsxbq pmovsxwd pmovsxwq pmovsxdq
pmovzxbw pmovzxbd pmovzxbq pmovzxwd pmovzxwq pmovzxdq pcmpestri pcmpestrm pcmpistri pcmpistrm pclmulqdq aesenc
aesenclast aesdec aesdeclast aesimc aeskeygenassist movntdqa sha1msg1 sha1msg2 sha1nexte sha1rnds4 sha256msg1
sha256msg2 sha256rnds2 gf2p8mulb gf2p8affineqb gf2p8affineinvqb vmovaps vmovapd vmovdqa vmovups vmovupd vmovdqu
vmovntdqa vmovddup vmovshdup vlddqu vbroadcastss vpabsb vsqrtpd vptest vaddps vmulpd vpaddb vpxor vshufps vpshufb
vpunpcklbw vpsllw vpshufd vcvtdq2ps vcvtps2dq vaesenc vpclmulqdq vmovdqa32 vmovdqa64 vmovdqu32 vmovdqu64
"""
FORMS = (
    "{} (%rdi), %xmm1", "{} $1, (%rdi), %xmm1", "{} %xmm1, (%rdi)", "{} (%rdi), %xmm1, %xmm2", "{} $1, (%rdi), %xmm1, %xmm2",
)  # fmt: skip
HARNESS = """
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
extern void (*const cases[])(void *);
extern const int count;
static sigjmp_buf back;
static _Alignas(64) char space[256];
static void caught(int number) { siglongjmp(back, number); }
static int runs(void (*one)(void *), void *at) { int n = sigsetjmp(back, 1); if (!n) one(at); return n; }
int main(void) {
    signal(SIGSEGV, caught);
    signal(SIGILL, caught);
    for (int i = 0; i < count; i++) printf("%d %d\\n", runs(cases[i], space + 64), runs(cases[i], space + 65));
}
"""
SIGSEGV, SIGILL = 11, 4


def assembled(text: str, directory: Path) -> Path:
    (directory / "it.s").write_text(text)
    done = subprocess.run(
        ["as", "--64", "-o", "it.o", "it.s"], cwd=directory, capture_output=True, text=True, check=False
    )
    refused = {int(line.split(":")[1]) for line in done.stderr.splitlines() if "Error" in line}
    if refused:  # one line is one case: what has no such form goes
        kept = "".join(line for number, line in enumerate(text.splitlines(keepends=True), 1) if number not in refused)
        return assembled(kept, directory)
    return directory / "it.o"


def statements(directory: Path) -> list[str]:
    """Every form that the assembler knows of every mnemonic."""
    text = "".join(f"{form.format(mnemonic)}\n" for mnemonic in KNOWN.split() for form in FORMS)
    assembled(text, directory)
    return (directory / "it.s").read_text().splitlines()


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, bool]]:
    """Statements that this processor has, each with whether it faults for a misaligned address."""
    directory = tmp_path_factory.mktemp("cases")
    found = statements(directory)
    code = "".join(f"case{number}: {one}\nret\n" for number, one in enumerate(found))
    table = "".join(f".quad case{number}\n" for number in range(len(found)))
    head = ".globl cases, count\n.section .data.rel.ro\ncases:\n" + table + f"count: .long {len(found)}\n.text\n"
    assembled(head + code + '.section .note.GNU-stack,"",@progbits\n', directory)
    (directory / "main.c").write_text(HARNESS)
    subprocess.run(["gcc", "-o", "main", "main.c", "it.o"], cwd=directory, check=True)
    lines = subprocess.run([directory / "main"], capture_output=True, text=True, check=True).stdout.splitlines()
    pairs = [tuple(map(int, line.split())) for line in lines]
    assert len(pairs) == len(found)
    assert all(aligned in (0, SIGILL) for aligned, _ in pairs)
    return [
        (one, bad == SIGSEGV or one.startswith("sha"))  # the manual has these fault; not every processor does
        for one, (aligned, bad) in zip(found, pairs, strict=True)
        if aligned != SIGILL
    ]


def relaxed(body: str, extra: str = "", unit: str = "") -> str:
    return without_aligned_operands(Candidate("f", body, extra), parse(unit), X86_64).body


def test_the_processor_knows_most_of_them(cases: list[tuple[str, bool]]) -> None:
    assert len(cases) > 200
    assert sum(faults for _, faults in cases) > 120


def test_what_faults_is_changed_and_nothing_else(cases: list[tuple[str, bool]]) -> None:
    kept = ("movntdqa", "vmovntdqa")  # no other instruction does the same
    wrong = [one for one, faults in cases if (relaxed(f"\t{one}\n") != f"\t{one}\n") != faults]
    assert [one for one in wrong if not one.startswith(kept)] == []


def test_what_a_change_makes_does_not_fault(cases: list[tuple[str, bool]], tmp_path: Path) -> None:
    changed = [relaxed(f"\t{one}\n") for one, faults in cases if faults and "movntdqa" not in one]
    code = read(assembled("".join(changed), tmp_path).read_bytes()).sections[1].data
    assert X86_64.instructions is not None
    instructions = Decoder(X86_64, X86_64.instructions).decode(code, 0)
    assert len(instructions) == sum(one.count("\n") for one in changed)
    assert not any(one.may_fault for one in instructions)


def test_the_screen_knows_what_faults(cases: list[tuple[str, bool]], tmp_path: Path) -> None:
    assert X86_64.instructions is not None
    code = read(assembled("".join(f"{one}\n" for one, _ in cases), tmp_path).read_bytes()).sections[1].data
    decoded = Decoder(X86_64, X86_64.instructions).decode(code, 0)
    assert [
        (case, one.full_mnemonic) for case, one in zip(cases, decoded, strict=True) if one.may_fault != case[1]
    ] == []


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("\tmovaps\t(%rdi), %xmm0\n", "\tmovups\t(%rdi), %xmm0\n"),
        ("\tmovdqa\t%xmm0, 16(%rdi,%rax) # kept\n", "\tmovdqu\t%xmm0, 16(%rdi,%rax)\n"),
        (".L3:\tvmovapd\t(%rdi), %ymm0\n", ".L3:\tvmovupd\t(%rdi), %ymm0\n"),
        ("\tmovaps\t%xmm1, %xmm0\n", "\tmovaps\t%xmm1, %xmm0\n"),
        ("\tmulps\t(%rdi,%rax), %xmm0\n", "\tmovups\t(%rdi,%rax), %xmm15\n\tmulps\t%xmm15, %xmm0\n"),
        ("\tpaddd\t%xmm15, %xmm14\n\tpaddd\ta(%rax), %xmm2\n", "\tpaddd\t%xmm15, %xmm14\n\tmovdqu\ta(%rax), %xmm13\n\tpaddd\t%xmm13, %xmm2\n"),
        ("\tpshufd\t$27, (%rsi), %xmm0\n", "\tmovdqu\t(%rsi), %xmm15\n\tpshufd\t$27, %xmm15, %xmm0\n"),
        ("\tblendvps\t%xmm0, (%rsi), %xmm3\n", "\tmovups\t(%rsi), %xmm15\n\tblendvps\t%xmm0, %xmm15, %xmm3\n"),
        ("\tpaddw\t(%rdi), %mm0\n", "\tpaddw\t(%rdi), %mm0\n"),
        ("\tpopcntq\t(%rdi), %rax\n", "\tpopcntq\t(%rdi), %rax\n"),
    ],
)  # fmt: skip
def test_an_access_accepts_every_address(body: str, expected: str) -> None:
    assert relaxed(body) == expected


def test_data_that_the_unit_or_the_body_defines_keeps_its_place() -> None:
    unit = compiled(
        "_Alignas(16) float own[8] = {1}; __attribute__((weak)) float weak[8] = {1}; extern float far[8]; float common[8];",
        "-fcommon",
    )
    body = "".join(f"\taddps\t{name}(%rip), %xmm0\n" for name in (".Lmine", "own+16", "weak", "far", "common"))
    changed = relaxed(body, "\t.section .rodata\n\t.align 16\n.Lmine:\n\t.zero 16\n", unit)
    assert [line.split()[1] for line in changed.splitlines() if "addps" in line] == [
        ".Lmine(%rip),", "own+16(%rip),", "%xmm15,", "%xmm15,", "%xmm15,",
    ]  # fmt: skip


def test_a_frames_own_slots_keep_their_place_and_the_callers_do_not() -> None:
    body = """\t.cfi_startproc
	subq	$40, %rsp
	.cfi_def_cfa_offset 48
	addps	16(%rsp), %xmm0
	addps	48(%rsp), %xmm0
	addq	$40, %rsp
	.cfi_def_cfa_offset 8
	addps	16(%rsp), %xmm0
	ret
	.cfi_endproc
"""
    kept = [line for line in relaxed(body).splitlines() if "addps" in line]
    assert kept == ["\taddps\t16(%rsp), %xmm0", "\taddps\t%xmm15, %xmm0", "\taddps\t%xmm15, %xmm0"]
    assert "\taddps\t16(%rsp), %xmm0" not in relaxed("\taddps\t16(%rsp), %xmm0\n")  # nothing says where the frame ends


@pytest.mark.parametrize("flags", [("-O3",), ("-O3", "-mavx2")], ids="-".join)
def test_a_type_that_loses_its_alignment_leaves_the_rewrite_right(flags: tuple[str, ...], tmp_path: Path) -> None:
    """GCC's body does not change with the attribute, nor does anything else that the key holds."""
    text = """
    struct S { float v[64]; } %s;
    void f(struct S *restrict p, const struct S *restrict q, int n) { for (int i = 0; i < n; i++) p->v[i] = q->v[i] * p->v[i]; }
    """
    other = """
    #include <stdio.h>
    void f(void *, const void *, int);
    static _Alignas(64) float space[200];
    int main(void) { for (int i = 0; i < 200; i++) space[i] = i; f(space + 1, space + 101, 61); printf("%g\\n", space[31]); return 0; }
    """
    aligned, plain = (compiled(text % one, "-O2") for one in ("__attribute__((aligned(64)))", ""))
    assert aligned == plain
    made = compiled(text % "__attribute__((aligned(64)))", *flags)
    assert ("movaps" in made) or ("movdqa" in made)
    unit = parse(plain)
    candidate = transplant(Source(parse(made), False, "search", "it", ()), unit, "f", "p", X86_64)
    assert isinstance(candidate, Candidate)
    features = ("avx2",) if "-mavx2" in flags else ()
    spliced = replace(unit, "f", candidate, 0)
    assert Screener(plain, "f", X86_64, ("as", "--64"), features).screen(candidate, spliced).rejection is None
    (tmp_path / "it.s").write_text(spliced)
    (tmp_path / "main.c").write_text(other)
    subprocess.run(["gcc", "-o", "main", "main.c", "it.s"], cwd=tmp_path, check=True)
    assert subprocess.run([tmp_path / "main"], capture_output=True, text=True, check=True).stdout == "4061\n"


def test_every_register_in_use_leaves_the_operand_for_the_screen() -> None:
    body = "".join(f"\txorps\t%xmm{i}, %xmm{i}\n" for i in range(16)) + "\tmulps\t(%rdi), %xmm0\n"
    assert relaxed(body) == body
    assert X86_64_ALIGNMENT.load("mulps") == "movups"
