"""Unwind directives for code that has none: what push, pop and arithmetic on the stack pointer say of the frame.

Every path to an instruction has to agree on the frame; code for which they do not, or that moves the stack pointer in another
way without a frame pointer, gets none. Source: System V ABI AMD64, 3.2.2 and 3.7; GNU as manual, "CFI directives".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from compiler_ai.asm.cfg import Statement, statement
from compiler_ai.asm.statements import label_of

_SAVED = ("%rbx", "%rbp", "%r12", "%r13", "%r14", "%r15")
_NUMBER = r"-?(?:0x[0-9a-fA-F]+|\d+)"
_NO_RETURN = ("ud2", "hlt")


class UnwindError(Exception):
    """The frame cannot be told; the message says at which line of the code."""


@dataclass(frozen=True)
class _Frame:
    """The canonical frame address is %rsp + `depth` and, once %rbp points into the frame, %rbp + `base`; None: not known."""

    depth: int | None = 8
    base: int | None = None
    saved: tuple[tuple[str, int], ...] = ()  # register, offset from the frame address

    @property
    def rule(self) -> tuple[str, int] | None:
        if self.depth is not None:
            return "%rsp", self.depth
        return ("%rbp", self.base) if self.base is not None else None


def with_directives(lines: Sequence[str]) -> list[str]:
    """The lines between `.cfi_startproc` and `.cfi_endproc`, with what unwinders need. Raises UnwindError."""
    frames = _frames(lines)
    out, current = ["\t.cfi_startproc"], _Frame()
    for number, line in enumerate(lines):
        frame = frames.get(number)
        if frame is not None:
            out += _change(current, frame, number)
            current = frame
        out.append(line)
    return [*out, "\t.cfi_endproc"]


def _frames(lines: Sequence[str]) -> dict[int, _Frame]:
    """The frame in front of every instruction that can be reached."""
    labels = {label: number for number, line in enumerate(lines) if (label := label_of(line))}
    instructions = {number: one for number, line in enumerate(lines) if (one := statement(line)) is not None}
    order = sorted(instructions)
    following = dict(pairwise(order))
    entry = order[0] if order else 0
    frames: dict[int, _Frame] = {}
    waiting = [(entry, _Frame())] if order else []
    # Tables and computed jumps reach labels that nothing else does: with the frame at the jump.
    indirect = list(labels.values())
    while waiting:
        number, frame = waiting.pop()
        known = frames.get(number)
        if known is not None:
            if known.depth != frame.depth or (known.depth is None and known.base != frame.base):
                raise UnwindError(f"line {number + 1} is reached with different stack depths")
            merged = _merged(known, frame)
            if merged == known:
                continue
            frame = merged
        frames[number] = frame
        one = instructions[number]
        after = _after(frame, one, number)
        targets: list[int] = []
        if one.is_jump:
            if one.is_indirect:
                targets += indirect
            elif one.target in labels:
                targets.append(labels[one.target])
        ends = one.is_return or one.is_unconditional or one.mnemonic in _NO_RETURN
        if not ends and number in following:
            waiting.append((following[number], after))
        for target in targets:
            landing = next((place for place in order if place >= target), None)
            if landing is not None:
                waiting.append((landing, after))
    return frames


def _merged(known: _Frame, other: _Frame) -> _Frame:
    """What holds on both ways; the depths agree already."""
    saved = tuple(entry for entry in known.saved if entry in other.saved)
    return _Frame(known.depth, known.base if known.base == other.base else None, saved)


def _after(frame: _Frame, one: Statement, number: int) -> _Frame:
    name = (
        one.mnemonic[:-1]
        if one.mnemonic in ("pushq", "popq", "subq", "addq", "leaq", "movq", "andq", "leaveq")
        else one.mnemonic
    )
    operands = one.operands.replace(" ", "").replace("\t", "")
    target = operands.rpartition(",")[2] if not operands.endswith(")") else ""
    if name == "push" and frame.depth is not None:
        depth = frame.depth + 8
        new = (operands, -depth)
        fresh = operands in _SAVED and all(register != operands for register, _ in frame.saved)
        return replace(frame, depth=depth, saved=(*frame.saved, new) if fresh else frame.saved)
    if name == "pop" and frame.depth is not None:
        saved = tuple(entry for entry in frame.saved if entry != (operands, -frame.depth))
        base = None if operands == "%rbp" else frame.base
        return replace(frame, depth=frame.depth - 8, saved=saved, base=base)
    if name in ("sub", "add") and target == "%rsp":
        match = re.fullmatch(rf"\$({_NUMBER}),%rsp", operands)
        if match and frame.depth is not None:
            change = int(match[1], 0)
            return replace(frame, depth=frame.depth + (change if name == "sub" else -change))
        return _lost(frame, number)
    if name == "lea" and target == "%rsp":
        match = re.fullmatch(rf"({_NUMBER})?\(%(rsp|rbp)\),%rsp", operands)
        base = None if match is None else frame.depth if match[2] == "rsp" else frame.base
        if match and base is not None:
            return replace(frame, depth=base - int(match[1] or "0", 0))
        return _lost(frame, number)
    if name == "mov" and operands == "%rsp,%rbp" and frame.depth is not None:
        return replace(frame, base=frame.depth)
    if name == "mov" and operands == "%rbp,%rsp" and frame.base is not None:
        return replace(frame, depth=frame.base)
    if name == "leave" and frame.base is not None:
        saved = tuple(entry for entry in frame.saved if entry[0] != "%rbp")
        return replace(frame, depth=frame.base - 8, base=None, saved=saved)
    if name == "mov" and (store := re.fullmatch(rf"(%\w+),({_NUMBER})?\(%rsp\)", operands)):
        fresh = store[1] in _SAVED and all(register != store[1] for register, _ in frame.saved)
        if fresh and frame.depth is not None:
            return replace(frame, saved=(*frame.saved, (store[1], int(store[2] or "0", 0) - frame.depth)))
        return frame
    if name == "mov" and (load := re.fullmatch(rf"({_NUMBER})?\(%rsp\),(%\w+)", operands)) and frame.depth is not None:
        place = (load[2], int(load[1] or "0", 0) - frame.depth)
        if place in frame.saved:
            return replace(frame, saved=tuple(entry for entry in frame.saved if entry != place))
    if target in ("%rsp", "%esp", "%sp", "%spl") and name not in ("cmp", "cmpq", "test", "testq", "push", "pushq"):
        return _lost(frame, number)
    if target in ("%rbp", "%ebp", "%bp", "%bpl") and not name.startswith(("cmp", "test", "push")):
        return replace(frame, base=None) if frame.depth is not None else _lost(replace(frame, base=None), number)
    if name in ("push", "pop", "pushw", "popw", "pushfq", "popfq", "enter", "leave"):
        return _lost(frame, number)
    return frame


def _lost(frame: _Frame, number: int) -> _Frame:
    if frame.base is None:
        raise UnwindError(f"line {number + 1} moves the stack pointer in a way that cannot be told")
    return replace(frame, depth=None)


def _change(old: _Frame, new: _Frame, number: int) -> list[str]:
    rule = new.rule
    if rule is None:
        raise UnwindError(f"line {number + 1}: where the frame is cannot be told")
    lines = []
    if old.rule is not None and old.rule[0] == rule[0]:
        if old.rule[1] != rule[1]:
            lines.append(f"\t.cfi_def_cfa_offset {rule[1]}")
    else:
        lines.append(f"\t.cfi_def_cfa {rule[0]}, {rule[1]}")
    before, now = dict(old.saved), dict(new.saved)
    lines += [f"\t.cfi_restore {register}" for register in before if register not in now]
    lines += [f"\t.cfi_offset {register}, {place}" for register, place in now.items() if before.get(register) != place]
    return lines
