"""Which argument registers a callee without a prototype reads, and how much of them: what its code reads before it writes it.

Its code is followed along every branch and direct jump, not into what it calls.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import capstone
from capstone import x86_const as x86

from compiler_ai.verify.calls import PARTS

_NUMBER = {name: number for number, parts in enumerate(PARTS.values()) for name in parts}
_BYTES = {name: size for parts in PARTS.values() for name, size in parts.items()}
_MOST_INSTRUCTIONS = 2_000


class ArgumentUse:
    """Decodes each callee once; `code` gives up to 16 bytes of code at an address."""

    def __init__(self, code: Callable[[int], bytes]) -> None:
        self._code = code
        self._capstone = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
        self._capstone.detail = True
        self._known: dict[int, dict[int, int]] = {}

    def registers(self, target: int) -> Mapping[int, int]:
        """The numbers (rdi is 0) of the argument registers that the function at `target` reads, each with how many of its lowest
        bytes."""
        if target not in self._known:
            self._known[target] = self._read(target)
        return self._known[target]

    def _read(self, target: int) -> dict[int, int]:
        used: dict[int, int] = {}
        seen: dict[int, frozenset[int]] = {}  # address -> what may still hold an argument there
        waiting = [(target, frozenset(range(len(PARTS))))]
        budget = _MOST_INSTRUCTIONS
        while waiting and budget:
            at, held = waiting.pop()
            while budget and held - seen.get(at, frozenset()):
                seen[at] = seen.get(at, frozenset()) | held
                budget -= 1
                instruction = next(self._capstone.disasm(self._code(at), at, 1), None)
                if instruction is None:
                    break
                read, written = ({instruction.reg_name(r) for r in group} for group in instruction.regs_access())
                if _clears(instruction):
                    read = set()
                for name in read:
                    if (number := _NUMBER.get(name, -1)) in held:
                        used[number] = max(used.get(number, 0), _BYTES[name])
                held -= {_NUMBER[name] for name in written if name in _NUMBER}
                following = at + instruction.size
                if instruction.group(x86.X86_GRP_CALL):
                    held = frozenset()  # the callee may have overwritten all of them
                elif instruction.group(x86.X86_GRP_JUMP):
                    operand = instruction.operands[0]
                    if operand.type == x86.X86_OP_IMM:
                        waiting.append((operand.imm, held))
                    if instruction.mnemonic.rpartition(" ")[2] == "jmp":
                        break
                elif instruction.group(x86.X86_GRP_RET) or instruction.mnemonic in ("ud2", "hlt", "int3"):
                    break
                at = following
        return used


def _clears(instruction: capstone.CsInsn) -> bool:
    """Whether it sets a register to zero, whatever was there."""
    operands = [operand.reg for operand in instruction.operands if operand.type == x86.X86_OP_REG]
    return instruction.mnemonic in ("xor", "sub") and len(operands) == 2 and operands[0] == operands[1]
