"""The verifier of one function: replayed captures, mutated captures and generated inputs, traces, block coverage.

Built once per function (`Verifier`, see `prepare`), asked once per candidate (`check`, see `judge`); most tests are made when the
first candidate is to be judged that replays and looks faster. What no test reached is never called tested, and nothing depends on the time that anything takes, except through safety limits, which give unknown.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from compiler_ai.artifacts import Counterexample, Evidence
from compiler_ai.capture.format import Capture
from compiler_ai.sandbox.image import CaptureImage
from compiler_ai.sandbox.process import Sandbox
from compiler_ai.verify.judge import Judgement
from compiler_ai.verify.prepare import Preparation
from compiler_ai.verify.prototype import Prototype
from compiler_ai.verify.settings import Settings

__all__ = ["Settings", "Verifier"]


class Verifier:
    """Judges candidates of one function. `unusable` says why no candidate can be judged, "" when they can."""

    def __init__(
        self,
        sandbox: Sandbox,
        baseline_object: bytes,
        function: str,
        captures: Sequence[Path],
        prototype: Prototype | None,
        settings: Settings | None = None,
        unoptimised: bytes = b"",
    ) -> None:
        """`unoptimised` is the unit's object at -O0, if there is one. Raises SandboxError."""
        self.settings = settings or Settings()
        self._begun = partial(
            Preparation, sandbox, baseline_object, function, captures, prototype, self.settings, unoptimised
        )
        self._prepared = self._begun()
        self._made = self._broken = False
        self.notes: list[str] = self._prepared.notes
        reason = self.notes[0] if self.notes else "it was never captured"
        self.unusable = "" if self._prepared.tests else f"no usable test: {reason}"

    @property
    def images(self) -> list[tuple[Capture, CaptureImage]]:
        """The captures that replay exactly, for measuring."""
        return [(context.capture, context.image) for context in self._prepared.machine.contexts]

    @property
    def prototype(self) -> Prototype | None:
        """The function's C type, with what its body reads for parameters where it was given none."""
        return self._prepared.prototype

    def make_tests(self) -> None:
        """Makes the tests that only a full judgement needs, as `check` and `judgement` do at first: it may take long. Raises SandboxError."""
        if self._made or not self._prepared.tests:
            return
        if self._broken:
            self._prepared = self._begun()
        self._broken = True  # half of them would be worse than none
        self._prepared.make_tests()
        self._made, self._broken = True, False

    def replay(self, candidate_object: bytes) -> Counterexample | None:
        """Only the captured calls: cheap, and enough to refute most wrong bodies. Raises SandboxError."""
        return Judgement(self._prepared, candidate_object).replay()

    def check(self, candidate_object: bytes) -> Evidence:
        """Judge one candidate. Raises SandboxError when the sandbox fails (not when the candidate does)."""
        return self.judgement(candidate_object).evidence()

    def judgement(self, candidate_object: bytes) -> Judgement:
        """The same in two steps: `Judgement.unreached`, which costs less, and `Judgement.evidence`. Raises SandboxError."""
        self.make_tests()
        return Judgement(self._prepared, candidate_object)
