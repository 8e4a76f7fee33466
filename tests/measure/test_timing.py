"""The placement protocol tells faster from slower and never faster from the same."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from compiler_ai.measure.statistics import false_accept_limit
from compiler_ai.measure.timing import Settings, Timer, TimingError
from compiler_ai.sandbox.image import CaptureImage
from compiler_ai.sandbox.pages import PageSet, Prot, Region
from compiler_ai.sandbox.process import Sandbox
from compiler_ai.sandbox.state import Registers
from compiler_ai.sandbox.symbols import NoResolver

STACK, STACK_BYTES, RETURN = 0x2000_0000, 0x10000, 0x5FFF_0000
WORK = "long f(long n) {{ long x = n; for (int i = 0; i < {0}; i++) x = x * 3 + i; return x; }}"


@pytest.fixture
def image() -> CaptureImage:
    content = bytes(STACK_BYTES - 8) + RETURN.to_bytes(8, "little")
    stack = PageSet((Region(STACK, Prot.READ | Prot.WRITE, content),))
    registers = Registers({"rsp": STACK + STACK_BYTES - 8, "rdi": 5})
    return CaptureImage(stack, registers, RETURN, (0x1000_0000, 0x3000_0000), NoResolver())  # type: ignore[arg-type]


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as opened:
        yield opened


def body(iterations: int, directory: Path) -> bytes:
    output = directory / "f.o"
    command = ["gcc", "-O1", "-c", "-x", "c", "-o", str(output), "-"]
    subprocess.run(command, input=WORK.format(iterations).encode(), check=True)
    return output.read_bytes()


def test_a_body_that_does_half_the_work_is_accepted(sandbox: Sandbox, image: CaptureImage, tmp_path: Path) -> None:
    timer = Timer(sandbox, body(2000, tmp_path), "f", [image])
    timing = timer.measure(body(1000, tmp_path))
    assert timer.accepts(timing)
    assert 1.6 < timing.warm.ratio < 2.4
    assert len(timing.placement_ratios) == 15
    assert timing.pairs == 15 * 25
    assert timing.cold is not None


def test_a_body_that_does_half_as_much_again_is_given_up_early(
    sandbox: Sandbox, image: CaptureImage, tmp_path: Path
) -> None:
    timer = Timer(sandbox, body(2000, tmp_path), "f", [image])
    timing = timer.measure(body(3000, tmp_path))
    assert not timer.accepts(timing)
    assert timing.warm.high < 1
    assert len(timing.placement_ratios) == Settings.hopeless_after
    assert timer.look(body(3000, tmp_path)) < 1


@pytest.mark.parametrize("runs", [20, pytest.param(200, marks=pytest.mark.full)])
def test_the_same_body_is_not_accepted_as_faster(
    sandbox: Sandbox, image: CaptureImage, tmp_path: Path, runs: int
) -> None:
    same = body(2000, tmp_path)
    accepted = 0
    for seed in range(runs):
        timer = Timer(sandbox, same, "f", [image], seed=seed)
        accepted += timer.accepts(timer.measure(same))
    assert accepted <= false_accept_limit(runs)


@pytest.mark.parametrize(
    ("ratios", "found"), [((0.3, 1.0, 1.02), 1.0), ((0.5, 0.6, 9.0), 0.55), ((1.1, 1.0, 1.2), 1.1)]
)
def test_one_slow_placement_is_no_slow_body(
    sandbox: Sandbox, image: CaptureImage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    ratios: tuple[float, ...], found: float,
) -> None:  # fmt: skip
    timer, left = Timer(sandbox, body(10, tmp_path), "f", [image]), iter(ratios)
    monkeypatch.setattr(timer, "_place", lambda *_: SimpleNamespace(ratio=next(left)))
    assert timer.look(b"") == pytest.approx(found, rel=0.01)


def test_several_captures_count_by_what_they_cost(sandbox: Sandbox, image: CaptureImage, tmp_path: Path) -> None:
    timer = Timer(sandbox, body(2000, tmp_path), "f", [image, image])
    assert timer.measure(body(1000, tmp_path)).pairs == 15 * 26


def test_without_a_capture_or_with_a_body_that_faults_there_is_one_clear_error(
    sandbox: Sandbox, image: CaptureImage, tmp_path: Path
) -> None:
    good = body(10, tmp_path)
    with pytest.raises(TimingError, match="no capture"):
        Timer(sandbox, good, "f", [])
    output = tmp_path / "bad.o"
    command = ["gcc", "-c", "-x", "c", "-o", str(output), "-"]
    subprocess.run(command, input=b"long f(long n) { return *(long *)n; }", check=True)
    with pytest.raises(TimingError, match="did not return"):
        Timer(sandbox, good, "f", [image]).measure(output.read_bytes())
