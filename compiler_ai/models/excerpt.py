"""A function of a listing as a prompt shows it: the instructions, the data it reads, and where the time goes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from compiler_ai.artifacts import Sample
from compiler_ai.asm.cfg import statement
from compiler_ai.asm.decode import DecodeError, Unit
from compiler_ai.asm.function import Function
from compiler_ai.asm.listing import Listing
from compiler_ai.asm.statements import LOCAL_LABEL, directive_of, label_of, without_comment
from compiler_ai.toolchains.description import Toolchain

_DEBUG = frozenset({".loc", ".file", ".ident", ".size", ".type"})
_MOST_DATA_LINES = 80
_LEAST_SHARE = 0.005


@dataclass(frozen=True)
class HotBlock:
    """A stretch of code from one label to the next with its share (0..1) of the function's samples."""

    label: str
    share: float


def bare(function: Function, samples: Sequence[Sample] = (), toolchain: Toolchain | None = None) -> str:
    """The body without directives for debuggers and unwinders and without unused labels; hot instructions carry their share."""
    shares = _shares(function, samples, toolchain) if samples and toolchain else {}
    lines = [(number, line) for number, line in enumerate(function.body_lines) if _is_shown(line)]
    used = {label for _, line in lines if not label_of(line) for label in LOCAL_LABEL.findall(line)}
    used |= function.label_escapes
    shown = []
    for number, line in lines:
        label = label_of(line)
        if label and label not in used and label != f"{function.name}.cold":
            continue
        share = shares.get(number, 0.0)
        text = without_comment(line)
        shown.append(f"{text.expandtabs(8):<48}# {share:.1%}" if share >= _LEAST_SHARE else text)
    return f"{function.name}:\n" + "\n".join(shown) + "\n"


def hot_blocks(function: Function, samples: Sequence[Sample], toolchain: Toolchain) -> list[HotBlock]:
    """Where the samples fall, by the label in front, most first."""
    totals: Counter[str] = Counter()
    label = function.name
    shares = _shares(function, samples, toolchain)
    for number, line in enumerate(function.body_lines):
        found = label_of(line)
        if found and not re.match(r"\.L(FB|FE|VL|BB|BE)", found):
            label = found
        totals[label] += shares.get(number, 0.0)  # type: ignore[assignment]  # a share is a fraction
    return [HotBlock(name, share) for name, share in totals.most_common() if share >= _LEAST_SHARE]


@dataclass(frozen=True)
class ExecutedBlock:
    """A stretch of code without labels and jumps inside: its first instruction, how often it ran, instructions in all."""

    first: str
    times: int
    instructions: int


def executed_blocks(function: Function, counts: Mapping[int, int], toolchain: Toolchain) -> list[ExecutedBlock]:
    """The blocks that ran, by `counts` (offset in the function -> how often the instruction there ran), most costly first.

    Empty when the listing cannot be decoded.
    """
    try:
        instructions = Unit(function.listing, toolchain).decode(function)
    except (DecodeError, OSError):
        return []
    start = instructions[0].address if instructions else 0
    times = {one.line: counts.get(one.address - start, 0) for one in instructions}
    blocks: list[list[int]] = [[]]
    for number, line in enumerate(function.body_lines):
        if label_of(line):
            blocks.append([])
        elif number in times:
            blocks[-1].append(number)
            one = statement(line)
            if one is not None and one.is_jump:
                blocks.append([])
    found = [
        ExecutedBlock(
            " ".join(without_comment(function.body_lines[block[0]]).split()),
            times[block[0]],
            sum(times[number] for number in block),
        )
        for block in blocks
        if block and times[block[0]]
    ]
    return sorted(found, key=lambda block: -block.instructions)


def complete(listing: Listing, function: Function) -> str:
    """The function as a listing of its own: section, alignment and attributes included, the data it reads behind it."""
    head = [f"{function.section.directive.rstrip()}\n", "\t.p2align 4\n"]
    head += [f"\t.globl\t{function.name}\n"] if function.is_global else []
    head += [f"\t.type\t{function.name}, @function\n", f"{function.name}:\n"]
    body = [line for line in function.body_lines if directive_of(line) not in (".loc", ".file")]
    tail = [f"\t.size\t{function.name}, .-{function.name}\n"]
    return "".join([*head, *body, *tail]) + data(listing, function)


def data(listing: Listing, function: Function) -> str:
    """The read-only data that the function refers to, as the listing defines it; long tables are cut."""
    shown: list[str] = []
    for name in function.references:
        found = listing.data.get(name)
        if found is None or not found.readonly:
            continue
        lines = [line.rstrip("\n") for line in found.lines]
        if len(lines) > _MOST_DATA_LINES:
            lines = [*lines[:_MOST_DATA_LINES], f"\t# ... {len(lines) - _MOST_DATA_LINES} more lines"]
        shown += [found.section.directive.rstrip(), *filter(None, [found.alignment.rstrip()]), f"{name}:", *lines]
    return "\n".join(shown) + ("\n" if shown else "")


def _is_shown(line: str) -> bool:
    directive = directive_of(line)
    return bool(without_comment(line).strip()) and directive not in _DEBUG and not directive.startswith(".cfi_")


def _shares(function: Function, samples: Sequence[Sample], toolchain: Toolchain) -> dict[int, float]:
    """Body line -> its share of the samples; empty when the listing cannot be decoded."""
    total = sum(sample.count for sample in samples)
    try:
        instructions = Unit(function.listing, toolchain).decode(function)
    except (DecodeError, OSError):
        return {}
    if not instructions or total <= 0:
        return {}
    start = instructions[0].address
    shares: dict[int, float] = {}
    for sample in samples:
        inside = [
            one for one in instructions if one.address - start <= sample.offset < one.address - start + one.size_bytes
        ]
        if inside:
            shares[inside[0].line] = shares.get(inside[0].line, 0.0) + sample.count / total
    return shares
