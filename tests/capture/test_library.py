"""A body that calls memset where the captured one did not is replayed with the process's own memset."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path

from capture_runs import build, target, trace

from compiler_ai.capture.format import Capture
from compiler_ai.capture.format import load as load_capture
from compiler_ai.sandbox.assemble import assemble
from compiler_ai.sandbox.image import build_image
from compiler_ai.sandbox.loader import load
from compiler_ai.sandbox.process import OutcomeKind, Sandbox

PROGRAM = """
static char block[1 << 21];
__attribute__((noinline)) void clear(char *p, long n) { for (long i = 0; i < n; i++) { p[i] = 0; __asm__ ("" ::: "memory"); } }
int main(void) { for (int i = 0; i < 3000; i++) clear(block + i, sizeof block / 2000); return block[5]; }
"""
CALLS = """
    .text
    .globl clear
    .type clear, @function
clear:
    subq $8, %rsp
    movq $2000000, %rdx
    leaq -4000(%rdi), %rdi
    movl $0x5a, %esi
    call memset@PLT
    addq $8, %rsp
    ret
    .size clear, .-clear
"""


def captured(text: str, function: str, directory: Path, *flags: str) -> Capture:
    """The first captured call of a program's function."""
    source = directory / "program.c"
    source.write_text(text)
    program = build(source, directory, *flags)
    traced = trace([str(program)], [target(program, function)], directory / "captures")
    return load_capture(Path(traced.functions[function]["files"][0]))


def test_memset_and_what_it_reads_are_there(tmp_path: Path) -> None:
    """A large one: then it reads the thresholds that the library computed at start-up."""
    capture = captured(PROGRAM, "clear", tmp_path)
    assert "memset" in capture.symbols
    # The captured call touched a page or two of the block; the others are as the loader made them.
    start = capture.registers["rdi"] & -4096
    page = next(page for address, page in capture.pages.items() if address == start)
    room = dict.fromkeys(range(start - 4096, start + 2031616, 4096), page)
    image = build_image(replace(capture, pages={**room, **capture.pages}))
    body = load(assemble(CALLS, ("as", "--64")), "clear", image.bases[0], image.resolver)
    registers = replace(image.registers, rip=body.entry).with_general(rdi=start + 4000)
    with Sandbox() as sandbox:
        outcome = sandbox.run([image.pages, body.pages], registers, image.return_address)
    assert outcome.kind is OutcomeKind.RETURNED
    assert outcome.changed[start + 0x1000] == b"\x5a" * 4096


ROOT = """
#include <math.h>
__attribute__((noinline)) double root(const double *x) { return sqrt(*x); }
int main(void) { double x = 4; for (int i = 0; i < 3000; i++) x += root(&x); return (int)x; }
"""
CALLS_ROOT = """
    .text
    .globl root
    .type root, @function
root:
    subq $8, %rsp
    movsd (%rdi), %xmm0
    call sqrt@PLT
    addq $8, %rsp
    ret
    .size root, .-root
"""


def test_a_root_of_what_has_none_returns(tmp_path: Path) -> None:
    """The library is called for that only, finds where errno is and sets it; no captured call came there."""
    capture = captured(ROOT, "root", tmp_path, "-lm")
    image = build_image(capture)
    body = load(assemble(CALLS_ROOT, ("as", "--64")), "root", image.bases[0], image.resolver)
    registers = replace(image.registers, rip=body.entry)
    numbers = capture.registers["rdi"]
    with Sandbox() as sandbox:
        for number in (4.0, -4.0):
            patches = [(numbers, struct.pack("<d", number))]
            outcome = sandbox.run([image.pages, body.pages], registers, image.return_address, patches=patches)
            assert outcome.kind is OutcomeKind.RETURNED, number
