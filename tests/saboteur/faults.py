"""The faults: each takes a body's lines and one instruction's place and returns the lines with one thing wrong.

`only_proof` marks those that no realistic number of runs hits: one value of 2^64, one distance between two pointers.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from compiler_ai.verify.prototype import Prototype

Lines = list[str]
_IMMEDIATE = re.compile(r"\$(-?(?:0x[0-9a-f]+|\d+))")
_MEMORY = re.compile(r"(-?\d+)?\((%\w+)(,%\w+(?:,\d)?)?\)")
_GENERAL = ("ax", "bx", "cx", "dx", "si", "di", "bp")
_INVERTED = {
    "e": "ne", "ne": "e", "l": "ge", "ge": "l", "g": "le", "le": "g", "b": "ae", "ae": "b", "a": "be", "be": "a",
    "s": "ns", "ns": "s", "z": "nz", "nz": "z",
}  # fmt: skip
_SIGNEDNESS = {"l": "b", "ge": "ae", "g": "a", "le": "be", "b": "l", "ae": "ge", "a": "g", "be": "le"}
_BOUND = {"l": "le", "le": "l", "g": "ge", "ge": "g", "b": "be", "be": "b", "a": "ae", "ae": "a", "ne": "g"}
_OPCODES = {
    "add": "sub", "sub": "add", "and": "or", "or": "and", "xor": "or", "shl": "shr", "sal": "shr", "shr": "sar", "sar": "shr",
    "imul": "add", "adc": "add", "sbb": "sub", "inc": "dec", "dec": "inc", "rol": "ror", "ror": "rol", "neg": "not",
    "paddd": "psubd", "psubd": "paddd", "paddq": "psubq", "paddb": "psubb", "paddw": "psubw", "pand": "por", "por": "pand",
    "pxor": "por", "addsd": "subsd", "addss": "subss", "subsd": "addsd", "mulsd": "addsd", "mulss": "addss",
    "addpd": "subpd", "addps": "subps", "mulpd": "addpd", "mulps": "addps", "divsd": "mulsd", "pcmpgtd": "pcmpeqd",
    "punpckldq": "punpckhdq", "punpcklwd": "punpckhwd", "punpcklbw": "punpckhbw", "psrlq": "psllq", "pslld": "psrld",
    "psrldq": "pslldq", "unpcklps": "unpckhps", "maxsd": "minsd", "minsd": "maxsd",
}  # fmt: skip
_EXTENSIONS = {
    "movzbl": "movsbl", "movsbl": "movzbl", "movzwl": "movswl", "movswl": "movzwl", "movzbq": "movsbq", "movsbq": "movzbq",
    "movslq": "movzwq",
}  # fmt: skip


@dataclass(frozen=True)
class Fault:
    """`applies(lines, site)` says whether there is something to damage at `site`; `apply` returns new lines; `matters` whether
    it is a fault in a function of that C type."""

    kind: str
    applies: Callable[[Lines, int], bool]
    apply: Callable[[Lines, int, random.Random], Lines]
    only_proof: bool = False
    matters: Callable[[Prototype], bool] = lambda _: True


def _integer_result(least_bytes: int) -> Callable[[Prototype], bool]:
    """Whether the function returns a number of at least that size in rax."""
    return lambda type_: type_.returns.kind in ("integer", "pointer") and type_.returns.size_bytes >= least_bytes


def _parameters(*kinds: str) -> Callable[[Prototype], bool]:
    """Whether the first parameters are of these kinds: "pointer", "number" (64 bits), "int" (32 bits) or "" for any."""

    def fits(type_: Prototype) -> bool:
        found = [kind for _, kind in type_.parameters if kind.kind in ("integer", "pointer")]
        return len(found) >= len(kinds) and all(
            wanted in ("", kind.kind)
            or (wanted == "number" and kind.kind == "integer" and kind.size_bytes == 8)
            or (wanted == "int" and kind.kind == "integer" and kind.size_bytes == 4)
            for wanted, kind in zip(kinds, found, strict=False)
        )

    return fits


def _rewritten(kind: str, rewrite: Callable[[str, random.Random], str]) -> Fault:
    """A fault in the text of one instruction; it applies wherever `rewrite` changes something."""

    def applies(lines: Lines, site: int) -> bool:
        return rewrite(lines[site], random.Random(0)) != lines[site]

    def apply(lines: Lines, site: int, generator: random.Random) -> Lines:
        return [*lines[:site], rewrite(lines[site], generator), *lines[site + 1 :]]

    return Fault(kind, applies, apply)


def _constant(change: Callable[[int], int]) -> Callable[[str, random.Random], str]:
    def rewrite(line: str, _: random.Random) -> str:
        if re.search(r"%[er]sp\b", line):
            return line
        return _IMMEDIATE.sub(lambda match: f"${change(int(match[1], 0))}", line, count=1)

    return rewrite


def _condition(table: dict[str, str], stems: tuple[str, ...]) -> Callable[[str, random.Random], str]:
    pattern = re.compile(rf"^(\s+)({'|'.join(stems)})([a-z]{{1,2}}?)([lqwb]?)(\s.*)$")

    def rewrite(line: str, _: random.Random) -> str:
        word = line.split()[0]
        for stem in stems:
            rest = word.removeprefix(stem)
            for suffix in ("", "l", "q", "w") if stem == "cmov" else ("",):
                code = rest.removesuffix(suffix) if suffix else rest
                if word.startswith(stem) and code in table and pattern.match(line):
                    return line.replace(word, stem + table[code] + suffix, 1)
        return line

    return rewrite


def _displacement(change: int) -> Callable[[str, random.Random], str]:
    def rewrite(line: str, _: random.Random) -> str:
        if "rip" in line or line.split()[0].startswith(("nop", "prefetch")):
            return line
        return _MEMORY.sub(lambda m: f"{int(m[1] or 0) + change}({m[2]}{m[3] or ''})", line, count=1)

    return rewrite


def _scale(line: str, _: random.Random) -> str:
    return re.sub(r",([1248])\)", lambda m: f",{ {'1': 2, '2': 4, '4': 8, '8': 4}[m[1]] })", line, count=1)


def _register(line: str, generator: random.Random) -> str:
    names = [n for n in _GENERAL if re.search(rf"%[er]{n}\b", line)]
    if not names or line.split()[0].startswith(("push", "pop", "call", "jmp")):
        return line
    old = generator.choice(names)
    new = generator.choice([n for n in ("ax", "cx", "dx", "si", "di") if n != old])
    return re.sub(rf"%([er]){old}\b", rf"%\g<1>{new}", line)


def _opcode(line: str, _: random.Random) -> str:
    word = line.split()[0]
    for old, new in _OPCODES.items():
        for suffix in ("", "b", "w", "l", "q"):
            if word == old + suffix:
                return line.replace(word, new + suffix, 1)
            if word == f"v{old}{suffix}":
                return line.replace(word, f"v{new}{suffix}", 1)
    return line


def _extension(line: str, _: random.Random) -> str:
    word = line.split()[0]
    if word == "movslq":
        return re.sub(r"movslq(\s+)%e(ax|bx|cx|dx|si|di|bp),\s*%r(\w+)", r"movq\1%r\2, %r\3", line)
    return line.replace(word, _EXTENSIONS.get(word, word), 1)


def _narrow(line: str, _: random.Random) -> str:
    match = re.fullmatch(r"(\s+)(add|sub|mov|and|or|xor|imul)q(\s+)%r(\w\w), %r(\w\w)\s*", line)
    if match and "sp" not in (match[4], match[5]) and not re.search(r"\d", match[4] + match[5]):
        return f"{match[1]}{match[2]}l{match[3]}%e{match[4]}, %e{match[5]}"
    return line


def _swap_operands(line: str, _: random.Random) -> str:
    match = re.fullmatch(r"(\s+)(cmp|sub|mov|add|and|sbb|test|pandn|psub|sub)(\w*)(\s+)(%\w+), (%\w+)\s*", line)
    if match is None or match[2] in ("test",) or match[5] == match[6] or "sp" in line or "bp" in line:
        return line
    return f"{match[1]}{match[2]}{match[3]}{match[4]}{match[6]}, {match[5]}"


def _cmp_to_test(line: str, _: random.Random) -> str:
    return re.sub(r"^(\s+)cmp([bwlq])(\s+%\w+, %\w+)", r"\1test\2\3", line)


def _unconditional_move(line: str, _: random.Random) -> str:
    return re.sub(
        r"^(\s+)cmov\w+?(\s+%r\w+, %r\w+)", r"\1movq\2", re.sub(r"^(\s+)cmov\w+?(\s+%e\w+, %e\w+)", r"\1movl\2", line)
    )


def _loop_once(line: str, _: random.Random) -> str:
    return re.sub(r"^(\s+)j(?!mp)\w+\s+(\.L\S+)", r"\1nop", line)


def _always_taken(line: str, _: random.Random) -> str:
    return re.sub(r"^(\s+)j(?!mp)\w+(\s+\.L\S+)", r"\1jmp\2", line)


def _asymmetric(fault: Fault) -> Fault:
    """Not at a comparison that is only asked for equality, which does not depend on the operands' order."""

    def applies(lines: Lines, site: int) -> bool:
        following = lines[site + 1].split()[:1] if site + 1 < len(lines) else []
        equality = following in (["je"], ["jne"], ["sete"], ["setne"], ["cmove"], ["cmovne"])
        return fault.applies(lines, site) and not (lines[site].split()[0].startswith("cmp") and equality)

    return replace(fault, applies=applies)


REWRITTEN = (
    _rewritten("constant_plus_1", _constant(lambda n: n + 1)),
    _rewritten("constant_minus_1", _constant(lambda n: n - 1)),
    _rewritten("constant_negated", _constant(lambda n: -n)),
    _rewritten("constant_bit_flipped", _constant(lambda n: n ^ 4)),
    _rewritten("condition_inverted", _condition(_INVERTED, ("j",))),
    _rewritten("condition_signedness", _condition(_SIGNEDNESS, ("j",))),
    _rewritten("loop_bound_off_by_one", _condition(_BOUND, ("j",))),
    _rewritten("select_inverted", _condition(_INVERTED, ("cmov", "set"))),
    _rewritten("select_signedness", _condition(_SIGNEDNESS, ("cmov", "set"))),
    _rewritten("select_unconditional", _unconditional_move),
    _rewritten("branch_never_taken", _loop_once),
    _rewritten("branch_always_taken", _always_taken),
    _rewritten("displacement_plus_8", _displacement(8)),
    _rewritten("displacement_plus_1", _displacement(1)),
    _rewritten("displacement_minus_4", _displacement(-4)),
    _rewritten("scale_changed", _scale),
    _rewritten("register_replaced", _register),
    _rewritten("opcode_replaced", _opcode),
    _rewritten("extension_replaced", _extension),
    _rewritten("operand_narrowed", _narrow),
    _asymmetric(_rewritten("operands_swapped", _swap_operands)),
    _rewritten("compare_becomes_test", _cmp_to_test),
)


def _word(lines: Lines, site: int) -> str:
    return lines[site].split()[0]


def _is_plain(lines: Lines, site: int) -> bool:
    return not _word(lines, site).startswith(("nop", "push", "pop", "ret", "jmp", "endbr", "leave", "prefetch"))


def _drop(lines: Lines, site: int, _: random.Random) -> Lines:
    return [*lines[:site], *lines[site + 1 :]]


def _twice(lines: Lines, site: int, _: random.Random) -> Lines:
    return [*lines[: site + 1], lines[site], *lines[site + 1 :]]


def _is_repeatable(lines: Lines, site: int) -> bool:
    return _word(lines, site).startswith(
        ("add", "sub", "shl", "sal", "shr", "inc", "dec", "neg", "imul", "not", "padd", "psub")
    ) and ("sp" not in lines[site])


def _swaps_next(lines: Lines, site: int) -> bool:
    following = lines[site + 1] if site + 1 < len(lines) else ""
    target = lines[site].rsplit(",", 1)[-1].strip()
    return (
        _is_plain(lines, site)
        and target.startswith("%")
        and target in following
        and following.startswith("\t")
        and (following.split()[0].startswith(("mov", "add", "sub", "and", "or", "xor", "lea", "imul", "sh")))
    )


def _swap_next(lines: Lines, site: int, _: random.Random) -> Lines:
    return [*lines[:site], lines[site + 1], lines[site], *lines[site + 2 :]]


def _is_return(lines: Lines, site: int) -> bool:
    return _word(lines, site) == "ret"


def _is_first(lines: Lines, site: int) -> bool:
    return not any(
        line.startswith("\t") and not line.lstrip().startswith((".", "endbr", "#")) for line in lines[:site]
    ) and (_word(lines, site) != "endbr64")


def _before(
    kind: str,
    where: Callable[[Lines, int], bool],
    text: str,
    only_proof: bool = False,
    matters: Callable[[Prototype], bool] = lambda _: True,
) -> Fault:
    """`text` put in front of an instruction; `@` in it becomes a number of its own for labels."""

    def apply(lines: Lines, site: int, _: random.Random) -> Lines:
        added = [line if line.endswith(":") else "\t" + line for line in text.replace("@", str(site)).split("\n")]
        return [*lines[:site], *added, *lines[site:]]

    return Fault(kind, where, apply, only_proof, matters)


def _stores(lines: Lines, site: int) -> bool:
    return (
        re.match(r"\s+mov\w*\s+[%$][^,]+, -?\d*\(%\w+", lines[site]) is not None
        and "sp" not in lines[site]
        and "bp" not in lines[site]
    )


def _store_beyond(distance: int) -> Callable[[Lines, int, random.Random], Lines]:
    def apply(lines: Lines, site: int, _: random.Random) -> Lines:
        match = _MEMORY.search(lines[site])
        assert match is not None
        added = f"\tmovb\t$0x5a, {int(match[1] or 0) + distance}({match[2]}{match[3] or ''})"
        return [*lines[: site + 1], added, *lines[site + 1 :]]

    return apply


def _same_value(lines: Lines, site: int, _: random.Random) -> Lines:
    match = _MEMORY.search(lines[site])
    assert match is not None
    place = f"{int(match[1] or 0) + 64}({match[2]}{match[3] or ''})"
    return [
        *lines[: site + 1],
        "\tpushq\t%r11",
        f"\tmovb\t{place}, %r11b",
        f"\tmovb\t%r11b, {place}",
        "\tpopq\t%r11",
        *lines[site + 1 :],
    ]


def _is_call(lines: Lines, site: int) -> bool:
    return _word(lines, site) == "call"


def _next_is(lines: Lines, site: int, directive: str) -> bool:
    """Whether one of the directives right behind the instruction is `directive`."""
    return any(directive in line for line in _behind(lines, site))


def _behind(lines: Lines, site: int) -> Lines:
    found = []
    for line in lines[site + 1 :]:
        if not line.lstrip().startswith(".cfi"):
            break
        found.append(line)
    return found


def _cfi(pattern: str, change: int) -> Callable[[Lines, int, random.Random], Lines]:
    """The first number that `pattern` finds behind the instruction, changed."""

    def apply(lines: Lines, site: int, _: random.Random) -> Lines:
        for number in range(site + 1, site + 1 + len(_behind(lines, site))):
            match = re.search(pattern, lines[number])
            if match:
                line = lines[number]
                changed = f"{line[: match.start(1)]}{int(match[1]) + change}{line[match.end(1) :]}"
                return [*lines[:number], changed, *lines[number + 1 :]]
        return lines

    return apply


def _cfi_dropped(lines: Lines, site: int, _: random.Random) -> Lines:
    return [*lines[: site + 1], *lines[site + 1 + len(_behind(lines, site)) :]]


INSERTED = (
    Fault("instruction_dropped", _is_plain, _drop),
    Fault("instruction_twice", _is_repeatable, _twice),
    Fault("instructions_swapped", _swaps_next, _swap_next),
    Fault("pop_dropped", lambda lines, site: _word(lines, site).startswith("pop"), _drop),
    Fault("store_past_the_end", _stores, _store_beyond(64)),
    Fault("store_before_the_start", _stores, _store_beyond(-64)),
    Fault("store_far_away", _stores, _store_beyond(1 << 20)),
    Fault("store_of_the_same_value", _stores, _same_value),
    Fault("store_dropped", _stores, _drop),
    _before("result_off_by_one", _is_return, "incl %eax", matters=_integer_result(1)),
    _before("result_high_half", _is_return, "btcq $40, %rax", matters=_integer_result(8)),
    _before("vector_result_lost", _is_return, "pcmpeqd %xmm0, %xmm0", matters=lambda t: t.returns.kind == "float"),
    _before("callee_saved_rbx", _is_return, "incq %rbx"),
    _before("callee_saved_rbp", _is_return, "xorl %ebp, %ebp"),
    _before("callee_saved_r15", _is_return, "notq %r15"),
    _before("below_the_red_zone", _is_return, "movq $0, -4096(%rsp)"),
    _before("return_address", _is_return, "incq (%rsp)"),
    _before("callers_frame", _is_return, "movq $0, 16(%rsp)"),
    _before("stack_unbalanced", _is_return, "pushq %rax"),
    _before("x87_stack", _is_return, "fldz"),
    _before("rounding_mode", _is_return, "movl $0x7f80, -8(%rsp)\nldmxcsr -8(%rsp)"),
    _before("x87_control", _is_return, "movw $0x27f, -8(%rsp)\nfldcw -8(%rsp)"),
    _before("endless_at_the_end", _is_return, ".Lendless@:\njmp .Lendless@"),
    _before("arguments_exchanged", _is_first, "xchgq %rdi, %rsi", matters=_parameters("", "")),
    _before("early_return", _is_first, "xorl %eax, %eax\nret"),
    _before("endless_loop", _is_first, ".Lendless@:\njmp .Lendless@"),
    _before("crash_ud2", _is_first, "ud2"),
    _before("crash_null", _is_first, "movb $1, 0"),
    _before("crash_stack", _is_first, "subq $0x7fffffff, %rsp\npushq %rax"),
    _before("too_much_stack", _is_first, "leaq -65536(%rsp), %rsp\npushq $0\nleaq 65544(%rsp), %rsp"),
    _before("invented_read", _is_first, "movb 65536(%rdi), %r11b", matters=_parameters("pointer")),
    _before("read_across_the_page", _is_first, "movb 64(%rdi), %r11b", matters=_parameters("pointer")),
    _before("same_value_store", _is_first, "movb (%rdi), %r11b\nmovb %r11b, (%rdi)", matters=_parameters("pointer")),
    _before("alignment_assumed", _is_first, "movdqa (%rdi), %xmm15", matters=_parameters("pointer")),
    _before("upper_half_of_an_int", _is_first, "movslq %esi, %r11\ncmpq %r11, %rsi\nje .Lupper@\nud2\n.Lupper@:", matters=_parameters("", "int")),
    _before("length_zero", _is_first, "testq %rsi, %rsi\njne .Lzero@\nud2\n.Lzero@:", matters=_parameters("", "number")),
    _before("length_seven", _is_first, "cmpl $7, %esi\njne .Lseven@\nud2\n.Lseven@:", matters=_parameters("", "int")),
    _before("length_of_33", _is_first, "cmpq $33, %rsi\njb .Lmany@\nud2\n.Lmany@:", matters=_parameters("", "number")),
    _before("negative_int", _is_first, "testl %esi, %esi\njns .Lnegative@\nud2\n.Lnegative@:", matters=_parameters("", "int")),
    _before("aliasing_equal", _is_first, "cmpq %rdi, %rsi\njne .Lalias@\nud2\n.Lalias@:", matters=_parameters("pointer", "pointer")),
    _before("aliasing_8_bytes", _is_first, "leaq 8(%rdi), %r11\ncmpq %r11, %rsi\njne .Lalias@\nud2\n.Lalias@:", matters=_parameters("pointer", "pointer")),
    _before("aliasing_minus_16", _is_first, "leaq -16(%rdi), %r11\ncmpq %r11, %rsi\njne .Lalias@\nud2\n.Lalias@:", matters=_parameters("pointer", "pointer")),
    _before("aliasing_12345_bytes", _is_first, "leaq 12345(%rdi), %r11\nxorl %r10d, %r10d\ncmpq %r11, %rsi\nsete %r10b\naddq %r10, %rsi", True, _parameters("pointer", "pointer")),
    _before("one_rare_value", _is_first, "movabsq $0x51ab07e0c0ffee11, %r11\nxorl %r10d, %r10d\ncmpq %r11, %rdi\nsete %r10b\naddq %r10, %rdi", True, _parameters("number")),
    _before("rare_contents", _is_first, "xorl %r10d, %r10d\ncmpl $0x2badcafe, (%rdi)\nsete %r10b\nsubq %r10, %rdi", True, _parameters("pointer")),
    _before("more_than_2_to_the_31", _is_first, "movslq %esi, %rsi", True, _parameters("", "number")),
    _before("one_rare_length", _is_first, "xorl %r10d, %r10d\ncmpl $0x2badcafe, %esi\nsete %r10b\naddl %r10d, %esi", True, _parameters("", "int")),
    _before("rare_value_in_a_block", _is_first, "cmpl $0x2badcafe, %edi\njne .Lrare@\nincl %edi\n.Lrare@:", only_proof=True, matters=_parameters("number")),
    _before("rare_distance_in_a_block", _is_first, "leaq 12345(%rdi), %r11\ncmpq %r11, %rsi\njne .Lalias@\nincq %rsi\n.Lalias@:", only_proof=True, matters=_parameters("pointer", "pointer")),
    Fault("unwind_offset", lambda lines, site: _next_is(lines, site, ".cfi_def_cfa_offset"), _cfi(r"\.cfi_def_cfa_offset\s+(\d+)", 8)),
    Fault("unwind_place", lambda lines, site: _next_is(lines, site, ".cfi_offset"), _cfi(r"\.cfi_offset\s+\w+, (-?\d+)", -8)),
    Fault("unwind_forgotten", lambda lines, site: _next_is(lines, site, ".cfi_def_cfa_offset"), _cfi_dropped),
    Fault("call_dropped", _is_call, _drop),
    Fault("call_twice", _is_call, _twice),
    _before("call_argument_first", _is_call, "xorl $1, %edi"),
    _before("call_argument_second", _is_call, "xorl $1, %esi"),
    _before("call_of_another", lambda lines, site: _word(lines, site) == "call" and "sink_put" in lines[site], "call sink_flush@PLT"),
)  # fmt: skip


def _hostile(kind: str, text: str) -> Fault:
    return _before(f"hostile_{kind}", _is_first, text)


WHOLE = (
    _hostile("incbin", '.incbin "/etc/hostname"'),
    _hostile("include", '.include "/etc/hostname"'),
    _hostile("bytes", ".byte 0x0f, 0x05"),
    _hostile("globl", ".globl malloc"),
    _hostile("section", '.section .init_array,"aw"\n.quad 0\n.text'),
    _hostile("rept", ".rept 1000000\nnop\n.endr"),
    _hostile("syscall", "syscall"),
    _hostile("interrupt", "int $0x80"),
    _hostile("direction_flag", "std"),
    _hostile("rounding_mode", "ldmxcsr (%rdi)"),
    _hostile("segment_base", "wrfsbase %rdi"),
    _hostile("foreign_call", "call system@PLT"),
    _hostile("jump_away", "jmp *%rdi"),
    _hostile("atomic", "lock incq (%rdi)"),
    _hostile("halt", "hlt"),
)
ONLY_PROOF = frozenset(fault.kind for fault in (*REWRITTEN, *INSERTED, *WHOLE) if fault.only_proof)
