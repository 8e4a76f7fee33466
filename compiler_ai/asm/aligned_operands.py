"""A body that asks for no alignment which nothing in the unit's listing shows.

A compiler uses movaps, or gives addps a memory operand, where a type, a declaration or a test in the source says that the
address is a multiple of 16. The key holds none of that: a type that loses its attribute leaves GCC's body as it was, and the
rewrite would fault. So such accesses become ones that accept every address (Intel SDM volume 1, 4.1.1 "Alignment of Words,
Doublewords, Quadwords, and Double Quadwords"), but for a frame's own slots and for data that the unit or the body defines.
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass

from compiler_ai.artifacts import Candidate
from compiler_ai.asm.listing import Listing
from compiler_ai.asm.stack_alignment import Frame
from compiler_ai.asm.statements import LABEL, directive_of, label_of, without_comment
from compiler_ai.toolchains.description import AlignmentRules, Toolchain

_STATEMENT = re.compile(r"^(?P<before>\s*)(?P<mnemonic>[a-z][\w.]*)(?P<space>\s+)(?P<operands>\S.*)$")
_OPERAND = re.compile(r"(?:[^,(]|\([^)]*\))+")
_SYMBOL = re.compile(r"^(?P<symbol>[A-Za-z_.][\w.$]*)(?:[+-]\d+)?\(")


@dataclass(frozen=True)
class _Place:
    """What is known where a statement stands: labels of the body, data of the unit, and how far the CFA is from the stack pointer."""

    own: frozenset[str]
    listing: Listing
    toolchain: Toolchain
    frame: Frame

    def is_aligned(self, operand: str) -> bool:
        """Whether the operand's alignment is the body's own affair, or that of data which the key holds."""
        base = operand.partition("(")[2].rstrip(")").split(",")
        if base[0] == f"%{self.toolchain.stack_pointer}":
            offset = operand.partition("(")[0] or "0"
            known = self.frame.offset is not None and offset.lstrip("-").isdigit()
            return known and int(offset) < (self.frame.offset or 0)  # what lies behind it is the caller's
        match = _SYMBOL.match(operand)
        if base != [f"%{self.toolchain.program_counter}"] or match is None:
            return False
        return match["symbol"] in self.own or self._is_defined(match["symbol"])

    def _is_defined(self, symbol: str) -> bool:
        """Whether this unit's definition of the data, and its alignment, is the one that the program has."""
        data = self.listing.data.get(symbol)
        if data is None or "weak" in self.listing.attributes(symbol):
            return False
        return data.local or not any("comm" in directive_of(line) for line in data.lines)


def without_aligned_operands(candidate: Candidate, listing: Listing, toolchain: Toolchain) -> Candidate:
    """The candidate for `listing` with accesses that accept every address; what cannot be changed stays, for the screen to refuse.

    An operand that has no form of its own without alignment is loaded into a vector register that the body does not use.
    """
    rules = toolchain.alignment
    if rules is None:
        return candidate
    lines = candidate.body.splitlines(keepends=True)
    text = candidate.body + candidate.extra
    scratch = next((name for name, pattern in rules.scratch if not re.search(pattern, text)), "")
    own = frozenset(label for line in [*lines, *candidate.extra.splitlines()] if (label := label_of(line)))
    place = _Place(own, listing, toolchain, Frame())
    changed = "".join(_changed(line, place, rules, scratch) for line in lines)
    return candidate if changed == candidate.body else dataclasses.replace(candidate, body=changed)


def _changed(line: str, place: _Place, rules: AlignmentRules, scratch: str) -> str:
    directive = directive_of(line)
    if directive:
        if directive.startswith(".cfi_"):
            place.frame.follow(directive, without_comment(line).replace(",", " ").split()[1:])
        return line
    label = LABEL.match(line)
    start = label.end() if label else 0
    match = _STATEMENT.match(without_comment(line[start:]))
    if match is None or not any(name in match["operands"] for name in rules.registers):
        return line
    operands = [operand.strip() for operand in _OPERAND.findall(match["operands"])]
    memory = [operand for operand in operands if not operand.startswith(("%", "$"))]
    if len(memory) != 1:
        return line
    before, mnemonic = line[:start] + match["before"], match["mnemonic"]
    if (move := rules.move(mnemonic)) is not None:
        return f"{before}{move}{match['space']}{match['operands']}\n"
    load = rules.load(mnemonic)
    if load is None or not scratch or place.is_aligned(memory[0]):
        return line
    separate = ", ".join(f"%{scratch}" if operand is memory[0] else operand for operand in operands)
    return f"{before}{load}\t{memory[0]}, %{scratch}\n\t{mnemonic}\t{separate}\n"
