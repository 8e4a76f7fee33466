"""-faicc-isa=dispatch: one function with two bodies behind a one-time CPU check. On the compile path.

    f:  compare a byte; below or equal: go to the slow path       (one load, one conditional jump that is never taken)
        the rewrite
        slow path: checked before and refused -> the baseline; else check, store the byte, back to f
    f.aicc_baseline:  GCC's own body, in its place, with everything that debug information says of it

The byte is a local symbol `f.aicc_cpu` in .data on a cache line of its own: 0 not checked, 1 baseline, 2 rewrite. No
relocation, constructor, PLT entry or resolver is involved, so it works for static functions, in static PIE and before
relocation. docs/ARCHITECTURE.md says why this is not an ifunc.
"""

from __future__ import annotations

from compiler_ai.asm.splice import (
    FETCH_BLOCK_BYTES,
    SpliceError,
    check_replaceable,
    ends_in_section,
    label_safe,
    section_alignment,
    tail_position,
    with_capped_alignment,
    without_view,
)
from compiler_ai.asm.statements import LOCAL_LABEL, directive_of, label_of
from compiler_ai.candidates import Body
from compiler_ai.emit.labels import terminated, with_own_labels

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any, Protocol

    from compiler_ai.asm.function import Function
    from compiler_ai.asm.listing import Listing
    from compiler_ai.candidates import AnyBody

    class CpuCheck(Protocol):
        """What toolchains/<target>_dispatch.py has; described there."""

        KNOWN: frozenset[str]
        LANDING_PAD: str

        def entry(self, state: str, slow: str) -> str: ...
        def slow(
            self, features: Iterable[str], state: str, labels: tuple[str, str, str], baseline: str, unwind: bool
        ) -> str: ...


class Dispatched:
    """`code` is everything between the function's label and its .size; `extra` belongs at the end of the listing."""

    __slots__ = ("code", "extra")

    def __init__(self, code: str, extra: str) -> None:
        self.code, self.extra = code, extra


def known_features(target: str) -> frozenset[str]:
    """The ISA extensions that the target's check can ask for; empty for a target without one."""
    check = _cpu_check(target)
    return check.KNOWN if check else frozenset()


def replace_dispatched(listing: Listing, name: str, candidate: AnyBody, target: str, decided: bool = False) -> str:
    """The listing's text with `candidate` in front of GCC's body of `name`, behind the check. Raises SpliceError.

    `decided` makes the byte a constant that says "rewrite": what runs is then what runs after the first call.
    """
    function = listing.function(name)
    if function is None:
        raise SpliceError(f"the listing defines no function '{name}'")
    check_replaceable(function)
    _check_separable(function)
    plain = label_safe(name)
    baseline = f"{name}.aicc_baseline"
    own = with_own_labels(candidate, f"d_{plain}")
    capped = with_capped_alignment(own.body, section_alignment(listing, function))
    made = dispatched(Body(own.function, capped, own.extra, own.features), function, baseline, target, decided)
    begin, end = f".Laicc_begin_{plain}", f".Laicc_end_{plain}"
    moved = [n for n in range(function.entry + 1, function.size_line) if _is_header(listing.lines[n], function)]
    first_location = next((line for line in function.body_lines if directive_of(line) == ".loc"), None)
    lines = [*listing.lines[: function.entry + 1], f"{begin}:\n", *(listing.lines[n] for n in moved)]
    if first_location is not None:
        lines.append(without_view(first_location).rstrip("\n") + "\n")
    lines += [made.code, f"{end}:\n", f"\t.size\t{name}, .-{name}\n"]
    lines.append(f"\t.skip\t({begin}-{end})&{FETCH_BLOCK_BYTES - 1}, 0xcc\n")
    lines += [f"\t.type\t{baseline}, @function\n", f"{baseline}:\n"]
    body = range(function.entry + 1, function.size_line)
    lines += [listing.lines[number] for number in body if number not in moved]
    lines.append(f"\t.size\t{baseline}, .-{baseline}\n")
    behind = listing.lines[function.size_line + 1 :]
    position = tail_position(behind)
    return "".join([*lines, *behind[:position], made.extra, *behind[position:]])


def dispatched(candidate: AnyBody, function: Function, baseline: str, target: str, decided: bool = False) -> Dispatched:
    """Check, rewrite and slow path, as the body of `function`; `baseline` is the symbol that has GCC's body.

    The code ends in the function's section. Raises SpliceError.
    """
    check = _cpu_check(target)
    if check is None:
        raise SpliceError(f"there is no CPU check for {target}")
    unknown = sorted(set(candidate.features) - check.KNOWN)
    if unknown:
        raise SpliceError(f"the CPU check cannot ask for {', '.join(unknown)}")
    plain = label_safe(function.name)
    state = f"{function.name}.aicc_cpu"
    slow, again = f".Laicc_slow_{plain}", f".Laicc_check_{plain}"
    unwind = any(directive_of(line) == ".cfi_startproc" for line in function.body_lines)
    before, behind = _split_at_entry(candidate.body, check.LANDING_PAD)
    if _has_landing_pad(function.body_lines, check.LANDING_PAD) and not _has_landing_pad(before, check.LANDING_PAD):
        before = [*before, f"\t{check.LANDING_PAD}\n"]
    switch = "" if ends_in_section(candidate.body) else function.section.directive + "\n"
    code = [
        *before,
        f"{again}:\n",
        check.entry(state, slow),
        *behind,
        switch,
        check.slow(candidate.features, state, (slow, again, f".Laicc_cpu_{plain}"), baseline, unwind),
    ]
    return Dispatched("".join(code), terminated(candidate.extra) + _state(state, decided))


def _check_separable(function: Function) -> None:
    """Data elsewhere that holds code addresses of the body fits one of the two bodies only. Raises SpliceError."""
    listing = function.listing
    own = {label for label in function.local_labels if label.startswith(".L")}
    for number, line in enumerate(listing.lines):
        if ".L" not in line or function.entry < number < function.size_line or not listing.sections[number].allocated:
            continue
        if own.intersection(LOCAL_LABEL.findall(line)) and not listing.sections[number].executable:
            raise SpliceError(f"data outside of {function.name} holds addresses of its code")
    if any("__patchable_function_entries" in line for line in function.body_lines):
        raise SpliceError(f"{function.name} has a patchable entry")


def _is_header(line: str, function: Function) -> bool:
    """What belongs in front of both bodies: GCC's begin label and the numbered files of the line table."""
    label = label_of(line)
    return directive_of(line) == ".file" or (label.startswith(".LFB") and label in function.label_escapes)


def _split_at_entry(body: str, landing_pad: str) -> tuple[list[str], list[str]]:
    """The body's lines up to and including .cfi_startproc and a landing pad right behind it, and the rest."""
    lines = body.splitlines(keepends=True)
    position = next((n + 1 for n, line in enumerate(lines) if directive_of(line) == ".cfi_startproc"), 0)
    if any(map(_is_instruction, lines[:position])):
        raise SpliceError("the body has code in front of its .cfi_startproc")
    for number in range(position, len(lines)):
        if label_of(lines[number]):
            break
        if _is_instruction(lines[number]):
            if lines[number].strip() == landing_pad:
                position = number + 1
            break
    return lines[:position], lines[position:]


def _has_landing_pad(lines: Iterable[str], landing_pad: str) -> bool:
    return next((line.strip() for line in lines if _is_instruction(line)), "") == landing_pad


def _is_instruction(line: str) -> bool:
    text = line.strip()
    return bool(text) and not text.startswith((".", "#")) and not label_of(line)


def _state(symbol: str, decided: bool) -> str:
    """On a cache line of its own, which nobody writes after the first call."""
    section, value = ('\t.section\t.rodata.aicc_cpu,"a",@progbits', 2) if decided else ("\t.data", 0)
    return (
        f"{section}\n\t.balign\t64\n\t.type\t{symbol}, @object\n\t.size\t{symbol}, 1\n{symbol}:\n\t.byte\t{value}\n"
        "\t.balign\t64\n"
    )


def _cpu_check(target: str) -> CpuCheck | None:
    try:
        package: Any = __import__(f"compiler_ai.toolchains.{target}_dispatch", fromlist=["KNOWN"])
    except ModuleNotFoundError:
        return None
    check: CpuCheck = package
    return check
