"""Whatever a body does, it is stopped, told apart, and leaves nothing behind."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from sandbox_bodies import RETURN_ADDRESS, STACK, assembly_body

from compiler_ai.sandbox.errors import SandboxError
from compiler_ai.sandbox.pages import PageSet, Prot, Region
from compiler_ai.sandbox.process import OutcomeKind, Sandbox

SIGILL, SIGTRAP, SIGSEGV = 4, 5, 11
KILL_PARENT = "mov $110, %eax\nsyscall\nmov %eax, %edi\nmov $9, %esi\nmov $62, %eax\nsyscall\nret"

FAULTS = {
    "wild jump": ("mov $0x123456789000, %rax\njmp *%rax", SIGSEGV),
    "stack overflow": ("1: push %rax\njmp 1b", SIGSEGV),
    "breakpoint": ("int3\nret", SIGTRAP),
    "undefined": ("ud2", SIGILL),
    "privileged": ("cli\nret", SIGSEGV),
    "port": ("in $0x80, %al\nret", SIGSEGV),
    "read of the runner": ("mov 0x70000000, %rax\nret", SIGSEGV),
    "write to the runner": ("movq $0, 0x70000000\nret", SIGSEGV),
    "jump into the runner": ("mov $0x70001000, %eax\njmp *%rax", SIGSEGV),
    "read of the timing memory": ("mov 0x72000000, %rax\nret", SIGSEGV),
    "write to its own code": ("movb $0, f(%rip)\nret", SIGSEGV),
    "single-step flag": ("pushfq\norl $0x100, (%rsp)\npopfq\nnop\nret", SIGTRAP),
    "null": ("mov 0, %rax\nret", SIGSEGV),
}
SYSTEM_CALLS = {
    "exit": "mov $60, %eax\nsyscall\nret",
    "fork bomb": "1: mov $57, %eax\nsyscall\njmp 1b",
    "kill self": "mov $39, %eax\nsyscall\nmov %eax, %edi\nmov $9, %esi\nmov $62, %eax\nsyscall\nret",
    "kill parent": KILL_PARENT,
    "compatibility call": "mov $1, %eax\nint $0x80\nret",
    "munmap as the set-up does": "mov $11, %eax\nmov $0x70000000, %edi\nmov $4096, %esi\nsyscall\nret",
}


@pytest.mark.parametrize("name", FAULTS)
def test_faults_are_reported(sandbox: Sandbox, tmp_path: Path, name: str) -> None:
    text, signal = FAULTS[name]
    code = assembly_body(text, tmp_path)
    outcome = code.run(sandbox, code.registers())
    assert (outcome.kind, outcome.signal) == (OutcomeKind.FAULT, signal)


@pytest.mark.parametrize("name", SYSTEM_CALLS)
def test_no_system_call_is_made(sandbox: Sandbox, tmp_path: Path, name: str) -> None:
    code = assembly_body(SYSTEM_CALLS[name], tmp_path)
    assert code.run(sandbox, code.registers()).kind is OutcomeKind.SYSCALL
    assert sandbox.trace(code.image, code.registers(), RETURN_ADDRESS).outcome.kind is OutcomeKind.SYSCALL


def test_an_infinite_loop_times_out_on_its_cpu_clock(sandbox: Sandbox, tmp_path: Path) -> None:
    code = assembly_body("1: jmp 1b", tmp_path)
    outcome = sandbox.run(code.image, code.registers(), RETURN_ADDRESS, cpu_limit_ns=30_000_000)
    assert outcome.kind is OutcomeKind.TIMEOUT
    assert outcome.rip == code.loaded.entry


def test_a_fault_names_its_address(sandbox: Sandbox, tmp_path: Path) -> None:
    code = assembly_body("mov $0x123456000, %rdx\nmov 8(%rdx), %rax\nret", tmp_path)
    outcome = code.run(sandbox, code.registers())
    assert outcome.fault_address == 0x123456008
    assert outcome.rip == code.loaded.entry + 10


def test_an_image_cannot_take_the_runners_place(sandbox: Sandbox, tmp_path: Path) -> None:
    code = assembly_body("ret", tmp_path)
    intruder = PageSet((Region(0x70000000, Prot.READ | Prot.WRITE, bytes(4096)),))
    with pytest.raises(SandboxError, match="collides with the runner"):
        sandbox.run((*code.image, intruder), code.registers(), RETURN_ADDRESS)
    assert code.run(sandbox, code.registers()).kind is OutcomeKind.RETURNED


def test_a_missing_file_is_a_typed_error(sandbox: Sandbox, tmp_path: Path) -> None:
    missing = PageSet((Region(0x40000000, Prot.READ, path=str(tmp_path / "none"), file_bytes=4096),))
    code = assembly_body("ret", tmp_path)
    with pytest.raises(SandboxError, match="cannot open a mapped file"):
        sandbox.run((*code.image, missing), code.registers(), RETURN_ADDRESS)


def test_a_patch_outside_of_the_image_is_a_typed_error(sandbox: Sandbox, tmp_path: Path) -> None:
    code = assembly_body("ret", tmp_path)
    with pytest.raises(SandboxError, match="patch"):
        sandbox.run(code.image, code.registers(), RETURN_ADDRESS, patches=[(0x6000_0000, b"x")])


def test_a_dead_runner_is_started_again(sandbox: Sandbox, tmp_path: Path) -> None:
    code = assembly_body("mov $7, %eax\nret", tmp_path)
    assert code.run(sandbox, code.registers()).registers["rax"] == 7
    process = sandbox._process
    assert process is not None
    process.kill()
    process.wait()
    assert code.run(sandbox, code.registers()).registers["rax"] == 7


def test_a_child_dies_with_its_runner(sandbox: Sandbox, tmp_path: Path) -> None:
    import threading

    code = assembly_body("1: jmp 1b", tmp_path)
    sandbox.layout  # noqa: B018 - starts the runner
    process = sandbox._process
    assert process is not None
    errors: list[Exception] = []

    def spin() -> None:
        try:
            sandbox.run(code.image, code.registers(), RETURN_ADDRESS, cpu_limit_ns=20_000_000_000)
        except SandboxError as error:
            errors.append(error)

    thread = threading.Thread(target=spin)
    thread.start()
    children = _await_children(process.pid)
    process.kill()
    thread.join()
    assert children
    assert len(errors) == 1
    deadline_s = time.monotonic() + 10
    while any(Path(f"/proc/{child}").exists() for child in children):
        assert time.monotonic() < deadline_s, "a child outlived its runner"
        time.sleep(0.01)


def _await_children(pid: int) -> list[int]:
    path = Path(f"/proc/{pid}/task/{pid}/children")
    deadline_s = time.monotonic() + 10
    while time.monotonic() < deadline_s:
        if found := [int(child) for child in path.read_text().split()]:
            return found
        time.sleep(0.005)
    return []


@pytest.mark.parametrize("runs", [500, pytest.param(5000, marks=pytest.mark.full)])
def test_many_runs_leave_no_process_and_no_descriptor(sandbox: Sandbox, tmp_path: Path, runs: int) -> None:
    bodies = [assembly_body(text, tmp_path) for text in ("ret", "ud2", "mov $60, %eax\nsyscall", f"incq {STACK}\nret")]
    for code in bodies:
        code.run(sandbox, code.registers())
    process = sandbox._process
    assert process is not None
    before = (len(os.listdir("/proc/self/fd")), len(os.listdir(f"/proc/{process.pid}/fd")))
    for i in range(runs):
        code = bodies[i % len(bodies)]
        code.run(sandbox, code.registers())
    assert Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text() == ""
    assert (len(os.listdir("/proc/self/fd")), len(os.listdir(f"/proc/{process.pid}/fd"))) == before
