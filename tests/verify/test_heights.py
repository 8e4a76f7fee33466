"""Whether what code takes of the stack may grow with its data, on code that compilers and people write."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from compiler_ai.verify.code import OwnCode
from compiler_ai.verify.heights import growth

BOUNDED = {
    "arguments in a loop": "1: push %rdi; push 8(%rsi); call *%rax; add $16, %rsp; dec %ebx; jne 1b; ret",
    "balanced both ways": "1: test %edi, %edi; js 2f; push %rax; pop %rcx; jmp 3f; 2: sub $8, %rsp; add $8, %rsp; 3: dec %edi; jne 1b; ret",
    "realigned": "lea 8(%rsp), %r10; and $-32, %rsp; push -8(%r10); push %rbp; mov %rsp, %rbp; 1: dec %edi; jne 1b; leave; lea -8(%r10), %rsp; ret",
    "a large frame": "sub $100000, %rsp; 1: push %rdi; pushfq; popfq; pop %rdi; dec %edi; jne 1b; lea 100000(%rsp), %rsp; repz ret",
    "one way without a frame": "test %edi, %edi; je 1f; push %rbp; mov %rsp, %rbp; leave; 1: ret",
    "a callee of its own in a loop": "1: call 2f; dec %edi; jne 1b; ret; 2: push %rbx; mov (%rsp), %rax; pop %rbx; ret",
}
GROWING = {
    "one word for each": "push %rbp; mov %rsp, %rbp; 1: push %rdi; dec %edi; jne 1b; leave; ret",
    "one word on one of two ways": "1: test $1, %dil; je 2f; sub $8, %rsp; 2: dec %edi; jne 1b; ret",
    "as many bytes as there are": "push %rbp; mov %rsp, %rbp; sub %rdi, %rsp; leave; ret",
    "as many words as there are": "push %rbp; mov %rsp, %rbp; neg %rdi; lea (%rsp,%rdi,8), %rsp; leave; ret",
    "elsewhere in a loop": "1: mov %rdi, %rsp; dec %edi; jne 1b; ret",
    "in a callee of its own": "call 1f; ret; 1: push %rbp; mov %rsp, %rbp; 2: push %rax; dec %edi; jne 2b; leave; ret",
    "to where memory says": "mov (%rdi), %rsp; ret",
    "popped": "pop %rsp; ret",
}


def own(text: str, directory: Path) -> OwnCode:
    out = directory / "one.o"
    subprocess.run(["as", "-o", out, "-"], input=text, text=True, check=True)
    return own_of(out)


def own_of(path: Path) -> OwnCode:
    with path.open("rb") as file:
        code = bytes(ELFFile(file).get_section_by_name(".text").data())
    whole = ((0, len(code)),)
    return OwnCode(0, whole, whole, frozenset(), lambda at: code[at : at + 16])


@pytest.mark.parametrize("name", BOUNDED)
def test_frames_of_constant_sizes_are_bounded(name: str, tmp_path: Path) -> None:
    assert growth(own(BOUNDED[name] + "\n", tmp_path)) == ""


@pytest.mark.parametrize("name", GROWING)
def test_what_is_taken_as_often_as_data_says_grows(name: str, tmp_path: Path) -> None:
    assert growth(own(GROWING[name] + "\n", tmp_path)).startswith("its stack is ")


def test_behind_a_call_that_never_comes_back_nothing_is_executed(tmp_path: Path) -> None:
    code = own("1: test %edi, %edi; js 2f; ret; 2: push %rax; call 1b + 0x100; 3: dec %edi; jmp 1b\n", tmp_path)
    assert growth(code)
    assert growth(code, {0x100}) == ""


@pytest.mark.parametrize("compiler", ["gcc -O2", "clang-19 -O2", "gcc -O3 -mavx2", "clang-19 -O3 -march=haswell"])
@pytest.mark.parametrize(
    ("body", "grows"),
    [
        ("int a[n]; use(a, n);", True),
        ("while (n-- > 1) use(__builtin_alloca(n), n);", True),
        ("int a[100] __attribute__((aligned(64))); while (n--) use(a, n);", False),
        ("int a[4000]; while (n--) { int b[50]; use(a, n); use(b, n); } use(a + 9, n);", False),
    ],
)
def test_compilers_code_is_told_apart(compiler: str, body: str, grows: bool, tmp_path: Path) -> None:
    source, out = tmp_path / "one.c", tmp_path / "one.o"
    source.write_text(f"void use(int *, int);\nint one(int n) {{ {body} return n; }}\n")
    subprocess.run([*compiler.split(), "-c", "-o", out, source], check=True)
    assert bool(growth(own_of(out))) is grows
