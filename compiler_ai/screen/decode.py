"""Machine code as instructions, through capstone; and whether two pieces of code are the same but for where they are."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from compiler_ai.screen.layout import Overlay, Piece, SectionKey
from compiler_ai.screen.rules import Refused
from compiler_ai.toolchains.description import InstructionRules, Toolchain

CODE = "screen.code"
_UNALIGNED = re.compile(r"v?mov(ups|upd|dqu(8|16|32|64)?)|v?lddqu")


@dataclass(frozen=True)
class Instruction:
    """One decoded instruction; `target` is the offset a direct branch goes to, `address` what a PC-relative operand names, and `vector_bytes`
    how much one reads or writes there that takes a whole vector."""

    offset: int
    size_bytes: int
    prefixes: tuple[str, ...]
    mnemonic: str
    operands: str
    is_branch: bool
    is_call: bool
    is_return: bool
    target: int | None
    address: int | None
    has_memory: bool
    may_fault: bool = False  # for an address that is no multiple of the operand's size, and it is not on the stack
    vector_bytes: int = 0

    @property
    def end(self) -> int:
        return self.offset + self.size_bytes

    @property
    def full_mnemonic(self) -> str:
        return " ".join((*self.prefixes, self.mnemonic))

    @property
    def is_unconditional(self) -> bool:
        return self.is_branch and self.mnemonic.startswith("jmp")


class Decoder:
    """Capstone for one target. `rules` says which prefixes are split off the mnemonic."""

    def __init__(self, toolchain: Toolchain, rules: InstructionRules) -> None:
        import capstone

        architecture, mode = toolchain.capstone
        self._engine = capstone.Cs(getattr(capstone, architecture), getattr(capstone, mode))
        self._engine.syntax = capstone.CS_OPT_SYNTAX_ATT
        self._engine.detail = True
        self._memory, self._immediate, self._register = capstone.CS_OP_MEM, capstone.CS_OP_IMM, capstone.CS_OP_REG
        self._jump, self._call, self._ret = capstone.CS_GRP_JUMP, capstone.CS_GRP_CALL, capstone.CS_GRP_RET
        self._relative = capstone.CS_GRP_BRANCH_RELATIVE
        self._counter, self._stack = toolchain.program_counter, toolchain.stack_pointer
        self._alignment = toolchain.alignment
        self._prefixes = rules.inherited_prefixes | {"rep", "repe", "repz", "repne", "repnz"}
        self.rules = rules

    def decode(self, data: bytes, offset: int) -> list[Instruction]:
        """Every instruction of `data`, which begins at `offset`. Raises Refused when bytes remain that are none."""
        found = [self._instruction(raw) for raw in self._engine.disasm(data, offset)]
        end = found[-1].end if found else offset
        if end != offset + len(data):
            raw_bytes = data[end - offset : end - offset + 12].hex()
            raise Refused(CODE, f"the bytes {raw_bytes} at offset {end:#x} are no instruction that is known here")
        return found

    def _instruction(self, raw: Any) -> Instruction:
        words = raw.mnemonic.split()
        prefixes = tuple(words[:-1])
        groups = set(raw.groups)
        branch = self._jump in groups or (self._relative in groups and self._call not in groups)
        call = self._call in groups
        operands = raw.operands
        target = None
        if (branch or call) and len(operands) == 1 and operands[0].type == self._immediate:
            target = int(operands[0].imm)
        address = None
        memory = [operand for operand in operands if operand.type == self._memory]
        for operand in memory:
            if operand.mem.base and raw.reg_name(operand.mem.base) == self._counter:
                address = raw.address + raw.size + int(operand.mem.disp)
        may_fault = any(self._may_fault(raw, words[-1], operand) for operand in memory)
        return Instruction(
            raw.address, raw.size, prefixes, words[-1], raw.op_str, branch, call, self._ret in groups, target, address,
            bool(memory), may_fault, self._vector_bytes(words[-1], memory),
        )  # fmt: skip

    def _vector_bytes(self, mnemonic: str, memory: list[Any]) -> int:
        rules = self._alignment
        is_whole = rules is not None and (re.fullmatch(rules.faulting, mnemonic) or _UNALIGNED.fullmatch(mnemonic))
        return max((int(operand.size) for operand in memory), default=0) if is_whole else 0

    def _may_fault(self, raw: Any, mnemonic: str, memory: Any) -> bool:
        rules = self._alignment
        if rules is None or memory.size < rules.operand_bytes or not re.fullmatch(rules.faulting, mnemonic):
            return False
        return not memory.mem.base or raw.reg_name(memory.mem.base) != self._stack

    def same_code(self, overlay: Overlay, key: SectionKey, old: Piece, new: Piece) -> bool:
        """Whether two pieces are the same instructions, padding left out, with branches to the same places."""
        first = [i for i in self.decode(old.data, old.start) if not self.is_padding(i)]
        second = [i for i in self.decode(new.data, new.start) if not self.is_padding(i)]
        if len(first) != len(second):
            return False
        return all(self._same(overlay, key, old, new, a, b) for a, b in zip(first, second, strict=True))

    def _same(self, overlay: Overlay, key: SectionKey, old: Piece, new: Piece, a: Instruction, b: Instruction) -> bool:
        if a.full_mnemonic != b.full_mnemonic:
            return False
        before = old.data[a.offset - old.start : a.end - old.start]
        after = new.data[b.offset - new.start : b.end - new.start]
        if a.target is not None and b.target is not None:
            return b.target in overlay.positions(key, a.target) or before == after
        if a.address is not None and b.address is not None:
            plain = (a.operands.split("(")[-1] == b.operands.split("(")[-1]) and a.size_bytes == b.size_bytes
            return before == after or (plain and b.address in overlay.positions(key, a.address))
        return before == after

    def is_padding(self, instruction: Instruction) -> bool:
        """Whether an instruction only fills up: a no-op that aligns, or a trap between functions."""
        if instruction.mnemonic.startswith("nop"):
            return True
        if instruction.mnemonic in ("xchgw", "xchg") and instruction.operands == "%ax, %ax":
            return True
        return instruction.mnemonic == "int3"
