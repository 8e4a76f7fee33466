"""What a tuning run works on: the hot functions of the build, each with its unit's listing and its captures."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from pathlib import Path

from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from compiler_ai.artifacts import Baseline, CompileCommand, HotFunction
from compiler_ai.asm import listing as listing_model
from compiler_ai.asm.listing import Listing
from compiler_ai.asm.normalise import body_key
from compiler_ai.asm.splice import SpliceError, check_replaceable
from compiler_ai.asm.trees import Trees
from compiler_ai.asm.undebugged import undebugged
from compiler_ai.driver.flags import UNOPTIMISED, excluded_by
from compiler_ai.errors import AiccError
from compiler_ai.sandbox.assemble import assemble
from compiler_ai.tune.captured import captures_of, why_missing
from compiler_ai.tune.reproduce import Reproduced, ReproductionError, listing_of


@dataclass(frozen=True)
class Task:
    """One hot function to tune; crosses a process border, so it holds text and no models."""

    hot: HotFunction
    baseline: Baseline
    flags: tuple[str, ...]
    captures: tuple[Path, ...]
    option_flags: tuple[str, ...]
    project: Path
    seed: int
    shared: Path | None = None  # a directory for what the tasks of one run have in common
    spare_cores: int = 0  # what the run's workers leave idle


@dataclass
class Plan:
    """The tasks, most expensive first, and what was left out with the reason."""

    tasks: list[Task] = field(default_factory=list)
    left_out: list[tuple[HotFunction, str]] = field(default_factory=list)


def make(
    matched: list[tuple[HotFunction, CompileCommand]],
    option_flags: tuple[str, ...],
    project: Path,
    seed: int,
) -> Plan:
    """Compile each unit once and make a task of every hot function that may be rewritten."""
    plan = Plan()
    reproduced: dict[CompileCommand, Reproduced | str] = {}
    parsed: dict[CompileCommand, Listing] = {}
    trees: dict[CompileCommand, Trees] = {}
    texts: dict[CompileCommand, str] = {}
    sizes: dict[CompileCommand, dict[str, int]] = {}
    for hot, command in matched:
        if command not in reproduced:
            try:
                reproduced[command] = listing_of(command)
            except ReproductionError as error:
                reproduced[command] = str(error)
        unit = reproduced[command]
        if isinstance(unit, str):
            plan.left_out.append((hot, unit))
            continue
        if command not in parsed:
            parsed[command] = listing_model.parse(unit.listing_text)
            trees[command] = Trees(unit.dump)
        symbol = hot.profiled.symbol
        reason = never_rewrite(parsed[command], symbol, unit)
        if reason:
            plan.left_out.append((hot, reason))
            continue
        try:
            key = body_key(parsed[command], symbol, unit.flags, trees[command])
            if command not in texts:
                texts[command] = undebugged(parsed[command])
                sizes[command] = function_sizes(texts[command])
        except AiccError as error:
            plan.left_out.append((hot, str(error)))
            continue
        baseline = Baseline(symbol, command, texts[command], key, sizes[command].get(symbol, 0))
        files = captures_of(project, hot.profiled)
        if not files:
            plan.left_out.append((hot, without_captures(symbol, why_missing(project, hot.profiled))))
            continue
        plan.tasks.append(Task(hot, baseline, unit.flags, files, option_flags, project, seed))
    return plan


def without_captures(symbol: str, reason: str) -> str:
    """Why a function without captures is left alone, and what to do; `reason` is what the last attempt said, or ""."""
    words = f"'aicc-tool profile --add --functions {symbol} -- COMMAND'"
    if not reason:
        return f"no call of it was captured: {words} does it, or says why not"
    return f"no call of it was captured: {reason}; {words} tries another workload"


def never_rewrite(listing: Listing, symbol: str, unit: Reproduced) -> str:
    """Why this function must be left alone, or "" (DESIGN, "What behaves the same means", last paragraph)."""
    flag = excluded_by(unit.flags)
    if flag:
        kind = "unoptimised (-O0, -Og)" if flag == UNOPTIMISED else "instrumented"
        return f"its unit is compiled with {flag}: {kind} code is never rewritten"
    function = listing.function(symbol)
    if function is None:
        return "GCC's listing of its unit does not define it (inlined, or a clone of another build)"
    if symbol in unit.unsafe:
        return unit.unsafe[symbol]
    try:
        check_replaceable(function)
    except SpliceError as error:
        return str(error)
    return ""


def function_sizes(listing_text: str) -> dict[str, int]:
    """The size in bytes of every function's hot part as assembled. Raises AssembleError."""
    object_bytes = assemble(listing_text, ("as", "--64"))
    table = ELFFile(io.BytesIO(object_bytes)).get_section_by_name(".symtab")
    if not isinstance(table, SymbolTableSection):
        return {}
    return {
        symbol.name: int(symbol["st_size"])
        for symbol in table.iter_symbols()
        if symbol["st_info"]["type"] == "STT_FUNC"
    }
