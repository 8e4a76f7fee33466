"""Whether two runs from the same entry state ended alike, by the ABI and by memory (docs/ARCHITECTURE.md, "the same")."""

from __future__ import annotations

from collections.abc import Callable

from compiler_ai.sandbox.pages import PAGE_BYTES, page_floor
from compiler_ai.sandbox.process import Outcome, OutcomeKind
from compiler_ai.sandbox.state import Registers, XStateLayout, mxcsr, x87
from compiler_ai.verify.passing import result_parts
from compiler_ai.verify.prototype import Prototype, Type
from compiler_ai.verify.values import number

_CALLEE_SAVED = ("rbx", "rbp", "r12", "r13", "r14", "r15")
_DIRECTION_FLAG = 0x400
MXCSR_CONTROL = 0xFFC0
DEAD_REACH_BYTES = 8 << 20


def breaks_abi(outcome: Outcome, entry: Registers) -> str:
    """What an outcome does that no function may: "" for a clean return. For the baseline this invalidates the test."""
    if outcome.kind is not OutcomeKind.RETURNED:
        return describe_end(outcome)
    after = outcome.registers
    for name in _CALLEE_SAVED:
        if after[name] != entry[name]:
            return f"callee-saved {name} is {after[name]:#x} at the end, {entry[name]:#x} at entry"
    if after["rsp"] != entry["rsp"] + 8:
        return f"rsp is off by {after['rsp'] - entry['rsp'] - 8} bytes at the end"
    if after.rflags & _DIRECTION_FLAG:
        return "the direction flag is set at the end"
    if entry.xstate and (mxcsr(after.xstate) ^ mxcsr(entry.xstate)) & MXCSR_CONTROL:
        return f"MXCSR control bits are {mxcsr(after.xstate) & MXCSR_CONTROL:#x} at the end"
    return ""


def describe_end(outcome: Outcome) -> str:
    if outcome.kind is OutcomeKind.FAULT:
        return f"signal {outcome.signal} at {outcome.rip:#x}, address {outcome.fault_address:#x}"
    words = {
        OutcomeKind.TIMEOUT: "it does not end in time",
        OutcomeKind.SYSCALL: "it makes a system call",
        OutcomeKind.MAX_STEPS: "it takes too many steps",
        OutcomeKind.LEFT: "it calls what does not return",
        OutcomeKind.MAX_EVENTS: "it makes too many calls",
    }
    return words.get(outcome.kind, "it ends in an unknown way")


def difference(
    baseline: Outcome,
    candidate: Outcome,
    entry: Registers,
    prototype: Prototype | None,
    layout: XStateLayout,
    initial: Callable[[int], bytes],
    preserved: frozenset[str],
) -> str:
    """The first difference that a caller could see, in words, or "".

    `initial(page address)` gives a page's bytes at the start; `preserved` are call-clobbered registers that in-unit callers rely on.
    """
    broken = breaks_abi(candidate, entry)
    if broken:
        return broken
    return (
        _returns(baseline, candidate, prototype, layout)
        or _preserved(baseline, candidate, preserved, layout)
        or _x87(baseline, candidate, prototype)
        or memory_difference(baseline, candidate, entry["rsp"], initial, float_element_bytes(prototype))
    )


def _returns(baseline: Outcome, candidate: Outcome, prototype: Prototype | None, layout: XStateLayout) -> str:
    kind = prototype.returns if prototype is not None else Type("unknown", 16)
    b, c = baseline.registers, candidate.registers
    places = result_parts(kind)
    if places is None:
        return _general(b, c, ("rax", "rdx")) or _vectors(baseline, candidate, layout, (0, 1), 64)
    for part in places:
        vector = int(part.place[3:]) if part.place.startswith("xmm") else None
        for at, scalar in part.members:
            sides = [
                o.registers[part.place].to_bytes(8, "little") if vector is None else layout.vector(o.xstate, vector)
                for o in (candidate, baseline)
            ]
            mine, theirs = (side[at : at + scalar.size_bytes] for side in sides)
            if mine == theirs or (scalar.kind == "float" and is_same_nan(mine, theirs)):
                continue
            words = [
                number(data) if scalar.kind == "float" else f"{int.from_bytes(data, 'little'):#x}"
                for data in (mine, theirs)
            ]
            where = "" if len(places) == len(part.members) == 1 else f" in {part.place}"
            return f"it returns {words[0]} instead of {words[1]}{where}"
    return ""


def _general(b: Registers, c: Registers, names: tuple[str, ...]) -> str:
    for name in names:
        if b[name] != c[name]:
            return f"{name} is {c[name]:#x} instead of {b[name]:#x}"
    return ""


def _vectors(baseline: Outcome, candidate: Outcome, layout: XStateLayout, numbers: tuple[int, ...], size: int) -> str:
    for index in numbers:
        mine, theirs = (layout.vector(o.xstate, index)[:size] for o in (candidate, baseline))
        if mine != theirs:
            return f"xmm{index} is {mine.hex()} instead of {theirs.hex()}"
    return ""


def _preserved(baseline: Outcome, candidate: Outcome, preserved: frozenset[str], layout: XStateLayout) -> str:
    for name in sorted(preserved):
        if name.startswith(("xmm", "ymm", "zmm")):
            found = _vectors(baseline, candidate, layout, (int(name[3:]),), 64)
        elif name.startswith("k"):
            number = int(name[1:])
            same = layout.mask(baseline.xstate, number) == layout.mask(candidate.xstate, number)
            found = "" if same else f"{name} differs"
        else:
            found = _general(baseline.registers, candidate.registers, (name,))
        if found:
            return f"callers in the unit rely on {name} across the call: {found}"
    return ""


def _x87(baseline: Outcome, candidate: Outcome, prototype: Prototype | None) -> str:
    b, c = x87(baseline.xstate), x87(candidate.xstate)
    if b.control != c.control:
        return f"the x87 control word is {c.control:#x} instead of {b.control:#x}"
    depth = bin(b.tags).count("1")
    if depth != bin(c.tags).count("1"):
        return "the x87 stack is left at another depth"
    if (
        depth
        and (prototype is None or prototype.returns.kind in ("float", "complex", "aggregate", "unknown"))
        and b.stack[:depth] != c.stack[:depth]  # two of a complex number
    ):
        return "the x87 result differs"
    return ""


def memory_difference(
    baseline: Outcome, candidate: Outcome, stack_pointer: int, initial: Callable[[int], bytes], element_bytes: int
) -> str:
    """`element_bytes` is the size of the floats that the function's type says it works on, 0 for none."""
    for page in sorted(set(baseline.changed) | set(candidate.changed)):
        theirs = baseline.changed.get(page)
        mine = candidate.changed.get(page)
        theirs = initial(page) if theirs is None else theirs
        mine = initial(page) if mine is None else mine
        if mine == theirs:
            continue
        for at in range(PAGE_BYTES):
            if mine[at] != theirs[at] and not is_dead(page + at, stack_pointer):
                start = at - at % (element_bytes or 1)
                end = start + element_bytes
                if element_bytes and is_same_nan(mine[start:end], theirs[start:end]):
                    continue
                return f"byte {page + at:#x} is {mine[at]:#04x} instead of {theirs[at]:#04x}"
    extra = {p for p in candidate.written - baseline.written if not _is_dead_page(p, stack_pointer)}
    if extra:
        return f"it stores to page {min(extra):#x}, which the baseline does not"
    return ""


def is_dead(address: int, stack_pointer: int) -> bool:
    """Whether a byte belongs to the callee's own frame or red zone, dead once it returns."""
    return stack_pointer - DEAD_REACH_BYTES <= address < stack_pointer


def _is_dead_page(page: int, stack_pointer: int) -> bool:
    return is_dead(page, stack_pointer) or page == page_floor(stack_pointer)


def float_element_bytes(prototype: Prototype | None) -> int:
    """The size of the floats that all pointers of the function's type point to; 0 when some point to anything else."""
    kinds = [kind for _, kind in (prototype.parameters if prototype else ()) if kind.kind == "pointer"]
    sizes = {kind.target_bytes if kind.target_kind == "float" else 0 for kind in kinds}
    return sizes.pop() if len(sizes) == 1 and sizes <= {4, 8} else 0


def is_same_nan(a: bytes, b: bytes) -> bool:
    """Whether both are the NaN that arithmetic gives, of either sign: which operand's sign survives is left open. All NaNs in made inputs
    are that one; other payloads are told apart, for whole numbers look like NaNs too (-1 and -2 do).

    Source: IEEE 754-2019, 6.2.3 and 6.3; Intel SDM volume 1, 4.8.3.7 (the default NaN).
    """
    plain = {4: 0x7FC00000, 8: 0x7FF8000000000000}.get(len(a))
    sign = 1 << 8 * len(a) - 1
    return len(a) == len(b) and all(int.from_bytes(one, "little") & ~sign == plain for one in (a, b))
