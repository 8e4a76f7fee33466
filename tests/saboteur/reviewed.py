"""Changes that were looked at one by one: (function, what changed) -> why the change is no fault, or what calls alone show it, which
only a proof is sure to come to.

The key is the very change (`saboteur.change`: line number, old and new text), so that the same kind of change at another place
is not excused. GCC 12.2's bodies of `corpus` and `programs` are meant.
"""

from __future__ import annotations

_LOW_BYTE = "only the low 8 bits (or fewer) of the register are read before it is written again"
_UP_TO_THE_END = (
    "a pointer or counter that goes up to its bound in equal steps and is never beyond it: != and > are the same"
)
_DOWN_TO_THE_END = "a pointer that goes down to its bound in equal steps and is never below it: != and > are the same"

EQUIVALENT: dict[tuple[str, str], str] = {
    # edx goes to r9d by lea and is compared as r9b, to esi by movsbl of dl, and is compared as dl.
    ("base64_decode", "21: movzbl (%rdi), %edx -> movsbl (%rdi), %edx"): _LOW_BYTE,
    # ecx is tested and stored as cl; line 18 writes rcx.
    ("copy_bounded", "13: movzbl (%rsi,%rax), %ecx -> movsbl (%rsi,%rax), %ecx"): _LOW_BYTE,
    # edx goes to esi, which is compared as sil, and through andl $63.
    ("utf8_valid", "44: movzbl (%rdi,%rcx), %edx -> movsbl (%rdi,%rcx), %edx"): _LOW_BYTE,
    # eax is stored as al by the next instruction; the function returns nothing.
    ("copy_match", "31: movzbl 1(%rax), %eax -> movsbl 1(%rax), %eax"): _LOW_BYTE,
    # r9 goes to r8d through andl $127, and is tested and compared as r9b.
    ("varint_decode", "13: movzbl (%rdi,%rax), %r9d -> movsbl (%rdi,%rax), %r9d"): _LOW_BYTE,
    # edi is stored as dil by the next instruction; lines 13 and 41 write it.
    ("run_lengths", "31: movzbl (%r8,%r11), %edi -> movsbl (%r8,%r11), %edi"): _LOW_BYTE,
    # r11d is compared as r11w, there and at line 189, and as r11b after line 106 has written it.
    ("mainGtU", "100: movzwl (%r10,%rbx,2), %r11d -> movswl (%r10,%rbx,2), %r11d"): "only the low 16 bits are read",
    # ax is compared, incremented and stored as 16 bits; the function returns nothing.
    ("lru_touch", "1: movzwl 20(%rsi), %eax -> movswl 20(%rsi), %eax"): "only the low 16 bits are read",
    # r8b, the same difference as al, was compared with 9 on both ways to line 34.
    ("parse_number", "38: movsbq %al, %rax -> movzbq %al, %rax"): "al is a digit's value, 0 to 9",
    (
        "parse_number",
        "16: xorl %r9d, %r9d -> orl %r9d, %r9d",
    ): "r9d is 0 since line 13; the flags are written by line 17",
    # 32-bit instructions clear the upper half; 0 <= low <= high < 2^31 is checked before each round.
    ("binary_search", "16: movslq %eax, %r8 -> movq %rax, %r8"): "eax is not negative, and the upper half of rax is 0",
    # Line 85 or 95 writes ecx, which clears the upper half; the depth was at least 2 before.
    ("run_program", "96: movslq %ecx, %rdx -> movq %rcx, %rdx"): "ecx is not negative, and the upper half of rcx is 0",
    (
        "run_program",
        "72: jle .Lsaboteur_20 -> jbe .Lsaboteur_20",
    ): "the depth is never negative: each decrement is guarded",
    (
        "run_program",
        "84: jle .Lsaboteur_19 -> jbe .Lsaboteur_19",
    ): "the depth is never negative: each decrement is guarded",
    (
        "run_program",
        "66: rolq $32, -8(%rsi,%rdx,4) -> rorq $32, -8(%rsi,%rdx,4)",
    ): "rotating 64 bits by 32 is the same either way",
    # Line 9 shifts before the comparison.
    (
        "varint_encode",
        "14: ja .Lsaboteur_3 -> jg .Lsaboteur_3",
    ): "rdi is below 2^57 there: signed and unsigned are the same",
    # Line 19 comes here only when r9b's sign bit is clear.
    ("varint_decode", "36: ja .Lsaboteur_14 -> jg .Lsaboteur_14"): "r9b is below 128: signed and unsigned are the same",
    # They differ for a length of 2^63 and more, where the copy runs into unmapped memory whatever happens.
    ("copy_match", "4: jbe .Lsaboteur_29 -> jle .Lsaboteur_29"): "differs only where every run of the baseline faults",
    # They differ for a length of 2^63 and more. The changed body returns 0; the baseline returns 1 only after reading as many bytes.
    (
        "utf8_valid",
        "30: jb .Lsaboteur_30 -> jl .Lsaboteur_30",
    ): "differs only where the baseline faults or returns 0 too",
    ("mix_words", "21: jne .Lsaboteur_14 -> jg .Lsaboteur_14"): _UP_TO_THE_END,
    ("blend_rows", "23: jne .Lsaboteur_34 -> jg .Lsaboteur_34"): _UP_TO_THE_END,
    # ecx is compared as cl, there and at line 16; line 66 or the caller writes it.
    ("mainGtU", "62: movzbl (%rax,%rcx), %ecx -> movsbl (%rax,%rcx), %ecx"): _LOW_BYTE,
    # r13d is compared as r13b at line 67 only; line 127 or 144 writes it.
    ("longest_match", "39: movzbl -1(%r12,%rdx), %r13d -> movsbl -1(%r12,%rdx), %r13d"): _LOW_BYTE,
    # rax begins 2 * hash_size, or 2 * w_size, bytes above the bound.
    ("slide_hash", "21: jne .Lsaboteur_3 -> jg .Lsaboteur_3"): _DOWN_TO_THE_END,
    ("slide_hash", "40: jne .Lsaboteur_5 -> jg .Lsaboteur_5"): _DOWN_TO_THE_END,
    ("slide_hash", "5: movq %rsi, %rcx -> movl %esi, %ecx"): "line 1 clears the upper half of rsi, line 7 that of rcx",
    (
        "slide_hash",
        "17: cmpl %edx, %esi -> ",
    ): "the subtraction in line 16 has the same operands and leaves the same flags",
    (
        "add_pair_to_block",
        "1:  -> movb 64(%rdi), %r11b",
    ): "every call reads the pointer at 64(%rdi) (line 25 or 37); r11 may be clobbered",
    # `limit` in rdi has 23 numbers: lines 85, 87 and 91 write bytes 0 to 91 in every call.
    (
        "BZ2_hbCreateDecodeTables",
        "1:  -> movb 64(%rdi), %r11b",
    ): "every call writes the byte at 64(%rdi), so that it is there; line 4 writes r11",
    (
        "BZ2_hbCreateDecodeTables",
        "1:  -> movb (%rdi), %r11b | movb %r11b, (%rdi)",
    ): "every call writes the byte at (%rdi) in line 85; line 4 writes r11",
    # rep stosq starts s = 1 to 8 bytes behind base and ends 92 - (92 - s) % 8 = 85 to 92 behind it, whatever base is.
    (
        "BZ2_hbCreateDecodeTables",
        "52: andq $-8, %rdi -> andq $-7, %rdi",
    ): "s is still 2 to 8; lines 51 and 53 clear bytes 0 to 7 and 84 to 91, and line 82 writes rdi",
    (
        "BZ2_hbCreateDecodeTables",
        "53: movq $0, 84(%r11) -> movq $4, 84(%r11)",
    ): "rep stosq clears byte 84, the only one that is not 0",
    # The first loop counts from minLen, which is not above maxLen, to maxLen + 1.
    (
        "BZ2_hbCreateDecodeTables",
        "46: jne .Lsaboteur_83 -> jg .Lsaboteur_83",
    ): "differs only where maxLen + 1 wraps, and then the loop of line 105 runs into unmapped memory",
    (
        "BZ2_hbCreateDecodeTables",
        "60: movslq %ebp, %rdx -> movq %rbp, %rdx",
    ): "ebp is positive behind line 59, and line 16 clears the upper half of rbp",
    (
        "BZ2_hbCreateDecodeTables",
        "88: subq %rdi, %rcx -> subl %edi, %ecx",
    ): "line 89 reads ecx and clears the upper half of rcx",
    # Without symbols (ebp <= 0) the loop does nothing but count; line 73 writes ecx.
    (
        "BZ2_hbCreateDecodeTables",
        "135: cmpl %r13d, %ecx -> testl %r13d, %ecx",
    ): "another end of a loop without effect, which ends too: at the latest when ecx is 0",
    # edx, less 5, is compared as dl, which line 11 widens.
    ("normal_nameLength", "7: movzbl 136(%rdi,%rdx), %edx -> movsbl 136(%rdi,%rdx), %edx"): _LOW_BYTE,
    # Line 7 leaves 0 to 255 in edx, so that it is 0 to 24 behind line 10.
    (
        "normal_nameLength",
        "11: movzbl %dl, %edx -> ",
    ): "edx is dl already: a byte less 5, of which the low 8 bits are at most 24",
    # r13 is the end of the text, r14 where the trimming stopped: below it only if it has read the byte in front of r13.
    (
        "utf8_toUtf8",
        "77: setb %al -> setl %al",
    ): "r14 is r13, or both point into one text in user space, so below 2^63: signed and unsigned are the same",
    # Line 17 comes from a comparison for inequality: edx is the number of a bit, 0 to 63.
    ("LZ4HC_countPattern", "19: shrl $3, %edx -> sarl $3, %edx"): "edx is not negative",
    ("LZ4HC_countPattern", "2: salq $32, %rdx -> salq $-32, %rdx"): "the processor takes the count modulo 64",
    # Behind line 31 there are 7 bytes or fewer.
    (
        "LZ4HC_countPattern",
        "39: shrq $8, %rdi -> sarq $8, %rdi",
    ): "what is shifted in from above is never in the low byte that is compared",
    (
        "LZ4HC_countPattern",
        "20: addl %edx, %eax | subl %ecx, %eax -> subl %ecx, %eax | addl %edx, %eax",
    ): "eax + edx - ecx in either order; the flags are dead",
    (
        "luaS_hash",
        "18: jne .Lsaboteur_26 -> jg .Lsaboteur_26",
    ): "differs for a length of 2^63 and more, all bytes of which the baseline reads: it faults",
    (
        "normal_updatePosition",
        "18: movzbl %al, %eax -> movsbl %al, %eax",
    ): "al was compared with 5 and is not above it",
    # ecx goes as cl to the shift in line 3, and nowhere else.
    ("luaH_getshortstr", "1: movzbl 11(%rdi), %ecx -> movsbl 11(%rdi), %ecx"): _LOW_BYTE,
    ("XXH32_update", "28: movzbl %al, %eax -> movsbl %al, %eax"): "al is the or of two results of seta, 0 or 1",
    ("XXH32_update", "31: movq %rdx, %rax -> movl %edx, %eax"): "line 27 clears the upper half of rdx",
    (
        "XXH32_update",
        "134: pshufd $8, %xmm1, %xmm1 -> pshufd $-8, %xmm1, %xmm1",
    ): "the lower two elements are the same, and punpckldq in line 136 reads no others",
    (
        "XXH32_update",
        "135: pshufd $8, %xmm0, %xmm0 -> pshufd $-8, %xmm0, %xmm0",
    ): "the lower two elements are the same, and punpckldq in line 136 reads no others",
    # ebx is compared as bl; line 47 or 67 writes rbx.
    ("pqdownheap", "61: movzbl 5308(%rcx,%r13), %ebx -> movsbl 5308(%rcx,%r13), %ebx"): _LOW_BYTE,
    # r15d is compared as r15b by line 92; line 54, which writes r15, is on every way back to here.
    ("pqdownheap", "91: movzbl 5308(%rcx,%r15), %r15d -> movsbl 5308(%rcx,%r15), %r15d"): _LOW_BYTE,
    # ecx goes as cl to the shift in line 13; line 14 writes it.
    ("luaH_getint", "10: movzbl 11(%rdi), %ecx -> movsbl 11(%rdi), %ecx"): _LOW_BYTE,
    ("luaH_getint", "3: movq %rdx, %rax -> movl %edx, %eax"): "line 1 clears the upper half of rdx",
    # ecx is (2^n - 1) | 1 for an n below 32.
    ("luaH_getint", "18: movslq %ecx, %rcx -> movq %rcx, %rcx"): "ecx is positive, and the upper half of rcx is 0",
    (
        "luaH_getint",
        "17: jbe .Lsaboteur_97 -> jb .Lsaboteur_97",
    ): "2^31 - 1 modulo a positive 32-bit number is the same in 32 and in 64 bits",
    (
        "luaH_getint",
        "46: movslq %edx, %rdx | leaq (%rdx,%rdx,2), %rax -> leaq (%rdx,%rdx,2), %rax | movslq %edx, %rdx",
    ): "edx is the remainder of two positive numbers, and idivl clears the upper half of rdx: movslq changes nothing",
    (
        "luaH_getint",
        "59:  -> call luaH_realasize",
    ): "it only reads the table, and leaves rdi, rsi and rcx as they are, on which lines 61 to 67 rely",
}

_FAR_DOWN_THE_CHAIN = "differs only where the longest match lies behind the first quarter of the chain, for a prev_length of good_match and more"
_BEHIND_A_NICE_MATCH = "differs only where a match that is long enough to end the search is followed by a longer one"
_MORE_THAN_HALF = "differs for array parts of more than 2^31 values, which take 32 GiB"

ONLY_PROOF: dict[tuple[str, str], str] = {
    ("run_program", "42: addq %rdx, %rax -> addl %edx, %eax"): "differs for programs of 4 GiB and more",
    ("utf8_valid", "28: subq %rcx, %rsi -> subl %ecx, %esi"): "differs for valid texts of 4 GiB and more",
    ("heap_sift", "37: movq %rcx, %rax -> movl %ecx, %eax"): "differs from the 2^32nd element on, in heaps of 16 GiB",
    # i1 + 8 against nblock.
    ("mainGtU", "176: jb .Lsaboteur_225 -> jl .Lsaboteur_225"): "differs in blocks of 2 GiB and more",
    # i2 + 8 against nblock. With an nblock of 2^31 and more, the loop ends behind it.
    (
        "mainGtU",
        "180: jb .Lsaboteur_226 -> jl .Lsaboteur_226",
    ): "differs for an i2 of 2^31 and more, so in blocks of 2 GiB",
    # r8d is strstart less the window's size, ecx a 16-bit number.
    (
        "longest_match",
        "131: jb .Lsaboteur_45 -> jl .Lsaboteur_45",
    ): "differs for a strstart of 2^31 and more, in windows of 2 GiB",
    ("longest_match", "43: shrl $2, %esi -> sarl $2, %esi"): "differs when a chain is followed for 2^29 steps",
    # What follows decides how far a chain of matches is followed, or when that ends early; the captured calls of some runs show it.
    (
        "longest_match",
        "42: jb .Lsaboteur_13 -> jl .Lsaboteur_13",
    ): "differs for a prev_length or good_match of 2^31 and more",
    ("longest_match", "42: jb .Lsaboteur_13 -> jbe .Lsaboteur_13"): _FAR_DOWN_THE_CHAIN,
    ("longest_match", "43: shrl $2, %esi -> shrl $-2, %esi"): _FAR_DOWN_THE_CHAIN,
    ("longest_match", "47: cmpl %r14d, %edi -> testl %r14d, %edi"): _BEHIND_A_NICE_MATCH,
    (
        "longest_match",
        "48: cmova %r14d, %edi -> cmovg %r14d, %edi",
    ): "differs for a nice_match or lookahead of 2^31 and more",
    (
        "longest_match",
        "48: cmova %r14d, %edi | movl %edi, -8(%rsp) -> movl %edi, -8(%rsp) | cmova %r14d, %edi",
    ): _BEHIND_A_NICE_MATCH,
    ("longest_match", "49: movl %edi, -8(%rsp) -> movl %edi, -12(%rsp)"): _BEHIND_A_NICE_MATCH,
    # A match is as long as the index of its first difference, 258 at most, and one that differs at best_len was left at line 66.
    (
        "longest_match",
        "119: jge .Lsaboteur_15 -> jg .Lsaboteur_15",
    ): "differs only for a best_len of 258, which prev_length or a nice_match above 258 allow, and one more match of 258 bytes",
    # Lines 17 and 36 compare a 16-bit number with the window's size, which is also that of `prev`.
    (
        "slide_hash",
        "18: cmovb %r8d, %ecx -> cmovl %r8d, %ecx",
    ): "differs for windows of 2 GiB and more, whose `prev` has 4 GiB",
    (
        "slide_hash",
        "37: cmovb %edi, %ecx -> cmovl %edi, %ecx",
    ): "differs for windows of 2 GiB and more, whose `prev` has 4 GiB",
    # Line 36 loads the same number; line 38 stores to `block` in between.
    (
        "add_pair_to_block",
        "39: movl 108(%rsi), %eax -> ",
    ): "differs only where block[nblock] is a byte of nblock itself",
    (
        "XXH32_update",
        "35: jne .Lsaboteur_124 -> jg .Lsaboteur_124",
    ): "differs for a memsize of 2^31 and more, with which the baseline stores as far behind its state",
    # An alimit that comes here is no power of two and not the real size. If key is alimit + 1, it is also within the real size, the
    # next power of two, unless that is 2^32, which wraps.
    ("luaH_getint", "56: addl $1, %eax -> addl $-1, %eax"): _MORE_THAN_HALF,
    ("luaH_getint", "57: cmpq %rax, %rsi -> "): _MORE_THAN_HALF,
    ("luaH_getint", "58: je .Lsaboteur_86 -> nop"): _MORE_THAN_HALF,
    ("varint_decode", "27: seta %al -> setg %al"): "differs for a length of 2^63 and more, which no object has",
    # The callee must turn the very byte that was a quote into one of 128 and more while it is being called.
    (
        "put_escaped",
        "72: movsbl (%rbx), %esi -> movzbl (%rbx), %esi",
    ): "differs only where the text lies in the sink itself",
}
