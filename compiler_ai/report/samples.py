"""Where the samples of a function lie in GCC's listing of it."""

from __future__ import annotations

from compiler_ai.artifacts import FunctionResult
from compiler_ai.asm import listing as listing_model
from compiler_ai.asm.decode import DecodeError, Unit
from compiler_ai.toolchains.x86_64 import X86_64


def shares(result: FunctionResult) -> dict[int, float]:
    """Line of the baseline's body -> its part (0..1) of the function's samples. Empty when the program that was profiled did not
    hold this body: it had a rewrite, or was built otherwise."""
    baseline, profiled = result.baseline, result.hot.profiled
    if baseline is None or not profiled.samples or profiled.size_bytes != baseline.size_bytes:
        return {}
    unit = listing_model.parse(baseline.listing_text)
    function = unit.function(baseline.function)
    if function is None:
        return {}
    try:
        instructions = Unit(unit, X86_64).decode(function)
    except DecodeError:
        return {}
    cold_line = function.parts[1].start - function.entry - 1 if len(function.parts) > 1 else len(function.body_lines)
    line_of: dict[int, int] = {}  # offset as profile.collect counts it: the cold part's follow the function's size
    for first, base in ((True, 0), (False, profiled.size_bytes)):
        part = [one for one in instructions if (one.line < cold_line) == first]
        for one in part:
            for offset in range(one.size_bytes):
                line_of[base + one.address - part[0].address + offset] = one.line
    total = sum(sample.count for sample in profiled.samples)
    found: dict[int, float] = {}
    for sample in profiled.samples:
        line = line_of.get(sample.offset)
        if line is not None and total > 0:
            found[line] = found.get(line, 0.0) + sample.count / total
    return found
