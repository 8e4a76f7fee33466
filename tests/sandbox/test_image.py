"""A captured call, replayed: the module's own code, and objects loaded beside it, end as the real call did."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from sandbox_bodies import compile_object

from compiler_ai.capture.format import Capture
from compiler_ai.capture.format import load as load_capture
from compiler_ai.capture.modules import Target
from compiler_ai.capture.tracer import Limits, record
from compiler_ai.sandbox.errors import SandboxError
from compiler_ai.sandbox.image import build_image, load_bases
from compiler_ai.sandbox.loader import SPAN_BYTES, load
from compiler_ai.sandbox.process import Outcome, OutcomeKind, Sandbox

SOURCE = Path(__file__).parent / "workload.c"


@pytest.fixture(scope="module", params=[("-O2",), ("-O2", "-no-pie", "-fno-pie")], ids=["PIE", "fixed address"])
def captures(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[Capture]:
    directory = tmp_path_factory.mktemp("workload")
    module = directory / "workload"
    subprocess.run(["gcc", *request.param, str(SOURCE), "-o", str(module)], check=True)
    symbols = subprocess.run(["nm", str(module)], capture_output=True, text=True, check=True).stdout
    value = next(int(line.split()[0], 16) for line in symbols.splitlines() if line.endswith(" T step"))
    target = Target(str(module), "step", value)
    summary = record([str(module)], [target], lambda _: directory / "captures", Limits(per_function=3, time_s=30))
    found = [load_capture(path) for path in summary.functions[target].files]
    assert found
    assert not any(capture.impure for capture in found)
    return found


def live(changed: dict[int, bytes], stack_pointer: int) -> dict[int, bytes]:
    """Changed pages, the dead stack below the entry's stack pointer blanked."""
    result = {}
    for address, page in changed.items():
        dead = min(4096, max(0, stack_pointer + 8 - address)) if stack_pointer - address < 1 << 20 else 0
        if dead < 4096:
            result[address] = bytes(dead) + page[dead:]
    return result


def same_as_captured(outcome: Outcome, capture: Capture) -> bool:
    assert capture.exit_registers is not None
    stack_pointer = capture.registers["rsp"]
    return (
        outcome.kind is OutcomeKind.RETURNED
        and outcome.registers["rax"] & 0xFFFFFFFF == capture.exit_registers["rax"] & 0xFFFFFFFF
        and live(dict(outcome.changed), stack_pointer) == live(dict(capture.changed), stack_pointer)
    )


def test_the_modules_own_code_replays(sandbox: Sandbox, captures: list[Capture]) -> None:
    for capture in captures:
        image = build_image(capture)
        assert same_as_captured(sandbox.run([image.pages], image.registers, image.return_address), capture)


@pytest.mark.parametrize("flags", [("-O3",), ("-O0",), ("-Os", "-fno-pie"), ("-O3", "-mavx2")])
def test_objects_loaded_beside_the_module_replay(
    sandbox: Sandbox, captures: list[Capture], tmp_path: Path, flags: tuple[str, ...]
) -> None:
    unit = compile_object(SOURCE.read_text(), tmp_path, *flags)
    for capture in captures:
        image = build_image(capture)
        if "-fno-pie" in flags and image.bases[0] > 1 << 31:
            continue  # absolute 32-bit addresses do not reach a position-independent module
        for base in image.bases:
            loaded = load(unit, "step", base, image.resolver)
            registers = replace(image.registers, rip=loaded.entry)
            outcome = sandbox.run([image.pages, loaded.pages], registers, image.return_address)
            assert same_as_captured(outcome, capture), (outcome.kind, hex(outcome.rip), hex(outcome.fault_address))


def test_a_wrong_body_is_seen_to_differ(sandbox: Sandbox, captures: list[Capture], tmp_path: Path) -> None:
    wrong = SOURCE.read_text().replace("calls++", "calls += 2")
    unit = compile_object(wrong, tmp_path, "-O2")
    for capture in captures:
        image = build_image(capture)
        loaded = load(unit, "step", image.bases[0], image.resolver)
        registers = replace(image.registers, rip=loaded.entry)
        outcome = sandbox.run([image.pages, loaded.pages], registers, image.return_address)
        assert not same_as_captured(outcome, capture)


def test_bases_are_free_and_apart(captures: list[Capture]) -> None:
    for capture in captures:
        first, second = load_bases(capture)
        assert abs(first - second) >= SPAN_BYTES
        for base in (first, second):
            assert all(base + SPAN_BYTES <= m.start or m.end <= base for m in capture.mappings)


def test_a_module_that_is_gone_is_a_typed_error(captures: list[Capture]) -> None:
    capture = captures[0]
    gone = replace(capture, module=replace(capture.module, path="/nonexistent/module"))
    with pytest.raises(SandboxError, match="no longer there"):
        build_image(gone)
