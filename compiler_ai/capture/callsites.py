"""Where a module calls a function directly, so that calls from each place are captured and not only those from the busiest one.

x86-64: `call rel32` is E8 and a displacement from the next instruction (Intel SDM volume 2, CALL).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

from compiler_ai.profile.symbols import FunctionSymbol, ModuleSymbols

_CALL = b"\xe8"
_CALL_BYTES = 5
_MOST_SITES = 64
_MOST_CODE_BYTES = 1 << 26


def find(path: str, functions: Collection[int]) -> dict[int, tuple[int, ...]]:
    """For each function, given by its link-time address: the link-time addresses of direct calls of it, no more than 64 and
    none of them in the middle of an instruction. Empty when the module cannot be read."""
    found: dict[int, list[int]] = {address: [] for address in functions}
    module = ModuleSymbols(path)
    try:
        data = Path(path).read_bytes() if Path(path).stat().st_size <= _MOST_CODE_BYTES else b""
    except OSError:
        data = b""
    for caller in module.functions:
        code = _code(module, caller, data)
        likely = [(position, callee) for position, callee in _likely_calls(code, caller.address) if callee in found]
        if likely:
            boundaries = _boundaries(code, caller.address, max(position for position, _ in likely))
            for position, callee in likely:
                if caller.address + position in boundaries and len(found[callee]) < _MOST_SITES:
                    found[callee].append(caller.address + position)
    return {address: tuple(sites) for address, sites in found.items()}


def _code(module: ModuleSymbols, function: FunctionSymbol, data: bytes) -> bytes:
    for offset, size, address in module.segments:
        if address <= function.address < address + size:
            start = offset + function.address - address
            return data[start : start + function.size_bytes]
    return b""


def _likely_calls(code: bytes, address: int) -> Iterator[tuple[int, int]]:
    """What would be a call, were it an instruction: its offset and the function it goes to."""
    position = code.find(_CALL)
    while 0 <= position <= len(code) - _CALL_BYTES:
        displacement = int.from_bytes(code[position + 1 : position + _CALL_BYTES], "little", signed=True)
        yield position, address + position + _CALL_BYTES + displacement
        position = code.find(_CALL, position + 1)


def _boundaries(code: bytes, address: int, last: int) -> set[int]:
    """The addresses of instructions; decoding ends at the first bytes that are none."""
    import capstone

    engine = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
    return {at for at, _, _, _ in engine.disasm_lite(code[: last + _CALL_BYTES], address)}
