"""Short captured calls are timed in turn: each finds what it needs, and no predictor knows what comes next."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from compiler_ai.measure.timing import Timer
from compiler_ai.measure.turns import Turns, in_turn
from compiler_ai.sandbox.image import CaptureImage
from compiler_ai.sandbox.loader import load
from compiler_ai.sandbox.pages import PageSet, Prot, Region
from compiler_ai.sandbox.process import Sandbox
from compiler_ai.sandbox.state import Registers
from compiler_ai.sandbox.symbols import NoResolver

STACK, STACK_BYTES, RETURN, DATA = 0x2000_0000, 0x10000, 0x5FFF_0000, 0x2100_0000
SUM = "long f(unsigned char *p, long n) { long x = 0; for (long i = 0; i < n; i++) x = x * 31 + p[i]; return x; }"
COUNTS = "int f(int *counter, int by) { return *counter += by; }"
BRANCHY = """long f(const unsigned char *p, long n) {
    long x = 1;
    for (long i = 0; i < n; i++) { if (p[i] & 1) { x *= 3; __asm__ volatile(""); } else { x ^= x >> 7; __asm__ volatile(""); } }
    return x;
}"""
BRANCHLESS = """long f(const unsigned char *p, long n) {
    long x = 1;
    for (long i = 0; i < n; i++) { long a = x * 3, b = x ^ x >> 7, odd = -(long)(p[i] & 1); x = (a & odd) | (b & ~odd); }
    return x;
}"""


class Nowhere(NoResolver):
    load_bias = 0


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as opened:
        yield opened


def assembled(source: str, directory: Path) -> bytes:
    output = directory / "f.o"
    command = ["gcc", "-O2", "-fno-tree-vectorize", "-fno-if-conversion", "-c", "-x", "c", "-o", str(output), "-"]
    subprocess.run(command, input=source.encode(), check=True)
    return output.read_bytes()


def image(data: bytes, *arguments: int, xstate: bytes = b"", depth: int = 0) -> CaptureImage:
    """A call whose page at DATA holds `data`, and whose caller's frame is its own; `depth` bytes below the others' return address."""
    page = data.ljust(4096, bytes([len(data) & 0xFF]))
    own = bytes([data[0]]) * 56 + RETURN.to_bytes(8, "little")
    stack = bytes(STACK_BYTES - 64 - depth) + own + bytes(depth)
    writable = Prot.READ | Prot.WRITE
    pages = PageSet((Region(STACK, writable, stack), Region(DATA, writable, page)))
    general = {"rsp": STACK + STACK_BYTES - 8 - depth, **dict(zip(("rdi", "rsi"), arguments, strict=True))}
    registers = Registers(general, xstate=xstate)
    return CaptureImage(pages, registers, RETURN, (0x1000_0000, 0x3000_0000), Nowhere())  # type: ignore[arg-type]


def found(sandbox: Sandbox, code: bytes, images: Sequence[CaptureImage]) -> Turns:
    turns = in_turn(sandbox, code, "f", images)
    assert turns is not None
    return turns


def result(sandbox: Sandbox, code: bytes, image: CaptureImage, patches: Sequence[tuple[int, bytes]] = ()) -> int:
    body = load(code, "f", image.bases[0], image.resolver)
    entry = replace(image.registers, rip=body.entry)
    return sandbox.run([image.pages, body.pages], entry, image.return_address, patches=patches).registers["rax"]


def test_calls_that_read_different_places_restore_nothing(sandbox: Sandbox, tmp_path: Path) -> None:
    code = assembled(SUM, tmp_path)
    texts = [bytes(16 * at) + bytes([at + 1]) * 16 for at in range(6)]
    images = [image(text, DATA + 16 * at, 16) for at, text in enumerate(texts)]
    turns = found(sandbox, code, images)
    assert [state.restore for state in turns.states] == [()] * 6
    for own, state in zip(images, turns.states, strict=True):
        joint = replace(turns.image, registers=state.registers)
        assert result(sandbox, code, joint) == result(sandbox, code, own)


def test_calls_that_read_the_same_place_otherwise_restore_what_they_read(sandbox: Sandbox, tmp_path: Path) -> None:
    code = assembled(SUM, tmp_path)
    images = [image(bytes([at + 1]) * 24, DATA, 8 + at) for at in range(6)]
    turns = found(sandbox, code, images)
    everything = [one for state in turns.states for one in state.restore]
    for own, state in zip(images, turns.states, strict=True):
        joint = replace(turns.image, registers=state.registers)
        assert result(sandbox, code, joint, [*everything, *state.restore]) == result(sandbox, code, own)


def test_what_a_call_leaves_for_the_next_is_put_back(sandbox: Sandbox, tmp_path: Path) -> None:
    code = assembled(COUNTS, tmp_path)
    images = [image((7).to_bytes(4, "little"), DATA, at) for at in range(4)]
    assert [state.restore for state in found(sandbox, code, images).states] == [((DATA, b"\7\0\0\0"),)] * 4


def test_what_another_call_may_have_in_its_frame_is_put_back(sandbox: Sandbox, tmp_path: Path) -> None:
    """A return address, at least: one call's caller has an array where the others' frames come to lie."""
    code = assembled(SUM, tmp_path)
    high = [image(bytes([at + 1]) * 16, DATA + 16, 8) for at in range(4)]
    low = image(bytes(16), STACK + STACK_BYTES - 256, 64, depth=1024)
    states = found(sandbox, code, [*high, low]).states
    assert states[-1].restore == ((STACK + STACK_BYTES - 256, bytes(64)),)
    assert all(state.restore == () for state in states[:-1])
    same = Timer(sandbox, code, "f", [*high, low]).measure(code)
    assert 0.95 < same.warm.ratio < 1.05


def test_calls_that_round_otherwise_are_not_timed_in_turn(sandbox: Sandbox, tmp_path: Path) -> None:
    code = assembled(SUM, tmp_path)
    plain = sandbox.layout.build({0: bytes(8)})
    flushing = bytearray(plain)
    flushing[24:28] = (0x9FC0).to_bytes(4, "little")
    images = [image(bytes(16), DATA, 8, xstate=plain) for _ in range(4)]
    assert len(found(sandbox, code, [*images, image(bytes(16), DATA, 8, xstate=bytes(flushing))]).states) == 4


def test_what_was_put_back_is_loaded_as_fast_by_one_load_as_by_two(sandbox: Sandbox, tmp_path: Path) -> None:
    head = "#include <immintrin.h>\nlong f(const long *p, long n) { "
    whole = assembled(
        head + "__m128i x = _mm_loadu_si128((const void *)p); return _mm_cvtsi128_si64(x) + _mm_extract_epi16(x, 5); }",
        tmp_path,
    )
    halves = assembled(
        head
        + "long a = *(volatile const long *)p, b = ((volatile const long *)p)[1]; return a + (b >> 16 & 0xffff); }",
        tmp_path,
    )
    images = [image(bytes([at + 1]) * 16, DATA, 0) for at in range(8)]
    assert len(found(sandbox, whole, images).states) == 8
    assert Timer(sandbox, whole, "f", images).look(halves) < 1.6


def test_calls_that_find_too_much_otherwise_are_left_out(sandbox: Sandbox, tmp_path: Path) -> None:
    code = assembled(SUM, tmp_path)
    few = [image(bytes([at + 1]) * 8, DATA, 8) for at in range(4)]
    much = [image(bytes([99 + at]) * 270, DATA, 270) for at in range(3)]
    assert len(found(sandbox, code, [*few, *much]).states) == 5  # what one of them reads is its own
    assert in_turn(sandbox, code, "f", [*few[:2], *much]) is None


def test_a_long_call_is_timed_by_itself_and_another_process_not_at_all(sandbox: Sandbox, tmp_path: Path) -> None:
    code = assembled(SUM, tmp_path)
    short, long = [image(bytes(16), DATA, 8) for _ in range(6)], image(bytes(4096), DATA, 4000)
    other = replace(short[0], library=((0x7F00_0000_0000, 0x7F00_0010_0000),))
    turns = found(sandbox, code, [*short, long, other])
    assert len(turns.states) == 6
    assert turns.long == (long,)
    timing = Timer(sandbox, code, "f", [*short, long]).measure(code)
    alone = Timer(sandbox, code, "f", [long]).measure(code)
    assert 0.9 < timing.baseline_ns / alone.baseline_ns < 1.5
    assert in_turn(sandbox, code, "f", [*[long] * 4, *short]) is None


def test_further_calls_have_their_turns_too(sandbox: Sandbox, tmp_path: Path) -> None:
    code = assembled(SUM, tmp_path)
    images = [image(bytes(16), DATA, 8) for _ in range(6)]
    (group,) = Timer(sandbox, code, "f", images[:4], images[4:])._warm
    assert isinstance(group.calls, Turns)
    assert len(group.calls.states) == group.weight == 6


def test_a_branch_that_the_data_decide_costs_what_it_costs_in_the_program(sandbox: Sandbox, tmp_path: Path) -> None:
    """The same call over and over lets the predictor know all its branches."""
    chance = random.Random(1)
    texts = [bytes(100 * at) + chance.randbytes(40 + at) for at in range(24)]
    images = [image(text, DATA + 100 * at, 40 + at) for at, text in enumerate(texts)]
    branchy, branchless = assembled(BRANCHY, tmp_path), assembled(BRANCHLESS, tmp_path)
    in_turns = Timer(sandbox, branchy, "f", images).look(branchless)
    alone = Timer(sandbox, branchy, "f", images[:1]).look(branchless)
    assert in_turns > 1.3 * alone
