"""Which registers callers may read after a return, for what a new body has to leave alone."""

from __future__ import annotations

import subprocess
from pathlib import Path

from compiler_ai.toolchains.x86_64 import X86_64

from compiler_ai.asm.ipa_ra import ipa_ra_registers
from compiler_ai.asm.listing import parse
from compiler_ai.tune.returns import returned_registers
from compiler_ai.verify.prototype import from_object

SOURCE = """
struct pair { long a, b; };
struct large { long a[9]; };
static __attribute__((noinline)) long leaf(long a) { return a * 3; }
long caller(long a, long b, long c, double d) { return leaf(a) + 1; }
void nothing(long *p, double d) { *p = leaf(*p); }
double real(long a, double d) { return leaf(a) * 2.0; }
long double wide(long a) { return leaf(a); }
__int128 both(long a) { return leaf(a); }
struct pair two(long a) { struct pair p = {leaf(a), a}; return p; }
struct large many(long a) { return (struct large){{leaf(a)}}; }
"""
FEW = """
static __attribute__((noinline)) long leaf(long a) { return a * 3; }
long caller(long a, long b, long c, double d) { return leaf(a) + 1; }
void nothing(long *p, double d) { *p = leaf(*p); }
"""


def unit(tmp_path: Path, text: str, *flags: str) -> tuple[str, bytes]:
    source = tmp_path / "x.c"
    source.write_text(text)
    subprocess.run(["gcc", "-O2", *flags, "-S", "x.c"], cwd=tmp_path, check=True)
    subprocess.run(["gcc", "-O2", *flags, "-g", "-c", "x.c"], cwd=tmp_path, check=True)
    return (tmp_path / "x.s").read_text(), (tmp_path / "x.o").read_bytes()


def test_types_say_the_registers(tmp_path: Path) -> None:
    prototype = from_object(unit(tmp_path, SOURCE)[1], "caller")
    assert prototype is not None
    names = (
        "caller",
        "nothing",
        "real",
        "wide",
        "both",
        "two",
        "many",
        "leaf",
        "leaf.constprop.0.isra.1",
        "leaf.0",
        "unknown",
    )
    assert returned_registers(names, prototype.callees, X86_64) == {
        "caller": {"rax"},
        "nothing": frozenset(),
        "real": {"zmm0"},
        "wide": {"zmm0"},
        "both": {"rax", "rdx"},
        "many": {"rax", "zmm0", "zmm1"},
        "leaf": {"rax"},
        "leaf.constprop.0.isra.1": {"rax"},
    }


def test_a_new_body_is_free_to_use_what_no_caller_returns(tmp_path: Path) -> None:
    text, object_bytes = unit(tmp_path, FEW, "-fno-ipa-ra")
    listing, prototype = parse(text), from_object(object_bytes, "leaf")
    assert prototype is not None
    known = returned_registers((function.name for function in listing.functions), prototype.callees, X86_64)
    without = ipa_ra_registers(listing, "leaf", X86_64)
    with_types = ipa_ra_registers(listing, "leaf", X86_64, returned=known)
    assert without is not None
    assert {"zmm0", "rdx"} <= without
    assert with_types == frozenset()
