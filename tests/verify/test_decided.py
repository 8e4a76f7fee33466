"""What conditions decide whatever a function is called with: small cases, and random programs against what the processor does."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[1] / "sandbox"))

from sandbox_bodies import DATA, RETURN_ADDRESS, Body, assembly_body, body, compile_object, data

from compiler_ai.sandbox.object import read_object
from compiler_ai.sandbox.process import OutcomeKind, Sandbox
from compiler_ai.sandbox.state import GENERAL
from compiler_ai.verify import decided as module
from compiler_ai.verify.accesses import Decoder
from compiler_ai.verify.code import own_code
from compiler_ai.verify.conditions import observed
from compiler_ai.verify.coverage import Blocks, blocks
from compiler_ai.verify.decided import Decided, decided, linked
from compiler_ai.verify.integers import Sum
from compiler_ai.verify.known import State
from compiler_ai.verify.rounds import Block

STEPS = 50_000


def analysed(code: Body, object_bytes: bytes) -> tuple[Decided | None, Blocks]:
    unit = read_object(object_bytes)
    own = own_code(unit, "f", code.loaded, frozenset())
    found = blocks(own)
    of_unit = linked(unit, code.loaded, lambda name: name == "many")
    return decided(own, found, Decoder(own.code, 0, 0), of_unit, STEPS), found


def outcomes(text: str, directory: Path) -> list[set[bool]]:
    """How the conditions of a function with these instructions may come out, in the order of their addresses."""
    source = f".text\n.globl f\n.type f,@function\nf:\n{text}\n.size f,.-f\n.section .rodata\nhere: .quad 1\n"
    object_bytes = compile_object(source, directory, language="asm")
    code = body(object_bytes, "f", symbols={"many": 0x1100_0000, "few": 0x1100_0000, "setjmp": 0x1100_0000, "away": 0})
    result, _ = analysed(code, object_bytes)
    assert result is not None
    return [set(one) for _, one in sorted(result.outcomes.items())]


ALWAYS, NEVER, EITHER, NOT_EXECUTED = {True}, {False}, {True, False}, set[bool]()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cmp $5, %edi\nsete %al\nret", [EITHER]),
        ("mov $5, %edi\ncmp $5, %edi\nsete %al\nret", [ALWAYS]),
        ("xor %eax, %eax\n1: inc %eax\ncmp $112, %eax\njne 1b\ncmp $112, %eax\nsetb %cl\nret", [EITHER, NEVER]),
        ("mov $3, %ecx\n1: add $7, %rax\ndec %ecx\njne 1b\ntest %ecx, %ecx\nje 2f\ncmp $1, %edi\nje 2f\n2: ret",
         [EITHER, ALWAYS, NOT_EXECUTED]),
        # Both ends of an array are as far from each other wherever it is.
        ("lea 64(%rdi), %rax\n1: add $16, %rdi\ncmp %rax, %rdi\njne 1b\ncmp %rax, %rdi\nsete %cl\nret", [EITHER, ALWAYS]),
        ("lea 64(%rdi), %rax\nmov %rax, %rcx\nsub %rdi, %rcx\ncmp $64, %rcx\nsete %cl\nret", [ALWAYS]),
        ("lea 64(%rdi), %rax\ncmp %rdi, %rax\nseta %cl\nret", [EITHER]),  # it may wrap
        ("lea -64(%rsp), %rax\ncmp %rsp, %rax\nseta %cl\nret", [NEVER]),
        ("lea 64(%rdi), %rax\ncmp %rsi, %rax\nseta %cl\nret", [EITHER]),
        # Where two ways meet, only what is the same on both is known.
        ("mov $1, %eax\ncmp $5, %edi\nje 1f\nmov $2, %eax\n1: cmp $3, %eax\nje 2f\n2: ret", [EITHER, EITHER]),
        ("mov $1, %eax\ncmp $5, %edi\nje 1f\nmov $2, %edx\n1: cmp $3, %eax\nje 2f\n2: ret", [EITHER, NEVER]),
        # A loop that goes on as long as the data say: what it counts may be anything.
        ("xor %eax, %eax\n1: inc %eax\ncmpb $0, (%rdi,%rax)\njne 1b\ncmp $1000, %eax\nje 2f\n2: ret", [EITHER, EITHER]),
        ("xor %eax, %eax\n1: inc %eax\ncmp $1000, %eax\nje 2f\ncmpb $0, (%rdi,%rax)\njne 1b\n2: ret", [EITHER, EITHER]),
        # The frame's slots: kept through a call, unless the callee gets arguments there or may know of them.
        ("sub $24, %rsp\nmovq $7, 8(%rsp)\ncall few\ncmpq $7, 8(%rsp)\nsete %al\nadd $24, %rsp\nret", [ALWAYS]),
        ("sub $24, %rsp\nmovq $7, 8(%rsp)\ncall many\ncmpq $7, 8(%rsp)\nsete %al\nadd $24, %rsp\nret", [EITHER]),
        ("sub $24, %rsp\nmovq $7, 8(%rsp)\nmov %rsp, %rdi\ncall few\ncmpq $7, 8(%rsp)\nsete %al\nadd $24, %rsp\nret", [EITHER]),
        ("sub $24, %rsp\nmovq $7, 8(%rsp)\nmovq $8, (%rdi)\ncmpq $7, 8(%rsp)\nsete %al\nadd $24, %rsp\nret", [ALWAYS]),
        ("movq $7, -8(%rsp)\nvmovdqu64 %zmm0, -64(%rsp){%k1}\ncmpq $7, -8(%rsp)\nsete %al\nret", [EITHER]),
        ("movq $7, -8(%rsp)\nmovl $8, -4(%rsp)\ncmpq $7, -8(%rsp)\nsete %al\nret", [EITHER]),
        ("lea -8(%rsp), %rax\nmovq $7, -8(%rsp)\nmov (%rdi), %rdx\nmovq $8, (%rax,%rdx)\ncmpq $7, -8(%rsp)\nsete %al\nret", [EITHER]),
        *(
            (f"movq $7, -8(%rsp)\nmov (%rdi), %rdx\n{store}\ncmpq $7, -8(%rsp)\nsete %al\nret", [EITHER])
            for store in (
                "movq $8, -64(%rsp,%rdx,8)",
                "lea -64(%rsp,%rdx,8), %rax\nmovq $8, (%rax)",
                "add %rsp, %rdx\nmovq $8, (%rdx)",
                "or %rsp, %rdx\nmovq $8, (%rdx)",
                "mov %rsp, %rbp\nmovq %rbp, %xmm0\nmovq %xmm0, %rdx\nmovq $8, -8(%rdx)",
                "movups %xmm0, -64(%rsp,%rdx,8)",
            )
        ),
        ("movq $7, -8(%rsp)\nmov (%rdi), %rdx\nmov -64(%rsp,%rdx,8), %rax\nmovq $8, (%rax)\ncmpq $7, -8(%rsp)\nsete %al\nret", [ALWAYS]),
        # A function that may not be there: its address says nothing.
        ("mov $away, %eax\ntest %eax, %eax\nje 1f\n1: ret", [EITHER]),
        ("lea here(%rip), %rax\ncmp %rdi, %rax\nje 1f\n1: ret", [EITHER]),
        ("lea here(%rip), %rax\nlea 8(%rax), %rdx\n1: add $4, %rax\ncmp %rdx, %rax\njne 1b\ncmp %rdx, %rax\nsetne %al\nret",
         [EITHER, NEVER]),
        # Parts of registers, and flags that are left alone.
        ("mov $0x1ff, %eax\nmov $1, %al\ncmp $0x101, %eax\nsete %cl\nret", [ALWAYS]),
        ("mov %edi, %eax\nmov $1, %al\ncmp $1, %al\nsete %cl\ncmp $1, %eax\nsete %cl\nret", [ALWAYS, EITHER]),
        ("mov $2, %eax\ncmp $2, %eax\nmovups %xmm0, (%rdi)\nlea 4(%rax), %rdx\nsete %cl\nret", [ALWAYS]),
        ("mov $2, %eax\ncmp $2, %eax\nucomisd %xmm0, %xmm1\nsete %cl\nret", [EITHER]),
        *(
            (f"{text}\nret", None)
            for text in ("stc", "movq $here, (%rsp)", "push $here", "mov (%rdi), %rsp", "call setjmp", "call few\n.byte 6", "1: loop 1b", "1: jmp 1b")
        ),
    ],
)  # fmt: skip
def test_cases(tmp_path: Path, text: str, expected: list[set[bool]] | None) -> None:
    if expected is None:
        with pytest.raises(AssertionError):
            outcomes(text, tmp_path)
    else:
        assert outcomes(text, tmp_path) == expected


def test_a_loop_of_many_rounds_is_not_followed_one_by_one(tmp_path: Path) -> None:
    text = "xor %eax, %eax\n1: movups %xmm0, (%rdi,%rax)\nadd $16, %rax\ncmp $1600000000, %rax\njne 1b\ncmp $5, %eax\nje 2f\n2: ret"
    assert outcomes(text, tmp_path) == [EITHER, NEVER]


MANY_ROUNDS = {
    "what is counted from some round on only": "xor %eax, %eax\nxor %edx, %edx\nxor %esi, %esi\n1: cmp $800, %rax\nsetg %dl\n"
    "add %rdx, %rsi\nadd $16, %rax\ncmp $1600, %rax\njne 1b\ncmp $49, %rsi",
    "half a register that wraps": "mov $0xfffffff0, %edx\nxor %eax, %eax\n1: add $1, %edx\nadd $1, %eax\ncmp $1000, %eax\njne 1b\ncmp $984, %rdx",
    "the numbers of a table in the frame": "\n".join(f"movq ${50 if at == 32 else 1}, {-at}(%rsp)" for at in range(8, 72, 8))
    + "\nlea -64(%rsp), %rsi\nxor %edx, %edx\n1: add (%rsi), %rdx\nadd $8, %rsi\ncmp %rsp, %rsi\njne 1b\ncmp $57, %rdx",
    "a number that a table in the frame changes": "movq $1, -8(%rsp)\nxor %edx, %edx\nxor %eax, %eax\n1: xor -8(%rsp), %rdx\nadd %rdx, %rcx\n"
    "add $1, %rax\ncmp $1000, %rax\njne 1b\ncmp $0, %rdx",
    "a counter in the frame": "movq $0, -8(%rsp)\nxor %eax, %eax\n1: addq $3, -8(%rsp)\nadd $1, %rax\ncmp $1000, %rax\njne 1b\ncmpq $3000, -8(%rsp)",
    "a loop that ends at a sign": "mov $-1000, %rax\n1: add $3, %rax\ncmp $0, %rax\njl 1b\ncmp $2, %rax",
}  # fmt: skip


@pytest.mark.parametrize("name", MANY_ROUNDS)
def test_what_is_left_of_many_rounds(tmp_path: Path, name: str) -> None:
    assert outcomes(f"{MANY_ROUNDS[name]}\nsete %al\nret", tmp_path)[-1] == ALWAYS


SLOT_7, SAYS_7 = "movq $7, -8(%rsp)\nmov (%rdi), %rdx\n", "\ncmpq $7, -8(%rsp)\nsete %al\nret"
NOT_ALWAYS = {
    "a place in the frame by way of a register that is not known": f"{SLOT_7}lea -8(%rsp,%rdx), %rbp\nmovq $8, (%rbp){SAYS_7}",
    "the frame's address on one way only": f"{SLOT_7}mov %rdi, %rax\ncmp $0, %rsi\ncmove %rsp, %rax\nmovq $8, -8(%rax){SAYS_7}",
    "a rounded address in the frame": f"{SLOT_7}lea -8(%rsp), %rbp\nand $-8, %rbp\nmovq $8, (%rbp){SAYS_7}",
    "where two ways meet": f"{SLOT_7}mov %rsp, %rbp\ntest %esi, %esi\nje 1f\nlea 8(%rdi), %rbp\n1: movq $8, -8(%rbp){SAYS_7}",
    "exchanged": f"{SLOT_7}mov %rsp, %rbp\nxchg %rbp, %rax\nmovq $8, -8(%rax){SAYS_7}",
    "half an address": f"{SLOT_7}movq $8, -8(%esp){SAYS_7}",
    "a stack pointer that depends on an argument": "push %rbp\nmov %rsp, %rbp\nsub $16, %rsp\nmovq $7, (%rsp)\ntest %esi, %esi\nje 1f\n"
    "sub $64, %rsp\n1: movq $9, (%rsp)\ncmpq $7, -16(%rbp)\nsete %al\nmov %rbp, %rsp\npop %rbp\nret",
    "an argument on the stack that was written on one way": "mov 8(%rsp), %rax\ncmp $3, %rsi\njle 1f\nmov %rdx, 8(%rsp)\n1: cmp 8(%rsp), %rax\nsete %al\nret",
    "an argument on the stack that was written with another": "mov 16(%rsp), %rcx\nmovups %xmm0, 8(%rsp)\nmovq $1, 8(%rsp)\ncmp %rcx, 16(%rsp)\nsete %al\nret",
    "a bit far from the operand": "movq $0, -8(%rsp)\nmov $64, %eax\nbts %rax, -16(%rsp)\ncmpq $0, -8(%rsp)\nsete %al\nret",
    "a push of two bytes": "push %rbp\nmov %rsp, %rbp\nmovq $7, -8(%rsp)\npushw $5\ncmpq $5, (%rsp)\nsete %al\nmov %rbp, %rsp\npop %rbp\nret",
    "a stack pointer that is rounded twice": "push %rbp\nmov %rsp, %rbp\nlea 8(%rsp), %rsp\nand $-1, %rsp\nmov %rsp, %rax\nlea 8(%rbp), %rsp\nand $-32, %rsp\n"
    "cmp %rax, %rsp\nsete %al\nmov %rbp, %rsp\npop %rbp\nret",
}  # fmt: skip
_TABLE = "\n".join(f"movq ${50 if at == 32 else 1}, {-at}(%rsp)" for at in range(8, 72, 8))
NOT_NEVER = {
    "a table in the frame by rbp": f"{_TABLE}\nlea -64(%rsp), %rbp\nxor %edx, %edx\n1: add (%rbp), %rdx\nadd $8, %rbp\ncmp %rsp, %rbp\njne 1b\ncmp $57, %rdx",
    "a table in the frame by rsp": f"{_TABLE}\nmov %rsp, %rbp\nsub $64, %rsp\nxor %edx, %edx\n1: add (%rsp), %rdx\nadd $8, %rsp\ncmp %rsp, %rbp\njne 1b\ncmp $57, %rdx",
    "a table in the frame by index": f"{_TABLE}\nlea -64(%rsp), %rbp\nxor %eax, %eax\nxor %edx, %edx\n1: add (%rax,%rbp), %rdx\nadd $8, %rax\ncmp $64, %rax\njne 1b\n"
    "cmp $57, %rdx",
    "bits that are counted through": "mov $0xf0f, %eax\n1: dec %eax\ntest $0xf0f, %eax\njne 1b\ncmp $0xf0, %eax",
    "half a number that wraps unseen": "xor %esi, %esi\nxor %eax, %eax\nmov $0x6400000000, %r8\n1: mov %eax, %ecx\nsub %rax, %rcx\nadd %rcx, %rsi\nadd $0x10000000, %rax\n"
    "cmp %r8, %rax\njne 1b\nmov $-0x1356000000000, %r9\ncmp %r9, %rsi",
    "flags of a comparison of strings": "mov $2, %eax\ncmp $3, %eax\npxor %xmm0, %xmm0\npcmpistrm $1, %xmm0, %xmm0",
    "flags of an ordered comparison": "mov $2, %eax\ncmp $3, %eax\nvcomisd {sae}, %xmm0, %xmm0",
}  # fmt: skip


def says(text: str, directory: Path) -> set[bool]:
    """How the last condition may come out; either way when the code is not followed."""
    try:
        return outcomes(text, directory)[-1]
    except AssertionError:
        return EITHER


@pytest.mark.parametrize("name", NOT_ALWAYS)
def test_what_may_be_otherwise_is_not_always_so(tmp_path: Path, name: str) -> None:
    assert False in says(NOT_ALWAYS[name], tmp_path)


@pytest.mark.parametrize("name", NOT_NEVER)
def test_what_may_be_so_is_not_never_so(tmp_path: Path, name: str) -> None:
    assert True in says(f"{NOT_NEVER[name]}\nsete %al\nret", tmp_path)


def test_what_the_linker_may_move_is_not_told_apart(tmp_path: Path) -> None:
    """The end of one string may become another."""
    text = ("lea 1f+1(%rip), %rax\nlea 2f(%rip), %rcx\ncmp %rax, %rcx\nsete %al\nret\n.section .rodata.str1.1,\"aMS\",@progbits,1\n"
            "1: .string \"abc\"\n2: .string \"bc\"\n.text")  # fmt: skip
    assert outcomes(text, tmp_path) == [EITHER]


def test_a_call_that_never_returns_ends_a_way(tmp_path: Path) -> None:
    assert outcomes("mov $5, %eax\ncmp $5, %eax\njne 1f\nret\n1: call few", tmp_path) == [NEVER]


def test_what_takes_too_long_is_left_alone_soon(tmp_path: Path) -> None:
    for text in (
        "mov $100000, %ecx\n1: cmpb $0, (%rdi)\nje 2f\nnop\n2: dec %ecx\njne 1b\nret",
        "mov $400000, %ecx\n1: " + "push %rax\npop %rdx\n" * 400 + "dec %ecx\njne 1b\nret",
        "setssbsy\nret",
    ):
        assert says(text + "\ncmp %eax, %eax\nsete %al", tmp_path) == EITHER


# Random programs -----------------------------------------------------------------------------------------------------

REGISTERS = ("rax", "rcx", "rdx", "rsi", "r8", "r9", "r10", "r11")
COUNTERS = ("rbx", "rbp", "r12")
CODES = ("e", "ne", "l", "ge", "le", "g", "b", "ae", "be", "a", "s", "ns")
_HALVES = {"rax": "eax", "rcx": "ecx", "rdx": "edx", "rsi": "esi", **{f"r{n}": f"r{n}d" for n in range(8, 12)}}
_BYTES = {"rax": "al", "rcx": "cl", "rdx": "dl", "rsi": "sil", **{f"r{n}": f"r{n}b" for n in range(8, 12)}}


class _Program:
    """Random instructions on the registers, some slots below the stack pointer, and the data that rdi leads to."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._labels = 0

    def text(self) -> str:
        body = "\n".join(self._statements(0, 8))
        saved = [f"push %{name}" for name in COUNTERS]
        restored = [f"pop %{name}" for name in reversed(COUNTERS)]
        return "\n".join([*saved, body, *restored, "ret"])

    def _statements(self, depth: int, most: int) -> Iterator[str]:
        for _ in range(self._chance.randint(1, most)):
            kind = self._chance.random()
            if depth < 3 and kind < 0.12:
                yield from self._choice(depth)
            elif depth < 3 and kind < 0.26:
                yield from self._loop(depth)
            else:
                yield self._instruction()

    def _label(self) -> str:
        self._labels += 1
        return f".L{self._labels}"

    def _choice(self, depth: int) -> Iterator[str]:
        other, end = self._label(), self._label()
        yield self._comparison()
        yield f"j{self._chance.choice(CODES)} {other}"
        yield from self._statements(depth + 1, 4)
        yield f"jmp {end}\n{other}:"
        yield from self._statements(depth + 1, 4)
        yield f"{end}:"

    def _loop(self, depth: int) -> Iterator[str]:
        top, counter, rounds = self._label(), COUNTERS[depth], self._chance.randint(1, 14)
        if self._chance.random() < 0.3:
            yield f"mov {8 * self._chance.randrange(8)}(%rdi), %{counter}\nand $7, %{counter}\ninc %{counter}"
        elif self._chance.random() < 0.5:
            yield f"mov ${rounds}, %{counter}"
        else:
            yield f"xor %{counter}, %{counter}"
            yield f"{top}:"
            yield from self._statements(depth + 1, 4)
            yield f"add $3, %{counter}\ncmp ${3 * rounds}, %{counter}\nj{self._chance.choice(['ne', 'b', 'l'])} {top}"
            return
        yield f"{top}:"
        yield from self._statements(depth + 1, 4)
        yield f"{self._chance.choice(['dec', 'sub $1,', 'add $-1,'])} %{counter}\njne {top}"

    def _comparison(self) -> str:
        a, b = self._register(), self._register()
        return self._chance.choice(
            [f"cmp %{a}, %{b}", f"cmp ${self._constant()}, %{a}", f"test %{a}, %{b}", f"cmp %{_HALVES[a]}, %{_HALVES[b]}",
             f"cmpq %{a}, {self._slot()}", f"cmpb ${self._chance.randrange(128)}, %{_BYTES[a]}", f"sub %{a}, %{b}"]
        )  # fmt: skip

    def _instruction(self) -> str:
        chance, a, b, c = self._chance, self._register(), self._register(), self._register()
        k, slot, place = self._constant(), self._slot(), f"{8 * chance.randrange(32)}(%rdi)"
        part = chance.choice([a, _HALVES[a]])
        of = (lambda name: name) if part == a else _HALVES.__getitem__
        condition = chance.choice(CODES)
        return chance.choice(
            [f"mov ${k}, %{part}", f"mov %{of(b)}, %{part}", f"add %{of(b)}, %{part}", f"sub %{of(b)}, %{part}", f"add ${k}, %{part}",
             f"lea {k}(%{b},%{c},{chance.choice([1, 2, 4, 8])}), %{part}", f"lea {k}(%{b}), %{part}", f"xor %{part}, %{part}",
             f"and ${k}, %{part}", f"or %{of(b)}, %{part}", f"xor %{of(b)}, %{part}", f"neg %{part}", f"not %{part}", f"inc %{part}",
             f"shl ${chance.randrange(5)}, %{part}", f"shr ${chance.randrange(5)}, %{part}", f"sar ${chance.randrange(5)}, %{part}",
             f"imul ${k}, %{of(b)}, %{part}", f"imul %{of(b)}, %{part}", f"movslq %{_HALVES[b]}, %{a}", f"movzbl %{_BYTES[b]}, %{_HALVES[a]}",
             f"movsbq %{_BYTES[b]}, %{a}", f"mov %{_BYTES[b]}, %{_BYTES[a]}", f"mov %{a}, {slot}", f"mov {slot}, %{a}", f"movl $5, {slot}",
             f"addq ${k}, {slot}", f"mov %{a}, {place}", f"mov {place}, %{a}", f"add {place}, %{part}", f"movups %xmm0, {place}",
             f"movups %xmm0, {slot}", f"xchg %{a}, %{b}", f"bswap %{a}", f"popcnt %{a}, %{b}", "cqo", "cltq", f"rol $3, %{a}",
             f"lea -64(%rsp), %{a}\nmovq $9, {8 * chance.randrange(8)}(%{a})",
             f"and $7, %{b}\nmov %{a}, -64(%rsp,%{b},8)", f"and $7, %{b}\nlea -64(%rsp,%{b},8), %{a}\nmovq $9, (%{a})",
             f"movzbl %{chance.choice(['ah', 'ch', 'dh'])}, %ecx", f"mov %{chance.choice(['al', 'cl', 'dl'])}, %{chance.choice(['ah', 'ch', 'dh'])}",
             f"movw ${k & 0x7FFF}, %{chance.choice(['ax', 'cx', 'dx'])}", f"bt $3, %{a}", f"mul %{a}", f"xadd %{a}, %{b}",
             f"{self._comparison()}\nset{condition} %{_BYTES[c]}", f"{self._comparison()}\ncmov{condition} %{b}, %{c}",
             f"{self._comparison()}\nset{condition} {slot}", f"{self._comparison()}\nadc %{b}, %{c}"]
        )  # fmt: skip

    def _register(self) -> str:
        return self._chance.choice(REGISTERS)

    def _constant(self) -> int:
        return self._chance.choice([0, 1, -1, 8, 16, 100, -8, 0x7FFFFFFF, self._chance.randint(-300, 300)])

    def _slot(self) -> str:
        return f"{-8 * self._chance.randint(1, 8)}(%rsp)"


@settings(max_examples=60, deadline=None)
@given(st.integers(min_value=0, max_value=1 << 32))
def test_random_programs_do_nothing_else(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    """Every block that a run executes and every outcome of its conditions is among those found; so is what it returns with."""
    directory, chance = tmp_path_factory.mktemp("random"), random.Random(seed)
    source = f".text\n.globl f\n.type f,@function\nf:\n{_Program(chance).text()}\n.size f,.-f\n"
    object_bytes = compile_object(source, directory, language="asm")
    code = body(object_bytes, "f", data(chance.randbytes(4096)))
    returned: list[State] = []
    with pytest.MonkeyPatch.context() as patch:
        check = module._Following._check_return

        def noted(self: module._Following, block: Block, state: State) -> None:
            returned.append(state)
            check(self, block, state)

        patch.setattr(module._Following, "_check_return", noted)
        result, found = analysed(code, object_bytes)
    if result is None:
        return  # too long: nothing is claimed
    with Sandbox() as sandbox:
        for _ in range(4):
            entry = {name: chance.choice([0, 1, 5, DATA, chance.getrandbits(64)]) for name in REGISTERS}
            registers = code.registers(**entry, rdi=DATA)
            trace = sandbox.trace(code.image, registers, RETURN_ADDRESS, max_steps=100_000)
            assert trace.outcome.kind is OutcomeKind.RETURNED
            assert {step.rip for step in trace} & found.starts <= result.reached
            for at, flags in observed(trace, found.conditions):
                assert found.conditions[at].holds(flags) in result.outcomes[at], hex(at - code.loaded.entry)
            for name in REGISTERS:
                value = returned[-1].registers[GENERAL.index(name)]
                actual = trace.outcome.registers[name]
                if type(value) is int:
                    assert value == actual, name
                elif type(value) is Sum and all(symbol < len(GENERAL) for symbol, _ in value.terms):
                    terms = sum(registers[GENERAL[symbol]] * factor for symbol, factor in value.terms)
                    assert (terms + value.constant - actual) % (1 << 64) == 0, name


def test_what_is_called_with_what_it_brought_along_is_left_alone(tmp_path: Path) -> None:
    code = assembly_body("call 1f\nret\n1: ret", tmp_path)
    assert analysed(code, (tmp_path / "unit.o").read_bytes())[0] is None
