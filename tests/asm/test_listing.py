"""What hand-written assembly does to sections, symbols and data holds for what follows it."""

from __future__ import annotations

import asm_units
import pytest
from asm_units import GOLDEN

from compiler_ai.asm.listing import Listing, parse

FUNCTION = "\t.globl\t{0}\n\t.type\t{0}, @function\n{0}:\n\tret\n\t.size\t{0}, .-{0}\n"
F, G = FUNCTION.format("f"), FUNCTION.format("g")


def with_inline(text: str) -> Listing:
    """`f` holds the text as inline assembly, `g` follows. The assembler's view of both is checked."""
    inside = F.replace("\tret\n", f'#APP\n# 1 "x.c" 1\n{text}\n# 0 "" 2\n#NO_APP\n\tret\n')
    listing = parse(f'\t.text\n{inside}{G}\t.section\t.note.GNU-stack,"",@progbits\n')
    found = {symbol.name: symbol for symbol in asm_units.symbols(asm_units.assembled(listing.text))}
    for name in ("f", "g"):
        section = listing.label_section(name)
        assert section is not None
        assert section.name == found[name].section
    return listing


@pytest.mark.parametrize(
    "text",
    [
        '661:\tnop; 662: .pushsection .alt,"a"; .quad 661b; .popsection',
        '\tnop; .pushsection .alt, "a"\n\t.quad 1; .popsection; nop',
        '\t.pushsection .alt,"a"; .pushsection .other,"a"; .byte 1; .popsection; .byte 2; .popsection',
        '\t.section .alt,"a"; .quad 1; .previous',
        "\t.subsection 1; nop; .previous",
        "\t.subsection 1\n\tnop\n\t.subsection 0",
        "\t.text 1; nop; .text 0",
        "\t.pushsection .text, 2; nop; .popsection",
        "\tnop # ; .data",
        "\tnop /* ; .data */; nop",
        "\tnop /* .data;\n.data; still a comment\n*/ ; nop",
        '\t.pushsection .rodata; .string "; .data"; .popsection',
        "\tmovb $';', %al; nop",
        "\t.macro switch_away\n\t.data\n\t.endm\n\tnop",
    ],
)  # fmt: skip
def test_inline_assembly_that_comes_back_leaves_what_follows_in_place(text: str) -> None:
    listing = with_inline(text)
    function, behind = listing.function("f"), listing.function("g")
    assert function is not None
    assert behind is not None
    assert function.has_inline_assembly
    assert not behind.has_inline_assembly
    assert behind.section.name == ".text"
    assert behind.section.subsection == ""


@pytest.mark.parametrize(
    ("text", "name"),
    [('\tnop; .section .far,"ax"', ".far"), ("\t.data 1; .text 3", ".text"), (".data; .previous", ".text")],
)
def test_top_level_assembly_that_does_not_come_back_takes_what_follows_along(text: str, name: str) -> None:
    listing = parse(f"\t.text\n{F}#APP\n{text}\n#NO_APP\n{G}")
    behind = listing.function("g")
    assert behind is not None
    assert behind.section.name == name
    assert name in {s.section for s in asm_units.symbols(asm_units.assembled(listing.text)) if s.name == "g"}


def test_the_directive_of_a_subsection_leads_back_to_it() -> None:
    section = with_inline("\t.text 3").label_section("g")
    assert section is not None
    assert parse(section.directive + "\ng:\n").label_section("g") == section


def test_a_sections_flags_are_written_once() -> None:
    again = '\t.section\t.special,"ax",@progbits\n' + F + "\t.text\n\t.section\t.special\n" + G
    function = parse(again).function("g")
    assert function is not None
    assert function.section.executable


def test_a_label_and_its_data_may_share_a_line() -> None:
    data = parse("\t.section\t.rodata\n\t.align 4\n.LC0: .long 5\n\t.long\t6\n.LC1:\t# none\n\t.long\t7\n").data
    assert [line.split() for line in data[".LC0"].lines] == [[".long", "5"], [".long", "6"]]
    assert [line.split() for line in data[".LC1"].lines] == [[".long", "7"]]
    assert ".align 4" in data[".LC0"].alignment


def test_what_assembly_defines_is_no_data_whose_content_is_known() -> None:
    listing = parse('#APP\n\t.pushsection .rodata,"a"; table: .long 1, 2; .popsection\n#NO_APP\n' + F)
    assert "table" in listing.defined
    assert "table" not in listing.data


def test_address_significance_belongs_to_no_data() -> None:
    listing = parse("\t.data\nvalue:\n\t.long\t3\n\t.addrsig\n\t.addrsig_sym value\n\t.addrsig_sym other\n")
    assert listing.data["value"].lines == ("\t.long\t3\n",)
    assert listing.undefined == frozenset()


def test_a_local_common_symbol_is_local() -> None:
    data = parse("\t.local\ta\n\t.comm\ta,4,4\n\t.comm\tb,8,8\n\t.lcomm\tc,16\n").data
    assert [data[name].local for name in "abc"] == [True, False, True]
    assert [data[name].size_bytes for name in "abc"] == [4, 8, 16]


def test_intel_syntax_is_left_alone() -> None:
    listing = parse(asm_units.compiled("int f(int *a) { return a[3]; }", "-O2", "-masm=intel"))
    function = listing.function("f")
    assert function is not None
    assert function.has_inline_assembly


@pytest.mark.parametrize("flags", ["-O2", "-O2 -g", "-O3 -fPIC -ffunction-sections"])
def test_functions_names_parts_and_attributes(flags: str) -> None:
    listing = parse(asm_units.compiled(GOLDEN / "features.c", *flags.split()))
    names = {function.name: function for function in listing.functions}
    assert set(names["original"].aliases) == {"another", "weak_name", "hidden_name"}
    assert {"name.with$dots", "café", "elsewhere", "kernel_style", "inner.0", "resolve"} <= set(names)
    assert names["original"].is_global
    assert not names["at_start"].is_global
    assert len(names["with_cold_part"].parts) == 2
    assert names["with_cold_part"].parts[1].section.name.startswith(".text.unlikely")
    assert {name for name, function in names.items() if function.has_inline_assembly} == {
        "inline_assembly", "one_line", "switches", "by_hand"
    }  # fmt: skip
    assert names["elsewhere"].section.name == ".text.special"


def test_data_ends_where_a_common_symbol_is_declared() -> None:
    listing = parse(
        "\t.section\t.rodata\nvalue:\n\t.long\t3\n\t.local\tcount.0\n\t.comm\tcount.0,4,4\n\t.comm\tshared,8,8\n"
    )
    assert listing.data["value"].lines == ("\t.long\t3\n",)
    assert listing.data["count.0"].size_bytes == 4


def test_a_section_that_is_opened_again_by_its_name_ends_what_lies_before() -> None:
    """It can be opened anywhere by the directive that it was declared with."""
    opened = '\t.section\t.rodata.str1.1,"aMS",@progbits,1'
    listing = parse(f'{opened}\n.LC0:\n\t.string "a"\n\t.section\t.rodata.str1.1\n.LC1:\n\t.string "b"\n')
    assert [data.lines for data in listing.data.values()] == [('\t.string "a"\n',), ('\t.string "b"\n',)]
    assert {data.section.directive for data in listing.data.values()} == {opened.strip()}
