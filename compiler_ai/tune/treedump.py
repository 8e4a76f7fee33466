"""What GCC's own dump says of functions that a listing does not: volatile accesses, atomics, calling conventions.

Source: `-fdump-tree-optimized` prints `{v}` behind every volatile access (GCC Internals, tree-pretty-print.cc); it prints it
too where a variable's life ends (`x ={v} {CLOBBER(eol)};`), which is no access, and where GCC has found that a path leads through a
null pointer and ends it there (gimple-ssa-isolate-paths.cc), of which nobody can tell whether a volatile member is behind it. In front of a function it prints the
function's attributes (tree-cfg.cc, dump_function_to_file); a call that may return twice shows as an edge from `.ABNORMAL_DISPATCHER`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_HEADER = re.compile(r"^;; Function .* \((?P<symbol>[^\s,]+), funcdef_no=\d+", re.MULTILINE)
_VOLATILE = re.compile(r"^.*\{v\}(?! \{CLOBBER).*$", re.MULTILINE)
_ATOMIC = re.compile(r"\b(__atomic_\w+|__sync_\w+|\.ATOMIC_\w+)\b")
_RETURNS_TWICE = re.compile(r"\b(_?_?sigsetjmp|_?setjmp|vfork|getcontext|__builtin_setjmp\w*)\b")
_ATTRIBUTES = re.compile(r"^__attribute__\(\((?P<list>.*)\)\)$", re.MULTILINE)
_ARGUMENTS = re.compile(r'"[^"]*"|\([^()]*\)')
# Attributes of functions that are left alone (GCC manual, "Declaring Attributes of Functions", all targets), and why.
_SPECIAL = {
    "it is naked": frozenset({"naked"}),
    "it is an interrupt handler": frozenset(
        ["interrupt", "interrupt_handler", "exception_handler", "exception", "signal", "isr", "fast_interrupt", "kspisusp", "nmi_handler",
         "nesting", "fiq", "IRQ", "FIQ", "nmi"]
    ),
    "it has a calling convention of its own": frozenset(
        ["no_caller_saved_registers", "no_callee_saved_registers", "preserve_none", "ms_abi", "sysv_abi", "cdecl", "fastcall", "thiscall",
         "stdcall", "regparm", "sseregparm", "aarch64_vector_pcs", "pcs", "riscv_vector_cc", "cmse_nonsecure_entry", "callee_pop_aggregate_return"]
    ),
    "it may return twice": frozenset({"returns_twice"}),
    "it begins with instructions that are patched at run time": frozenset({"patchable_function_entry", "ms_hook_prologue", "hotpatch"}),
    "it has optimisation options of its own": frozenset({"optimize"}),  # that LLVM does not honour, -O0 among them
    "it clears registers at its end": frozenset({"zero_call_used_regs"}),
}  # fmt: skip


def unsafe_functions(dump: str) -> dict[str, str]:
    """Map the assembled name of every function that must be left alone to the reason, from an `optimized` dump's text."""
    reasons: dict[str, str] = {}
    headers = list(_HEADER.finditer(dump))
    for header, following in zip(headers, [*headers[1:], None], strict=True):
        body = dump[header.end() : following.start() if following else len(dump)]
        symbol = header["symbol"]
        if special := _special(body):
            reasons[symbol] = special
        elif accesses := _VOLATILE.findall(body):
            reasons[symbol] = _why_volatile(accesses)
        elif match := _ATOMIC.search(body):
            reasons[symbol] = f"it uses atomics ({match[0]})"
        elif match := _RETURNS_TWICE.search(body):
            reasons[symbol] = f"it calls {match[0]}, which may return twice"
        elif ".ABNORMAL_DISPATCHER" in body:
            reasons[symbol] = "it calls a function that may return twice"
        elif re.search(r"\b__asm__\b", body):
            reasons[symbol] = "it holds inline assembly"
    return reasons


def _why_volatile(accesses: Sequence[str]) -> str:
    if all(")0B]" in line and "volatile" not in line for line in accesses):
        return "GCC found that a path in it leads through a null pointer, which may be volatile memory"
    return "it accesses volatile memory"


def _special(body: str) -> str:
    """Why the function's attributes forbid a rewrite, with the attribute; "" when they do not."""
    for match in _ATTRIBUTES.finditer(body, 0, max(0, body.find("\n{"))):  # the declaration's, and the type's
        listed = match["list"]
        while (plain := _ARGUMENTS.sub("", listed)) != listed:
            listed = plain
        for name in (word.strip().strip("_") for word in listed.split(",")):
            for reason, names in _SPECIAL.items():
                if name in names:
                    return f"{reason} ({name})"
    return ""
