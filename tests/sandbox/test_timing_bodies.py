"""What the timing loop measures; no test here depends on how fast the machine is, only on factors of a hundred."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from sandbox_bodies import BASE, DATA, RETURN_ADDRESS, STACK_POINTER, Body, assembly_body, body, compile_object, data

from compiler_ai.sandbox.errors import SandboxError
from compiler_ai.sandbox.process import Sandbox, Ticks, TimedState
from compiler_ai.sandbox.timing import restore_ranges, time_bodies

SECOND = 0x1800_0000


def pair(sandbox: Sandbox, tmp_path: Path, first: str, second: str, content: bytes = b"", cold: bool = False) -> Ticks:
    objects = [compile_object(text, tmp_path, "-O1") for text in (first, second)]
    a: Body = body(objects[0], "f", base=BASE)
    b: Body = body(objects[1], "f", base=SECOND)
    image = (*a.image, b.loaded.pages, data(content or bytes(64)))
    return time_bodies(
        sandbox, image, (a.loaded.entry, b.loaded.entry), a.registers(rdi=DATA, rsi=8), RETURN_ADDRESS,
        pair_count=9, cold=cold,
    )  # fmt: skip


LOOP = "long f(long *p, long n) {{ for (volatile int i = 0; i < {0}; i++); return p[0] + n; }}"
STORE = 'void f(long *p, long n) {{ for (int i = 0; i < {0}; i++) {{ p[i % n] += i; __asm__ volatile("" ::: "memory"); }} }}'


@pytest.mark.parametrize("cold", [False, True])
@pytest.mark.parametrize("source", [LOOP, STORE], ids=["nothing changed", "memory changed"])
def test_the_slower_body_takes_more_ticks_in_every_pair(
    sandbox: Sandbox, tmp_path: Path, source: str, cold: bool
) -> None:
    ticks = pair(sandbox, tmp_path, source.format(10), source.format(40_000), cold=cold)
    assert len(ticks.pairs) == 9
    assert sum(first < second for first, second in ticks.pairs) >= 8
    assert ticks.calls_per_block >= 1
    assert ticks.repeated is not cold


@pytest.mark.parametrize("cold", [False, True])
def test_a_body_that_is_a_million_times_slower_is_timed_all_the_same(
    sandbox: Sandbox, tmp_path: Path, cold: bool
) -> None:
    ticks = pair(sandbox, tmp_path, LOOP.format(1), LOOP.format(4_000_000), cold=cold)
    assert all(1000 * first < second for first, second in ticks.pairs)


def test_every_call_starts_from_the_same_memory(sandbox: Sandbox, tmp_path: Path) -> None:
    # Each body traps unless it finds the counter at its captured value.
    check = "void f(int *p, long n) { if (*p != 41) __builtin_trap(); *p = (int)n; }"
    ticks = pair(sandbox, tmp_path, check, check, struct.pack("<i", 41).ljust(64, b"\0"))
    assert ticks.calls_per_block > 1


def test_every_call_starts_from_the_same_memory_when_much_is_changed(sandbox: Sandbox, tmp_path: Path) -> None:
    check = (
        "void f(int *p, long n) { for (int i = 0; i < 500; i++) { if (p[i] != 7) __builtin_trap(); p[i] = (int)n; } }"
    )
    ticks = pair(sandbox, tmp_path, check, check, struct.pack("<500i", *[7] * 500))
    assert not ticks.repeated
    assert ticks.calls_per_block >= 1


def test_a_body_that_faults_is_a_typed_error(sandbox: Sandbox, tmp_path: Path) -> None:
    with pytest.raises(SandboxError, match="did not return: fault"):
        pair(sandbox, tmp_path, "int f(int *p) { return *p; }", "int f(void) { return *(volatile int *)16; }")


def test_an_endless_body_is_a_typed_error(sandbox: Sandbox, tmp_path: Path) -> None:
    code = assembly_body("1: jmp 1b", tmp_path)
    entries = (code.loaded.entry, code.loaded.entry)
    with pytest.raises(SandboxError, match="timeout"):
        sandbox.time(code.image, entries, [TimedState(code.registers())], cpu_limit_ns=50_000_000)


def test_a_system_call_while_timed_is_a_typed_error(sandbox: Sandbox, tmp_path: Path) -> None:
    code = assembly_body("mov $39, %eax\nsyscall\nret", tmp_path)
    with pytest.raises(SandboxError, match="syscall"):
        sandbox.time(code.image, (code.loaded.entry,) * 2, [TimedState(code.registers())])


def test_calls_in_turn_each_start_from_their_own_state(sandbox: Sandbox, tmp_path: Path) -> None:
    # The body traps unless memory, general and vector registers are of one state, and changes the memory.
    check = """void f(long *p, long n, double x) {
        if (*p != n || x != (double)n) __builtin_trap();
        *p = -1;
    }"""
    code = body(compile_object(check, tmp_path, "-O1"), "f", data(bytes(64)))
    states = []
    for number in range(24):
        vectors = sandbox.layout.build({0: struct.pack("<d", number)})
        registers = code.registers(vectors, rdi=DATA, rsi=number)
        states.append(TimedState(registers, [(DATA, number.to_bytes(8, "little"))]))
    ticks = sandbox.time(code.image, (code.loaded.entry,) * 2, states, repeat=True, pair_count=9)
    assert ticks.repeated
    assert ticks.calls_per_block % 24 == 0
    states[7] = TimedState(states[7].registers, states[8].restore)
    with pytest.raises(SandboxError, match="did not return: fault"):
        sandbox.time(code.image, (code.loaded.entry,) * 2, states, repeat=True, pair_count=9)


def test_dead_stack_is_not_restored_and_live_memory_is() -> None:
    memory = data(bytes(range(256)) * 16)
    changed = bytearray(memory.regions[0].data)
    changed[5:8] = b"xyz"
    changed[2000] ^= 1
    ranges = restore_ranges([memory], [{DATA: bytes(changed)}], STACK_POINTER)
    assert ranges == [(DATA + 5, bytes([5, 6, 7])), (DATA + 2000, bytes([2000 % 256]))]
    assert restore_ranges([memory], [{DATA: bytes(changed)}], DATA + 4096) == []
