"""Where arguments lie, held against what GCC's own calls do: a callee that keeps its registers and stack is called with known bytes."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from compiler_ai.verify.passing import GENERAL_ARGUMENTS, Passing, passing
from compiler_ai.verify.prototype import Prototype, from_object

_STACK_BYTES = 1024
_DUMP_BYTES = 6 * 8 + 8 * 16 + _STACK_BYTES
_HEAD = """
#include <stdio.h>
#include <string.h>
unsigned char kept[DUMP_BYTES];
extern void keep(void);
__asm__(".text; keep:"
    "mov %rdi, kept(%rip); mov %rsi, kept+8(%rip); mov %rdx, kept+16(%rip); mov %rcx, kept+24(%rip);"
    "mov %r8, kept+32(%rip); mov %r9, kept+40(%rip);"
    "movups %xmm0, kept+48(%rip); movups %xmm1, kept+64(%rip); movups %xmm2, kept+80(%rip); movups %xmm3, kept+96(%rip);"
    "movups %xmm4, kept+112(%rip); movups %xmm5, kept+128(%rip); movups %xmm6, kept+144(%rip); movups %xmm7, kept+160(%rip);"
    "mov %rdi, %rax; lea kept+176(%rip), %rdi; mov %rsp, %rsi; mov $STACK_BYTES, %ecx; rep movsb; ret");
static unsigned seed;
static void fill(void *to, size_t n) { for (unsigned char *p = to; n--; ) { seed = seed * 1103515245 + 12345; *p++ = (seed >> 16) % 63 + 1; } }
static void show(const void *from, size_t n) { for (const unsigned char *p = from; n--; ) printf("%02x", *p++); putchar('\\n'); }
typedef float four __attribute__((vector_size(16)));
typedef short eight __attribute__((vector_size(8)));
typedef char bytes[3];
typedef long double wide;
""".replace("DUMP_BYTES", str(_DUMP_BYTES)).replace("STACK_BYTES", str(_STACK_BYTES))  # fmt: skip
_SCALARS = (
    *("char", "short", "int", "unsigned", "long", "char *", "float", "double", "wide", "__int128", "_Complex float"),
    *("_Complex double", "_Complex long double", "four", "eight", "__float128"),
)
_MEMBERS = (
    *(f"{scalar} @;" for scalar in ("char", "short", "int", "long", "float", "double", "void *")),
    *("char @[3];", "int @[2];", "float @[2];", "float @[3];", "short @[2][2];", "_Complex float @;", "eight @;"),
    *("int @ : 3;", "long @ : 40;", "unsigned char @ : 8;", "struct { short a; char b; } @;", "union { float a; int b; } @;"),
    *("union { float a; double b; } @;", "struct { float a; } @[2];", "int @ __attribute__((aligned(8)));", "bytes @;"),
    *("four @;", "wide @;", "__int128 @;", "char @[40];", "struct { } @;"),
)  # fmt: skip
_FIXED = (
    ("struct { float a, b, c; }", "struct { float a; int b; }", "struct { double a; char b; }", "union { long a; wide b; }"),
    ("union { wide b; long a[2]; }", "struct { wide a; }", "union { four a; double b[2]; }", "union { four a; long b; }"),
    ("struct __attribute__((packed)) { char a; int b; }", "struct __attribute__((packed)) { int a; char b; }"),
    ("long", "long", "long", "long", "long", "struct { long a, b; }", "long", "__int128", "char"),
    ("double", "struct { double a, b; }", *("double",) * 4, "_Complex double", "float", "double", "struct { float a; }"),
    ("char", "wide", "int", "struct { __int128 a; }", "struct { char a[100]; }", *("float",) * 10, "four"),
    ("struct { double a; float b; char c[4]; }", "struct { }", "struct { __attribute__((aligned(16))) long a; }"),
)  # fmt: skip


def aggregates() -> st.SearchStrategy[str]:
    """Structures and unions of up to five members, packed ones too, of whose own alignment debug information says nothing."""
    plain = _members(_MEMBERS).flatmap(
        lambda inner: st.sampled_from([f"{kind} {{ {inner} }}" for kind in ("struct", "union")])
    )
    narrow = [
        member for member in _MEMBERS if "aligned" not in member and member not in ("four @;", "wide @;", "__int128 @;")
    ]
    packed = _members(narrow).map(lambda inner: f"struct __attribute__((packed)) {{ {inner} }}")
    return st.one_of(plain, plain, plain, packed)


def _members(choice: Sequence[str]) -> st.SearchStrategy[str]:
    members = st.lists(st.sampled_from(choice), min_size=1, max_size=5)
    return members.map(lambda each: " ".join(one.replace("@", f"m{number}") for number, one in enumerate(each)))


def signatures() -> st.SearchStrategy[tuple[str, ...]]:
    """What a function returns and gets."""
    kinds = st.one_of(st.sampled_from(_SCALARS), aggregates())
    return st.lists(kinds, min_size=2, max_size=9).map(tuple)


def unit(signature_list: list[tuple[str, ...]]) -> str:
    """A program that calls `keep` as each function, and shows what the arguments were and what was kept."""
    text, main = [_HEAD], []
    for number, (returns, *kinds) in enumerate(signature_list):
        kinds = [*kinds, "int", "double"]  # so that what was taken before them shows
        names = [f"t{number}_{n}" for n in range(len(kinds))]
        text += [f"typedef {kind} {name};" for name, kind in zip(names, kinds, strict=True)]
        text.append(f"typedef {returns} r{number};")
        text.append(f"r{number} *result{number}; r{number} f{number}({', '.join(f'{n} a{i}' for i, n in enumerate(names))})"
                    f" {{ return *result{number}; }}")  # fmt: skip
        main.append("{")
        main += [
            f"{name} a{i}; memset(&a{i}, 0, sizeof a{i}); fill(&a{i}, sizeof a{i});" for i, name in enumerate(names)
        ]
        main.append("memset(kept, 0, sizeof kept);")
        arguments = ", ".join(f"a{i}" for i in range(len(names)))
        main.append(f"((r{number} (*)({', '.join(names)}))keep)({arguments}); show(kept, sizeof kept);")
        main += [f"show(&a{i}, sizeof a{i});" for i in range(len(names))]
        main.append("}")
    return "\n".join([*text, "int main(void) {", *main, "return 0; }"])


def check(signature_list: list[tuple[str, ...]], directory: Path) -> int:
    """Builds, runs and compares; how many of the functions are understood."""
    source, out, program = directory / "unit.c", directory / "unit.o", directory / "unit"
    source.write_text(unit(signature_list))
    subprocess.run(["gcc", "-g", "-w", "-Wno-psabi", "-c", "-o", out, source], check=True)
    subprocess.run(["gcc", "-o", program, out], check=True)
    lines = iter(subprocess.run([program], check=True, capture_output=True, text=True).stdout.splitlines())
    data, understood = out.read_bytes(), 0
    for number, signature in enumerate(signature_list):
        kept = bytes.fromhex(next(lines))
        arguments = [bytes.fromhex(next(lines)) for _ in range(len(signature) + 1)]
        prototype = from_object(data, f"f{number}")
        assert prototype is not None
        found = passing(prototype)
        if found is not None:
            understood += 1
            compare(prototype, found, kept, arguments, signature)
    return understood


def compare(
    prototype: Prototype, found: Passing, kept: bytes, arguments: list[bytes], signature: tuple[str, ...]
) -> None:
    assert len(found.parameters) == len(arguments) == len(prototype.parameters)
    for parameter, data in zip(found.parameters, arguments, strict=True):
        told = 0
        for part in parameter.parts:
            if isinstance(part.place, int):
                at = 176 + part.place
            else:
                at = 48 + 16 * part.vector if part.vector is not None else 8 * GENERAL_ARGUMENTS.index(part.place)
            for offset, kind in part.members:  # of a union, those that it holds whole
                size = 10 if kind.kind == "float" and kind.size_bytes == 16 else kind.size_bytes
                assert offset + kind.size_bytes <= part.size_bytes
                start = part.offset_bytes + offset
                assert kept[at + offset : at + offset + size] == data[start : start + size], (signature, parameter)
                told += 1
        assert bool(told) == bool(data.strip(b"\0")), (signature, parameter)


def test_known_kinds(tmp_path: Path) -> None:
    signature_list = [("void *", *fixed) for fixed in _FIXED] + [(fixed[0], *fixed) for fixed in _FIXED]
    assert check(signature_list, tmp_path) == len(signature_list)


@settings(
    max_examples=3, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.explicit, Phase.generate]
)
@given(st.lists(signatures(), min_size=20, max_size=30))
def test_any_signature(signature_list: list[tuple[str, ...]]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        assert check(signature_list, Path(directory)) > 0


@pytest.mark.parametrize(
    "parameter", ["double __attribute__((vector_size(32))) a", "_Decimal64 a", "struct { float a; int : 32; } a"]
)
def test_what_is_not_understood(parameter: str, tmp_path: Path) -> None:
    source, out = tmp_path / "unit.c", tmp_path / "unit.o"
    source.write_text(f"int f({parameter}, int b) {{ return b; }}\n")
    subprocess.run(["gcc", "-g", "-w", "-Wno-psabi", "-c", "-o", out, source], check=True)
    prototype = from_object(out.read_bytes(), "f")
    assert prototype is not None
    assert passing(prototype) is None


def test_old_style_and_clones(tmp_path: Path) -> None:
    source, out = tmp_path / "unit.c", tmp_path / "unit.o"
    source.write_text("float f(a, b) float a; int b; { return a + b; }\n")
    subprocess.run(["gcc", "-g", "-w", "-std=gnu17", "-c", "-o", out, source], check=True)
    prototype, clone = from_object(out.read_bytes(), "f"), from_object(out.read_bytes(), "f.constprop.0")
    assert prototype is not None
    assert clone is not None
    found = passing(prototype)
    assert found is not None
    assert [part.size_bytes for part in found.parts] == [8, 4]
    assert passing(clone) is None
