"""The third check: the candidate's code decoded byte for byte.

Every instruction is on the allowlist, every direct branch ends on an instruction of the function or at the entry of another
one, every indirect jump has a table whose entries do, and control cannot run off the end.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from compiler_ai.screen.decode import CODE, Instruction
from compiler_ai.screen.elf import Relocation, Section
from compiler_ai.screen.rules import Refused
from compiler_ai.toolchains.description import InstructionRules

_REGISTER = re.compile(r"%(\w+)")


@dataclass(frozen=True)
class CodeRange:
    """A stretch of code that belongs to the function: its hot or cold part, or a callee that the candidate brings."""

    name: str
    section: int
    start: int
    end: int
    instructions: tuple[Instruction, ...]
    relocations: dict[int, Relocation]  # by the offset of the relocated field

    def relocation_of(self, instruction: Instruction) -> Relocation | None:
        for offset in range(instruction.offset, instruction.end):
            if offset in self.relocations:
                return self.relocations[offset]
        return None


@dataclass
class Habits:
    """What the baseline function does that a candidate may do only if the baseline does."""

    mnemonics: Counter[str] = field(default_factory=Counter)
    prefixes: Counter[str] = field(default_factory=Counter)
    operands: set[str] = field(default_factory=set)
    locked: Counter[str] = field(default_factory=Counter)
    calls: set[str] = field(default_factory=set)
    indirect: bool = False
    marked: bool = False
    ends_in_call: set[str] = field(default_factory=set)
    pads_traps: bool = False


def habits(ranges: Iterable[CodeRange], rules: InstructionRules) -> Habits:
    """Read the baseline's habits off its code."""
    found = Habits()
    for part in ranges:
        for position, instruction in enumerate(part.instructions):
            found.mnemonics[instruction.mnemonic] += 1
            found.prefixes.update(p for p in instruction.prefixes if p in rules.inherited_prefixes)
            found.operands.update(_REGISTER.findall(instruction.operands))
            if _is_locked(instruction, rules):
                found.locked[instruction.mnemonic] += 1
            if instruction.is_branch or instruction.is_call:
                relocation = part.relocation_of(instruction)
                if relocation is not None:
                    found.calls.add(relocation.symbol.name)
                    if position + 1 == len(part.instructions) and instruction.is_call:
                        found.ends_in_call.add(relocation.symbol.name)
                elif instruction.target is None:
                    found.indirect = True
        if part.instructions and part.instructions[0].mnemonic == rules.entry_marker:
            found.marked = True
    return found


def _is_locked(instruction: Instruction, rules: InstructionRules) -> bool:
    return "lock" in instruction.prefixes or (
        instruction.mnemonic in rules.implicitly_locked and instruction.has_memory
    )


def check_instructions(
    ranges: Sequence[CodeRange], baseline: Habits, rules: InstructionRules, sections: Mapping[int, Section]
) -> None:
    """Every instruction is one that a rewrite may contain. Raises Refused."""
    own = habits(ranges, rules)
    patterns = re.compile("|".join(f"(?:{pattern})" for pattern in rules.allowed_patterns))
    for part in ranges:
        for instruction in part.instructions:
            _check_instruction(instruction, baseline, rules, patterns)
            if instruction.may_fault:
                _check_alignment(instruction, part.relocation_of(instruction))
            if instruction.vector_bytes and instruction.address is not None:
                _check_place(instruction, part.relocation_of(instruction), sections)
    if own.locked != baseline.locked:
        raise Refused(CODE, f"the atomic accesses differ: {_counts(own.locked)} and not {_counts(baseline.locked)}")
    for mnemonic in rules.inherited:
        if own.mnemonics[mnemonic] != baseline.mnemonics[mnemonic] and mnemonic not in rules.trap:
            raise Refused(
                CODE, f"'{mnemonic}' occurs {own.mnemonics[mnemonic]} times and not {baseline.mnemonics[mnemonic]}"
            )
    for symbol in rules.stack_guard_symbols & baseline.calls:
        if symbol not in own.calls:
            raise Refused(CODE, f"the stack protector is gone: nothing calls {symbol}")
    if baseline.marked and not any(
        p.instructions and p.instructions[0].mnemonic == rules.entry_marker for p in ranges[:1]
    ):
        raise Refused(CODE, f"the entry has lost its {rules.entry_marker}")


def _counts(counter: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counter.items())) or "none"


def _check_instruction(
    instruction: Instruction, baseline: Habits, rules: InstructionRules, patterns: re.Pattern[str]
) -> None:
    mnemonic, full = instruction.mnemonic, f"{instruction.full_mnemonic} {instruction.operands}".strip()
    for prefix in instruction.prefixes:
        if prefix in rules.inherited_prefixes and not baseline.prefixes[prefix]:
            raise Refused(CODE, f"'{full}' has the prefix '{prefix}', which the baseline has not")
    repeated = " ".join((*[p for p in instruction.prefixes if p not in rules.inherited_prefixes], mnemonic))
    if mnemonic in rules.inherited:
        if not baseline.mnemonics[mnemonic]:
            raise Refused(CODE, f"'{full}' changes or reads more than its operands, and the baseline has no {mnemonic}")
    elif repeated not in rules.allowed and not patterns.fullmatch(mnemonic):
        raise Refused(CODE, f"'{full}' is not an accepted instruction")
    if repeated != mnemonic and repeated not in rules.allowed and mnemonic not in ("ret", "retq"):
        raise Refused(CODE, f"'{full}' has a prefix that is not accepted")
    if instruction.is_return and instruction.operands:
        raise Refused(CODE, f"'{full}' pops its caller's stack")
    if mnemonic.startswith("nop"):
        return
    for register in _REGISTER.findall(instruction.operands):
        if register in rules.refused_operands:
            raise Refused(CODE, f"'{full}' uses %{register}")
        if register in rules.inherited_operands and register not in baseline.operands:
            raise Refused(CODE, f"'{full}' uses %{register}, which the baseline does not")


def _check_alignment(instruction: Instruction, relocation: Relocation | None) -> None:
    """An operand that must be aligned is on the stack or is data of this object: of any other the key does not tell."""
    symbol = relocation.symbol if relocation else None
    if (
        instruction.address is None
        or symbol is None
        or not isinstance(symbol.section, int)
        or symbol.binding == "STB_WEAK"
    ):
        full = f"{instruction.full_mnemonic} {instruction.operands}"
        raise Refused(
            CODE, f"'{full}' faults unless its address is aligned, and nothing in GCC's listing says that it is"
        )


def _check_place(instruction: Instruction, relocation: Relocation | None, sections: Mapping[int, Section]) -> None:
    """Data of this object is aligned as an operand needs it wherever the linker puts its section, and an entry that it may merge with
    another is as large as what is accessed: what follows is parted from it (gABI chapter 4, SHF_MERGE)."""
    symbol = relocation.symbol if relocation else None
    section = sections.get(symbol.section) if symbol is not None and isinstance(symbol.section, int) else None
    if relocation is None or symbol is None or section is None or "GOT" in relocation.type:
        return
    size = instruction.vector_bytes
    at = symbol.offset + relocation.addend + instruction.end - relocation.offset
    full = f"{instruction.full_mnemonic} {instruction.operands}"
    if instruction.may_fault and (at % size or section.alignment_bytes % size):
        raise Refused(CODE, f"'{full}' faults unless its address is aligned, which {section.name} is not")
    if section.is_merged and not section.is_text and at % section.entry_bytes + size > section.entry_bytes:
        raise Refused(CODE, f"'{full}' accesses more than one entry of {section.name}, which the linker may part")


def check_flow(
    ranges: Sequence[CodeRange], entries: dict[int, frozenset[int]], tables: frozenset[tuple[int, int]],
    known: frozenset[str], baseline: Habits, rules: InstructionRules, code_sections: frozenset[int],
) -> None:  # fmt: skip
    """Control stays where it may go. `entries`: section -> offsets of function entries; `tables`: code that tables point to.

    Raises Refused.
    """
    boundaries: dict[int, set[int]] = {}
    for part in ranges:
        boundaries.setdefault(part.section, set()).update(i.offset for i in part.instructions)
    for section, offset in tables:
        if offset not in boundaries.get(section, ()) and offset not in entries.get(section, ()):
            raise Refused(CODE, f"a table points to offset {offset:#x}, which is no instruction of the function")
    for part in ranges:
        inside = boundaries[part.section]
        for instruction in part.instructions:
            if instruction.is_branch or instruction.is_call:
                _check_branch(part, instruction, inside, entries, bool(tables), known, baseline, rules, boundaries)
            elif instruction.is_return and rules.return_thunk in baseline.calls:
                raise Refused(CODE, f"a plain return, where the baseline goes through {rules.return_thunk}")
            else:
                _check_address(part, instruction, inside, entries, boundaries, code_sections)
        _check_end(part, baseline, rules)


def _check_branch(
    part: CodeRange, instruction: Instruction, inside: set[int], entries: dict[int, frozenset[int]], has_table: bool,
    known: frozenset[str], baseline: Habits, rules: InstructionRules, boundaries: dict[int, set[int]],
) -> None:  # fmt: skip
    full = f"{instruction.full_mnemonic} {instruction.operands}"
    relocation = part.relocation_of(instruction)
    if instruction.target is None:
        if any(name.startswith(rules.indirect_thunk_prefix) for name in baseline.calls):
            raise Refused(
                CODE, f"'{full}' is a plain indirect branch, where the baseline uses {rules.indirect_thunk_prefix}*"
            )
        if instruction.is_branch and not has_table and not baseline.indirect:
            raise Refused(CODE, f"'{full}' jumps through a register or memory and there is no table for it")
        if instruction.is_call and not baseline.indirect and not _through_table(relocation):
            raise Refused(CODE, f"'{full}' calls through a pointer, which the baseline does not")
        return
    if relocation is not None:
        symbol = relocation.symbol
        if symbol.type == "STT_SECTION" and isinstance(symbol.section, int):
            target = relocation.addend + instruction.end - relocation.offset
            allowed = entries.get(symbol.section, frozenset())
            if target not in allowed and target not in boundaries.get(symbol.section, ()):
                raise Refused(
                    CODE, f"'{full}' goes to offset {target:#x} of {symbol.name}, which is no function's entry"
                )
            return
        expected = relocation.offset - instruction.end
        if relocation.addend != expected or symbol.name not in known:
            raise Refused(
                CODE, f"'{full}' goes to {symbol.name}{relocation.addend - expected:+d}, which is not accepted"
            )
        return
    here = entries.get(part.section, frozenset())
    if instruction.target not in here and instruction.target not in inside:  # a call may go to a subroutine of its own
        raise Refused(CODE, f"'{full}' does not end on an instruction of the function or at a function's entry")


def _through_table(relocation: Relocation | None) -> bool:
    """`call *f@GOTPCREL(%rip)`: an external function by its GOT entry (-fno-plt)."""
    return relocation is not None and "GOTPCREL" in relocation.type


def _check_address(
    part: CodeRange, instruction: Instruction, inside: set[int], entries: dict[int, frozenset[int]],
    boundaries: dict[int, set[int]], code_sections: frozenset[int],
) -> None:  # fmt: skip
    """Code is no data: only the address of an instruction of the function or of a function's entry may be taken."""
    relocation = part.relocation_of(instruction)
    full = f"{instruction.full_mnemonic} {instruction.operands}"
    if relocation is not None:
        symbol = relocation.symbol
        if symbol.type == "STT_FUNC" and "GOT" not in relocation.type:
            _check_function_address(instruction, relocation, full)
        if symbol.type != "STT_SECTION" or symbol.section not in code_sections or not isinstance(symbol.section, int):
            return
        relative = instruction.end - relocation.offset if instruction.address is not None else 0
        section, target = symbol.section, relocation.addend + relative
    elif instruction.address is not None:
        section, target = part.section, instruction.address
        if not instruction.mnemonic.startswith("lea"):
            raise Refused(CODE, f"'{full}' accesses code as data")
    else:
        return
    allowed = inside if section == part.section else boundaries.get(section, set())
    if target not in allowed and target not in entries.get(section, frozenset()):
        raise Refused(CODE, f"'{full}' takes the address of something inside another function")


def _check_function_address(instruction: Instruction, relocation: Relocation, full: str) -> None:
    relative = relocation.offset - instruction.end if instruction.address is not None else 0
    if instruction.address is not None and not instruction.mnemonic.startswith("lea"):
        raise Refused(CODE, f"'{full}' accesses code as data")
    if relocation.addend != relative:
        raise Refused(CODE, f"'{full}' takes the address of something inside {relocation.symbol.name}")


def _check_end(part: CodeRange, baseline: Habits, rules: InstructionRules) -> None:
    """The last instruction that is no padding must not let control run on."""
    real = [i for i in part.instructions if not i.mnemonic.startswith("nop")]
    if not real:
        raise Refused(CODE, f"{part.name} is empty")
    last = real[-1]
    if last.is_return or last.is_unconditional or last.mnemonic in rules.trap:
        return
    if last.is_call:
        relocation = part.relocation_of(last)
        if relocation is None or relocation.symbol.name in baseline.calls:
            return
    raise Refused(CODE, f"control can run off the end of {part.name}, behind '{last.full_mnemonic} {last.operands}'")
