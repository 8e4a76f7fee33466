"""The sandbox, verifier and timer of one function, made when a pass first needs them."""

from __future__ import annotations

import contextlib
import re
from collections import Counter
from collections.abc import Container, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from types import TracebackType

from compiler_ai.asm.ipa_ra import CallGraph, ipa_ra_registers
from compiler_ai.asm.stack_alignment import may_be_misaligned
from compiler_ai.capture.errors import CaptureError
from compiler_ai.capture.format import load as load_capture
from compiler_ai.errors import AiccError
from compiler_ai.measure.timing import Timer
from compiler_ai.sandbox.assemble import assemble
from compiler_ai.sandbox.errors import SandboxError
from compiler_ai.sandbox.image import CaptureImage, build_image
from compiler_ai.sandbox.loader import load
from compiler_ai.sandbox.process import Sandbox
from compiler_ai.tune.returns import returned_registers
from compiler_ai.unit_objects import debug_object, unoptimised_object
from compiler_ai.verify.engine import Settings, Verifier
from compiler_ai.verify.prototype import Prototype, from_object
from compiler_ai.work import Context, FunctionWork

ASSEMBLER = ("as", "--64")
_OVERTIME_S = 10.0  # what has been begun may well end, in less than the pool's grace
_MOST_STEPS = 50_000  # of a call whose instructions are counted


class JudgeError(AiccError):
    """Nothing can be said of any candidate of this function; the message says why."""


class Judges:
    """A context manager: one sandbox for verifying and timing."""

    def __init__(self) -> None:
        self.sandbox = Sandbox()
        self._verifier: Verifier | None = None
        self._timer: Timer | None = None
        self._object = b""

    def __enter__(self) -> Judges:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.sandbox.close()

    def in_time(self, context: Context) -> AbstractContextManager[None]:
        """Within it, runs that begin long after the function's time is over raise OutOfTimeError."""
        return self.sandbox.until(context.deadline + _OVERTIME_S)

    def verifier(self, work: FunctionWork, context: Context) -> Verifier:
        """Raises JudgeError, SandboxError."""
        if self._verifier is None:
            prototype = prototype_of(work, context.shared)
            returned = _returned(work, context, prototype)
            name = work.baseline.function
            calls = CallGraph(work.listing)
            preserved = ipa_ra_registers(work.listing, name, context.toolchain, ASSEMBLER, returned, calls)
            if preserved is None:
                raise JudgeError("what its callers in the unit rely on cannot be told")
            self._object = assemble(work.baseline.listing_text, ASSEMBLER)
            called = is_called_in_unit(work)
            if called and prototype is None:
                raise JudgeError("its C type is unknown, and callers in the unit may rely on more than the ABI")
            misaligned = called and may_be_misaligned(work.listing, work.baseline.function)
            recursive = calls.is_recursive(name)
            settings = Settings(preserved=preserved, local=misaligned, recursive=recursive, seed=context.seed + 1)
            plain = unoptimised_object(work.baseline.command, context.shared)
            self._verifier = Verifier(
                self.sandbox, self._object, work.baseline.function, work.captures, prototype, settings, plain
            )
        return self._verifier

    def timer(self, work: FunctionWork, context: Context) -> Timer:
        """Raises JudgeError, SandboxError, TimingError."""
        if self._timer is None:
            replayed = self.verifier(work, context).images
            more = _images_of_others(work.captures, {capture.ordinal for capture, _ in replayed})
            images = [image for _, image in replayed]
            self._timer = Timer(self.sandbox, self._object, work.baseline.function, images, more, seed=context.seed)
        return self._timer

    def executed(self, work: FunctionWork, context: Context, object_bytes: bytes) -> Counter[int]:
        """How often each instruction of the body ran in one captured call, by its offset in the function.

        Of a long call its beginning. Raises JudgeError, SandboxError.
        """
        images = self.verifier(work, context).images
        if not images:
            raise JudgeError("no captured call replays exactly")
        image = images[0][1]
        name = work.baseline.function
        body = load(object_bytes or self._object, name, image.bases[0], image.resolver, trap_unresolved=True)
        entry = replace(image.registers, rip=body.entry)
        pages = [image.pages, body.pages]
        trace = self.sandbox.trace(pages, entry, image.return_address, max_steps=_MOST_STEPS)
        return Counter(step.rip - body.entry for step in trace)


def _returned(work: FunctionWork, context: Context, prototype: Prototype | None) -> dict[str, frozenset[str]]:
    names = (function.name for function in work.listing.functions)
    return returned_registers(names, prototype.callees if prototype is not None else {}, context.toolchain)


def _images_of_others(captures: Sequence[Path], known: Container[int]) -> Iterator[CaptureImage]:
    """Of captured calls that the verifier did not choose."""
    for path in captures:
        with contextlib.suppress(CaptureError, SandboxError):
            capture = load_capture(path)
            if not capture.impure and capture.ordinal not in known:
                yield build_image(capture)


def is_called_in_unit(work: FunctionWork) -> bool:
    """Whether the unit itself calls the function: GCC may then rely on more than the ABI promises."""
    name = re.escape(work.baseline.function)
    return re.search(rf"^\s*(call|jmp)\s+{name}\b", work.baseline.listing_text, re.MULTILINE) is not None


def prototype_of(work: FunctionWork, shared: Path | None = None) -> Prototype | None:
    """The function's C type, from the debug information of one more compile of its unit; None when there is none to be had."""
    described = debug_object(work.baseline.command, shared)
    return from_object(described, work.baseline.function) if described else None
