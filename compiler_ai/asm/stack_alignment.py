"""Can a call inside of the unit enter a function with a stack that is not aligned as the ABI says?

GCC calls local functions with less alignment where it knows that they need none (-fipa-stack-alignment). Every direct call of
the unit is looked at: how deep the stack is there, the unwind directives tell (System V ABI, AMD64 supplement, "The Stack
Frame": at a function's entry %rsp + 8 is a multiple of 16).
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field

from compiler_ai.asm.listing import Listing
from compiler_ai.asm.statements import directive_of, label_of, without_comment

_ALIGNMENT_BYTES = 16
_ENTRY_OFFSET = 8  # of the canonical frame address from %rsp at an entry: the return address
_TRANSFER = re.compile(
    r"^\s*(?:(?:bnd|notrack)\s+)?(?P<mnemonic>callq?|j[a-z]+)\s+(?P<target>[A-Za-z_.][\w.$]*)(?:@PLT)?$"
)
_NUMBER = re.compile(r"-?[0-9]{1,9}")
_STACK_POINTER = ("7", "%rsp")


@dataclass(frozen=True)
class _Entry:
    """One direct call or tail call: the function it is in, and the CFA's offset from %rsp there (None: not known)."""

    caller: str
    offset: int | None
    is_call: bool


@dataclass
class Frame:
    """The rule for the canonical frame address, line by line; None where it is not relative to %rsp."""

    offset: int | None = None
    remembered: list[int | None] = field(default_factory=list)

    def follow(self, directive: str, operands: list[str]) -> None:
        if directive == ".cfi_startproc":
            self.offset, self.remembered = _ENTRY_OFFSET, []
        elif directive == ".cfi_endproc":
            self.offset = None
        elif directive == ".cfi_remember_state":
            self.remembered.append(self.offset)
        elif directive == ".cfi_restore_state":
            self.offset = self.remembered.pop() if self.remembered else None
        elif directive == ".cfi_def_cfa" and len(operands) == 2:
            self.offset = _number(operands[1]) if operands[0] in _STACK_POINTER else None
        elif directive == ".cfi_def_cfa_register":
            self.offset = None  # one that was left is only known again by .cfi_def_cfa
        elif directive == ".cfi_def_cfa_offset" and self.offset is not None:
            self.offset = _number(operands[0]) if operands else None
        elif directive == ".cfi_adjust_cfa_offset" and self.offset is not None:
            change = _number(operands[0]) if operands else None
            self.offset = None if change is None else self.offset + change
        elif directive == ".cfi_escape":
            self.offset = None


def _number(text: str) -> int | None:
    return int(text) if _NUMBER.fullmatch(text) else None


def may_be_misaligned(listing: Listing, function: str) -> bool:
    """Whether some direct call in the unit may enter `function` with %rsp + 8 no multiple of 16; what cannot be told may."""
    entries = _entries(listing)
    assumed: set[str] = set()

    def aligned(name: str) -> bool:
        if name in assumed:  # calls in a circle keep what the first entry had
            return True
        assumed.add(name)
        for entry in entries[name]:
            expected = 0 if entry.is_call else _ENTRY_OFFSET
            if entry.offset is None or entry.offset % _ALIGNMENT_BYTES != expected or not aligned(entry.caller):
                return False
        return True

    return not aligned(function)


def _entries(listing: Listing) -> dict[str, list[_Entry]]:
    """Every direct call and jump to a function of the listing, by the function."""
    names = {function.name for function in listing.functions}
    found: dict[str, list[_Entry]] = defaultdict(list)
    owner, frame, inline = "", Frame(), False
    for line in listing.lines:
        if line.startswith(("#APP", "#NO_APP")):
            inline = line.startswith("#APP")
            continue
        label = label_of(line)
        if label:
            plain = label.removesuffix(".cold")
            owner = plain if plain in names else owner
            continue
        directive = directive_of(line)
        if directive.startswith(".cfi_"):
            frame.follow(directive, without_comment(line).replace(",", " ").split()[1:])
        elif not directive and (match := _TRANSFER.match(without_comment(line))):
            target = listing.aliases.get(match["target"], match["target"])
            if target in names:
                offset = None if inline else frame.offset
                found[target].append(_Entry(owner, offset, match["mnemonic"].startswith("call")))
    return found
