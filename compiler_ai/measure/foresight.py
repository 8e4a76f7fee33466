"""How many conditional jumps of a body cannot be foreseen: a bound for what calls that are repeated teach a branch predictor.

Two dozen captured calls, however they are shuffled, are learnt by predictors that remember long histories. A program's calls go on to
be others. What a two-bit counter for each jump gets wrong cannot be learnt from histories: where calls are like those before, it is
wrong seldom; where a jump depends on each call's data, it is wrong in a program as it is here.
Source: J. E. Smith, "A study of branch prediction strategies" (ISCA 1981).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

import capstone
from capstone import x86_const as x86

from compiler_ai.sandbox.errors import SandboxError
from compiler_ai.sandbox.image import CaptureImage
from compiler_ai.sandbox.loader import load
from compiler_ai.sandbox.process import OutcomeKind, Sandbox, Trace
from compiler_ai.verify.code import reader

_ROUNDS, _TAUGHT = 24, 12  # of all calls in random order; so many of them only teach
_STRONGLY, _WEAKLY = 3, 2  # taken, of 0 to 3

Jump = tuple[int, bool]  # its distance from the entry, and whether it was taken


def unforeseen(
    sandbox: Sandbox, object_bytes: bytes, function: str, images: Sequence[CaptureImage], most_steps: int
) -> float:
    """Jumps that one of the calls takes otherwise than foreseen, on average. Raises SandboxError, also for a call that does not come back in
    so many steps."""
    runs: list[list[Jump]] = []
    for image in images:
        body = load(object_bytes, function, image.bases[0], image.resolver, trap_unresolved=True)
        sets = [image.pages, body.pages]
        registers = replace(image.registers, rip=body.entry)
        trace = sandbox.trace(sets, registers, image.return_address, max_steps=most_steps)
        if trace.outcome.kind is not OutcomeKind.RETURNED:
            raise SandboxError(f"a captured call does not come back: {trace.outcome.kind.value}")
        code = reader(sets)
        runs.append(list(_jumps(trace, body.entry, code)))
    return mispredicted(runs)


def mispredicted(runs: Sequence[Sequence[Jump]], seed: int = 0) -> float:
    """Jumps a run that two-bit counters get wrong, on average, when the runs come in random order again and again."""
    chance = random.Random(seed)
    counters: dict[int, int] = {}
    wrong = 0
    for turn in range(_ROUNDS):
        for at, taken in chain.from_iterable(chance.sample(runs, len(runs))):
            counter = counters.get(at, _WEAKLY if taken else _WEAKLY - 1)
            wrong += turn >= _TAUGHT and (counter >= _WEAKLY) != taken
            counters[at] = min(_STRONGLY, counter + 1) if taken else max(0, counter - 1)
    return wrong / (len(runs) * (_ROUNDS - _TAUGHT))


def _jumps(trace: Trace, entry: int, code: Callable[[int], bytes]) -> Iterator[Jump]:
    decoder = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
    decoder.detail = True
    behind: dict[int, int] = {}  # conditional jumps, and where they lead when not taken; 0 for other instructions
    view = memoryview(trace.data).cast("Q")
    for step in range(0, len(view) - 18, 18):
        at = view[step]
        if at not in behind:
            instruction = next(decoder.disasm(code(at), at, 1), None)
            behind[at] = at + instruction.size if instruction is not None and _is_conditional(instruction) else 0
        if behind[at]:
            yield at - entry, view[step + 18] != behind[at]


def _is_conditional(instruction: Any) -> bool:
    return bool(instruction.group(x86.X86_GRP_JUMP)) and instruction.mnemonic.rpartition(" ")[2] != "jmp"
